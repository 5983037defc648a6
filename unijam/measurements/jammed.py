"""Measurements of a system at its jamming point: the count, the spectra, the distances Δ."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..branches.jam import jam
from ..core.system import ConstrainedSystem
from ..ensemble.sample import Sample
from ..statistics import DeltaStatistics, Kind, count_constraints, delta_statistics, kind_of
from .state import measure_state

REACH = 0.25  # largest gap kept, in `unit` (mean diameters): the first shell, with the law of small gaps
# Share of the samples that must be of one kind: a few of many differ, as packings with two states of self stress do.
ALIKE = 0.95
CUT = 0.05  # share of the overlaps that the talk's argument removes from an isostatic system


@dataclass(frozen=True, eq=False, repr=False)
class JammedSample(Sample):
    """One system brought to jamming, quoted at the last state whose relative gradient is at most 1e-6.

    Attributes
    ----------
    status : str
        The status of `jam`.
    n_dof, n_effective, n_overlaps, n_kinks, ratio
        The count in the quoted state (see `ConstraintCount`); `reduced_ratio` is that of the reduced system (NaN where
        there is none).
    n_rattlers_dof : int
        The number of degrees of freedom that bear no force.
    energy, relative_gradient, typical_overlap, threshold, seconds : float
        U, ‖Jᵀu'‖/‖u'‖, √(2U/N_Δ) in `unit`, the control at jamming, the time of `jam`.
    negative_modes, negative_modes_hp, self_stresses : int
        Negative modes of H and of Hp; states of self stress.
    distances, ratios, relative_gradients : (states,) arrays
        Of the states of `jam`: distance of the scale from its threshold (in `unit`), (N_Δ + N_kink)/N_eff, relative
        gradient.
    eigenvalues_h0, eigenvalues_hp, eigenvalues : arrays
        Ascending, on the tangent space of the kinks and without symmetries: N_eff − N_kink values.
    kernel_prestress, kernel_prestress_cut : arrays
        Eigenvalues of Hp on the kernel of H0, and the same after 5 % of the overlaps are cut, over the typical overlap.
    delta : (m,) array
        Δ of the bearing constraints in `unit`, with gaps up to a quarter of a diameter for particles.
    localised : (m,) mask
        The entries of `delta` that are contacts of bucklers (`uj.localised_contacts`); NaN but for discs and spheres.
    """

    status: str
    n_dof: int
    n_effective: int
    n_overlaps: int
    n_kinks: int
    ratio: float
    reduced_ratio: float
    n_rattlers_dof: int
    energy: float
    relative_gradient: float
    typical_overlap: float
    threshold: float
    seconds: float
    negative_modes: int
    negative_modes_hp: int
    self_stresses: int
    distances: np.ndarray
    ratios: np.ndarray
    relative_gradients: np.ndarray
    eigenvalues_h0: np.ndarray
    eigenvalues_hp: np.ndarray
    eigenvalues: np.ndarray
    kernel_prestress: np.ndarray
    kernel_prestress_cut: np.ndarray
    delta: np.ndarray
    # A further number comes here, with default NaN: samples stored before, and tests, do without it.
    localised: np.ndarray | float = float("nan")


def common_kind(samples: Sequence[JammedSample]) -> Kind | None:
    """The kind that at least 95 % of the samples have, "isostatic", "hypostatic" or "hyperstatic"; else None."""
    kinds = [kind_of(s.n_overlaps + s.n_kinks, s.n_effective, s.self_stresses) for s in samples]
    most = max(kinds, key=kinds.count)
    return most if kinds.count(most) >= ALIKE * len(kinds) else None


@dataclass(frozen=True, eq=False)
class SeparateLaws:
    """The laws of the overlaps of extended contacts alone, and of localised ones (`uj.localised_contacts`)."""

    extended: DeltaStatistics
    localised: DeltaStatistics


def separate_laws(samples: Sequence[JammedSample]) -> SeparateLaws | None:
    """θ_e and θ_l from samples of discs or spheres; None where a sample does not tell its contacts apart."""
    extended, localised = [], []
    for sample in samples:
        if not isinstance(sample.localised, np.ndarray):
            return None
        mask = sample.localised.astype(bool)
        extended.append(sample.delta[(sample.delta > 0) & ~mask])
        localised.append(sample.delta[mask])
    return SeparateLaws(delta_statistics(extended), delta_statistics(localised))


def measure_jammed(system: ConstrainedSystem) -> JammedSample:
    """Jam a system, and measure it in the last state whose relative gradient is at most 1e-6.

    A `ValueError` is raised where no state converged.
    """
    jammed = jam(system)
    reached = jammed.settled()
    quoted = reached.system
    state = measure_state(quoted, reached.x)
    count, hessian, typical = state.count, state.hessian, reached.typical_overlap
    localised = state.localised(REACH)
    counts = [count_constraints(s.system, s.x) for s in jammed.states]
    return JammedSample(
        status=jammed.status,
        n_dof=count.n_dof,
        n_effective=count.n_effective,
        n_overlaps=count.n_overlaps,
        n_kinks=count.n_kinks,
        ratio=count.ratio,
        reduced_ratio=count.reduced.ratio if count.reduced else float("nan"),
        n_rattlers_dof=int((~hessian.bearing).sum()),
        energy=reached.energy,
        relative_gradient=reached.relative_gradient,
        typical_overlap=typical / quoted.unit,
        threshold=jammed.threshold,
        seconds=jammed.seconds,
        negative_modes=state.n_negative,
        negative_modes_hp=hessian.n_negative_hp,
        self_stresses=state.n_self_stresses,
        distances=np.array(jammed.distances) / quoted.unit,
        ratios=np.array([k.ratio for k in counts]),
        relative_gradients=np.array([s.relative_gradient for s in jammed.states]),
        eigenvalues_h0=state.eigenvalues_h0,
        eigenvalues_hp=state.eigenvalues_hp,
        eigenvalues=state.eigenvalues,
        kernel_prestress=state.kernel_prestress / typical,
        kernel_prestress_cut=hessian.cut(CUT).kernel_prestress() / typical,
        delta=state.distances(REACH),
        localised=float("nan") if localised is None else localised,
    )

"""What is measured on networks while they learn, and in the minima below: counts, spectra, distances Δ."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.system import ConstrainedSystem
from ..ensemble.sample import Sample
from ..solvers import (
    Adam,
    FitSearch,
    MinimizeResult,
    Objective,
    Watch,
    joined,
    minimize,
    softplus_to_relu,
    solver_for,
)
from ..solvers.replicas.run import ReplicaResult
from ..spectra import certify, decompose_hessian
from ..statistics import count_constraints
from ..support.arrays import Array, to_numpy


@dataclass(frozen=True, eq=False, repr=False)
class LandscapeSample(Sample):
    """States of r runs on P data: k of each, in order.

    Attributes
    ----------
    n_dof, n_data : int
        N and P.
    status : (r, k) array of str
        Of the solver, "satisfied" where all data are fitted; "running" on the way of Adam.
    certified : (r, k) array of bool
        Whether `certify` finds a minimum, kinks included.
    energy, relative_gradient : (r, k) arrays
        U/P and ‖Jᵀu'‖/‖u'‖ (the directional stationarity where kinks are held).
    n_overlaps, n_kinks, n_effective : (r, k) arrays of int
    n_negative_hp, n_negative : (r, k) arrays of int
        Negative modes of Hp and of H.
    eigenvalues_h0, eigenvalues_hp, eigenvalues : (r, k, N) arrays
        Of H0, Hp and H on the tangent space of the kinks, symmetries apart, ascending; NaN where there are no more.
    kernel_prestress : (r, k, N) array
        Eigenvalues of Hp on the kernel of H0 over the typical overlap, likewise.
    delta : (r, k, P) array
    seconds : (r,) array
        Of the search, spectra apart.
    """

    n_dof: int
    n_data: int
    status: np.ndarray
    certified: np.ndarray
    energy: np.ndarray
    relative_gradient: np.ndarray
    n_overlaps: np.ndarray
    n_kinks: np.ndarray
    n_effective: np.ndarray
    n_negative_hp: np.ndarray
    n_negative: np.ndarray
    eigenvalues_h0: np.ndarray
    eigenvalues_hp: np.ndarray
    eigenvalues: np.ndarray
    kernel_prestress: np.ndarray
    delta: np.ndarray
    seconds: np.ndarray


def measure_descent(
    system: ConstrainedSystem, times: Sequence[int] = (1000, 10_000), learning_rate: float = 1e-2
) -> LandscapeSample:
    """Adam from all replicas at once, looked at after `times` steps, and the minima below where it stopped.

    The last state of each run is that minimum, found by Newton's method with the kinks in its model.
    """
    times = tuple(sorted(times))
    solver = Adam(learning_rate=learning_rate, max_steps=times[-1])
    result = minimize(system, None, solver, watch=Watch(keep=times, spacing=1e9))
    runs = list(result.replicas.flat) if isinstance(result, ReplicaResult) else [result]
    rows = []
    for run in runs:
        kept = {record.step: record.x for record in run.history if record.x is not None}
        states = [
            (run.system, kept[t], "running") if t in kept else (run.system, run.x, run.status) for t in times
        ]
        below = (
            run if run.fitted else solver_for(run.system, "minimum below").run(Objective(run.system), run.x)
        )
        rows.append([_state(*state) for state in [*states, (below.system, below.x, _status(below))]])
    return _sample(runs[0].system, rows, [result.seconds / len(runs)] * len(runs))


def measure_minimum(system: ConstrainedSystem, **search: Any) -> LandscapeSample:
    """U = 0 where a `FitSearch` of the given options finds it, else a minimum by `softplus_to_relu`."""
    objective = Objective(system)
    found = FitSearch(**search, finish=False).run(objective, system.initial)
    if not found.fitted:
        found = joined([found, softplus_to_relu().run(objective, system.initial)])
    return _sample(system, [[_state(found.system, found.x, _status(found))]], [found.seconds])


def _status(result: MinimizeResult) -> str:
    return "satisfied" if result.fitted else result.status


def _state(system: ConstrainedSystem, x: Array, status: str) -> dict[str, Any]:
    """The fields of one state, in the system's gauge."""
    x = system.canonical(x)
    c = system.constraints(x)
    n_data = len(c.delta)
    force = system.potential.force(c.delta)
    energy = float(system.potential.energy(c.delta).sum())
    size, gradient = (float((v @ v) ** 0.5) for v in (force, c.vjp(force)))
    fitted = status == "satisfied"
    found: dict[str, Any] = {
        "status": status,
        "certified": False,
        "energy": energy / n_data,
        "relative_gradient": gradient / size if size and not fitted else 0.0,
        "n_overlaps": 0,
        "n_kinks": 0,
        "n_effective": 0,
        "n_negative_hp": 0,
        "n_negative": 0,
        "delta": to_numpy(c.delta),
    }
    spectra = dict.fromkeys(
        ("eigenvalues_h0", "eigenvalues_hp", "eigenvalues", "kernel_prestress"), np.empty(0)
    )
    count = count_constraints(system, x)
    if fitted or not count.n_overlaps:
        return found | spectra
    h = decompose_hessian(system, x)
    values = h.eigenvalues("total", symmetries=False)
    typical = system.potential.typical_overlap(energy, count.n_overlaps)
    return found | {
        "certified": status == "converged" and certify(system, x).minimum,
        "n_overlaps": count.n_overlaps,
        "n_kinks": count.n_kinks,
        "n_effective": count.n_effective,
        "n_negative_hp": h.n_negative_hp,
        "n_negative": int((values < -1e-8 * np.abs(values).max(initial=0.0)).sum()),
        "eigenvalues_h0": h.eigenvalues("h0", symmetries=False),
        "eigenvalues_hp": h.eigenvalues("hp", symmetries=False),
        "eigenvalues": values,
        "kernel_prestress": h.kernel_prestress() / typical,
    }


def _sample(
    system: ConstrainedSystem, rows: list[list[dict[str, Any]]], seconds: list[float]
) -> LandscapeSample:
    n_dof = system.initial.shape[-1]
    long = {"eigenvalues_h0", "eigenvalues_hp", "eigenvalues", "kernel_prestress"}

    def padded(name: str, value: Any) -> Any:
        return np.pad(value, (0, n_dof - len(value)), constant_values=np.nan) if name in long else value

    table = {name: np.array([[padded(name, s[name]) for s in row] for row in rows]) for name in rows[0][0]}
    return LandscapeSample(n_dof, rows[0][0]["delta"].size, **table, seconds=np.array(seconds))

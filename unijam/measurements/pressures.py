"""Measurements of a packing along its branch, at chosen pressures from the quench down to jamming."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..branches.continuation import MAX_LOG_STEP, MIN_LOG_STEP, conjugate_force, quench, settle
from ..branches.jam import jam
from ..ensemble.sample import Sample
from ..particles.mechanics import elastic_moduli
from ..particles.packing import Packing
from ..solvers import MinimizeResult, Objective
from .state import measure_state


@dataclass(frozen=True, eq=False, repr=False)
class BranchSample(Sample):
    """A packing at its jamming point and at k pressures above it, in descending order.

    Entries are NaN at pressures above that of the quench, and where the branch did not settle.

    Attributes
    ----------
    status : str
        Status of `jam`, which starts at the last of the pressures.
    n, dimension, n_dof : int
        Numbers of particles, of dimensions and of degrees of freedom.
    threshold : float
        φ_J of the branch.
    excess, energy, pressure : (k,) arrays
        φ − φ_J, U/n, and p, in contact stiffnesses and mean diameters.
    relative_gradient, n_bearing, n_overlaps, n_effective : (k,) arrays
        ‖Jᵀu'‖/‖u'‖; particles that bear force; the count.
    bulk, simple_shear, pure_shear : (k,) arrays
        Moduli, in the units of the pressure; NaN where they were not asked for.
    self_stresses : (k,) array
        Number of states of self stress; NaN where spectra were not asked for.
    eigenvalues, eigenvalues_h0, kernel_prestress : (k, n_dof) arrays
        Eigenvalues of H, of H0, and of Hp on the kernel of H0, without symmetries; ascending, NaN beyond the last.
    """

    status: str
    n: int
    dimension: int
    n_dof: int
    threshold: float
    excess: np.ndarray
    energy: np.ndarray
    pressure: np.ndarray
    relative_gradient: np.ndarray
    n_bearing: np.ndarray
    n_overlaps: np.ndarray
    n_effective: np.ndarray
    bulk: np.ndarray
    simple_shear: np.ndarray
    pure_shear: np.ndarray
    self_stresses: np.ndarray
    eigenvalues: np.ndarray
    eigenvalues_h0: np.ndarray
    kernel_prestress: np.ndarray

    @property
    def coordination(self) -> np.ndarray:
        """z = 2 N_Δ/n' of the n' particles that bear force, (k,)."""
        z: np.ndarray = 2.0 * self.n_overlaps / self.n_bearing
        return z

    @property
    def excess_coordination(self) -> np.ndarray:
        """z − z_iso, (k,), z_iso = 2 N_eff/n' (2d − 2d/n' for spheres): 2/n' with one state of self stress."""
        excess: np.ndarray = 2.0 * (self.n_overlaps - self.n_effective) / self.n_bearing
        return excess

    @property
    def shear(self) -> np.ndarray:
        """G, the mean over all directions of shear, (k,)."""
        shear: np.ndarray = (self.dimension * self.simple_shear + 2 * self.pure_shear) / (self.dimension + 2)
        return shear


def measure_branch(
    system: Packing, pressures: Sequence[float] = (), moduli: bool = False, spectra: bool = False
) -> BranchSample:
    """Quench a packing, lower it through pressures, measure it at each of them, and jam it.

    Parameters
    ----------
    system : Packing
    pressures : (k,) floats
        In contact stiffnesses and mean diameters; met within 2 %.
    moduli, spectra : bool
        Whether elastic moduli and eigenvalues are measured too.

    Returns
    -------
    BranchSample
    """
    states = states_at(system, pressures)
    last = next((s for s in reversed(states) if s is not None), None)
    way = jam(system) if last is None else jam(last.system, last.x)
    rows = [_row(s, way.threshold, moduli, spectra) if s else {} for s in states]
    columns = {name: [row.get(name, np.nan) for row in rows] for name in SCALARS}
    padded = {name: [_padded(row.get(name, ()), system.n_dof) for row in rows] for name in ARRAYS}
    return BranchSample(
        way.status,
        system.n,
        system.dimension,
        system.n_dof,
        way.threshold,
        **{name: np.array(column, float) for name, column in columns.items()},
        **{name: np.reshape(column, (len(rows), system.n_dof)) for name, column in padded.items()},
    )


def states_at(system: Packing, pressures: Sequence[float]) -> list[MinimizeResult | None]:
    """Quench a packing and lower it through pressures (contact stiffnesses and mean diameters), met within 2 %.

    Returns one state for each pressure, in descending order; None for a pressure above that of the quench, and where
    the branch did not settle.
    """
    if not len(pressures):
        return []
    state = quench(system, system.initial)
    states: list[MinimizeResult | None] = []
    for pressure in sorted(pressures, reverse=True):
        reached = _lowered(state, pressure)
        states.append(reached)
        state = reached or state
    return states


def _lowered(state: MinimizeResult, pressure: float) -> MinimizeResult | None:
    """The state of the branch at a lower pressure, by steps of τ, to which p is nearly proportional; None if missed."""
    if state.status != "converged" or pressure_of(state) < pressure:
        return None
    step = MAX_LOG_STEP
    while pressure_of(state) > 1.02 * pressure:  # met within 2 %
        step = min(step, math.log(pressure_of(state) / pressure))
        tau = conjugate_force(state.system, state.x) * math.exp(-step)
        below = settle(Objective(state.system, conjugate=tau), state.x)
        if below.status == "converged" and below.n_overlaps:
            state, step = below, MAX_LOG_STEP
        elif step > MIN_LOG_STEP:
            step /= 2
        else:
            return None
    return state


def pressure_of(state: MinimizeResult) -> float:
    """The pressure p of a state, in contact stiffnesses and mean diameters."""
    system = _packing(state)
    return system.pressure(system.constraints(state.x)) * _unit(system)


def _packing(state: MinimizeResult) -> Packing:
    assert isinstance(state.system, Packing)
    return state.system


def _unit(system: Packing) -> float:
    return system.unit ** (system.dimension - 2)


SCALARS = (
    *("excess", "energy", "pressure", "relative_gradient", "n_bearing", "n_overlaps", "n_effective"),
    *("bulk", "simple_shear", "pure_shear", "self_stresses"),
)
ARRAYS = ("eigenvalues", "eigenvalues_h0", "kernel_prestress")


def _row(state: MinimizeResult, threshold: float, moduli: bool, spectra: bool) -> dict[str, Any]:
    system, x = _packing(state), state.x
    measured = measure_state(system, x)
    count = measured.count
    held = system.positions(system.constraints(x).bearing()[0]).any(axis=1)
    row: dict[str, Any] = {
        "excess": system.packing_fraction - threshold,
        "energy": state.energy / system.n,
        "pressure": pressure_of(state),
        "relative_gradient": state.relative_gradient,
        "n_bearing": int(held.sum()),
        "n_overlaps": count.n_overlaps,
        "n_effective": count.n_effective,
    }
    if moduli:
        elastic = elastic_moduli(system, x)
        row |= {
            name: getattr(elastic, name) * _unit(system) for name in ("bulk", "simple_shear", "pure_shear")
        }
    if spectra:
        row |= {
            "self_stresses": measured.n_self_stresses,
            "eigenvalues": measured.eigenvalues,
            "eigenvalues_h0": measured.eigenvalues_h0,
            "kernel_prestress": measured.kernel_prestress,
        }
    return row


def _padded(values: Sequence[float] | np.ndarray, length: int) -> np.ndarray:
    return np.pad(np.asarray(values, float), (0, length - len(values)), constant_values=np.nan)

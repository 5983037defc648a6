"""Measurements of networks during training, and in the minima below: counts, spectra, distances Δ."""

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
from ..solvers.history import Record
from ..solvers.replicas.run import ReplicaResult
from ..solvers.verdict import is_fitted
from ..spectra import certify
from ..support.arrays import Array, to_numpy
from .state import measure_state

NONE = np.empty(0)  # the spectrum of a state without overlaps


@dataclass(frozen=True, eq=False, repr=False)
class LandscapeSample(Sample):
    """k states, in order, of each of r runs on P data.

    Attributes
    ----------
    n_dof, n_data : int
        N and P.
    status : (r, k) array of str
        "fitted" where U = 0 to rounding (see `MinimizeResult.fitted`), else the status of the solver; "running" for
        states during Adam. N_Δ of fitted states is given as 0.
    certified : (r, k) array of bool
        Whether `certify` finds a minimum, kinks included.
    energy, relative_gradient : (r, k) arrays
        U/P and ‖Jᵀu'‖/‖u'‖ (the directional stationarity where kinks are held).
    n_overlaps, n_kinks, n_effective : (r, k) arrays of int
    n_negative_hp, n_negative : (r, k) arrays of int
        Negative modes of Hp and of H.
    eigenvalues_h0, eigenvalues_hp, eigenvalues : (r, k, N) arrays
        Of H0, Hp and H on the tangent space of the kinks, without symmetries, ascending; NaN beyond the last.
    kernel_prestress : (r, k, N) array
        Eigenvalues of Hp on the kernel of H0 over the typical overlap, in the same form.
    delta : (r, k, P) array
    seconds : (r,) array
        Time of the search, without that of spectra.
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
    """Run Adam from all replicas at once; measure its states after `times` steps, and the minima below the last.

    The last state of each run is that minimum, found by the solver that the system's own choice gives ("minimum below":
    Newton's method, with kinks in its model).

    Parameters
    ----------
    system : ConstrainedSystem
        May hold replicas.
    times : sequence of int
        Numbers of steps; the largest ends the run.
    learning_rate : float

    Returns
    -------
    LandscapeSample
        len(times) + 1 states of each replica.
    """
    times = tuple(sorted(times))
    solver = Adam(learning_rate=learning_rate, max_steps=times[-1])
    result = minimize(system, None, solver, watch=Watch(keep=times, spacing=1e9))
    runs = list(result.replicas.flat) if isinstance(result, ReplicaResult) else [result]
    rows = []
    for run in runs:
        kept = {record.step: record for record in run.history if record.x is not None}
        states = [
            (run.system, kept[t].x, "fitted" if _is_fitted(run, kept[t]) else "running")
            if t in kept
            else (run.system, run.x, _status(run))
            for t in times
        ]
        below = (
            run if run.fitted else solver_for(run.system, "minimum below").run(Objective(run.system), run.x)
        )
        rows.append([_state(*state) for state in [*states, (below.system, below.x, _status(below))]])
    return _sample(runs[0].system, rows, [result.seconds / len(runs)] * len(runs))


def measure_minimum(system: ConstrainedSystem, **search: Any) -> LandscapeSample:
    """Search U = 0 by a `FitSearch` with these options; where it fails, find a minimum by `softplus_to_relu`.

    Returns a `LandscapeSample` of one run and one state.
    """
    objective = Objective(system)
    found = FitSearch(**search, finish=False).run(objective, system.initial)
    if not found.fitted:
        found = joined([found, softplus_to_relu().run(objective, system.initial)])
    return _sample(system, [[_state(found.system, found.x, _status(found))]], [found.seconds])


def _status(result: MinimizeResult) -> str:
    return "fitted" if result.fitted else result.status


def _is_fitted(run: MinimizeResult, record: Record) -> bool:
    return is_fitted(run.system, record.energy, record.n_overlaps)


def _state(system: ConstrainedSystem, x: Array, status: str) -> dict[str, Any]:
    """The fields of `LandscapeSample` for one state, in the gauge of the system."""
    state = measure_state(system, x)
    delta = to_numpy(system.constraints(state.x).delta)
    fitted = status == "fitted"
    bearing = not fitted and state.count.n_overlaps > 0
    counted = state.count if bearing else None
    return {
        "status": status,
        "certified": bearing and status == "converged" and certify(system, state.x).minimum,
        "energy": state.energy / len(delta),
        "relative_gradient": 0.0 if fitted else state.relative_gradient,
        "n_overlaps": counted.n_overlaps if counted else 0,
        "n_kinks": counted.n_kinks if counted else 0,
        "n_effective": counted.n_effective if counted else 0,
        "n_negative_hp": state.n_negative_hp if bearing else 0,
        "n_negative": state.n_negative if bearing else 0,
        "delta": delta,
        "eigenvalues_h0": state.eigenvalues_h0 if bearing else NONE,
        "eigenvalues_hp": state.eigenvalues_hp if bearing else NONE,
        "eigenvalues": state.eigenvalues if bearing else NONE,
        "kernel_prestress": state.kernel_prestress / state.typical_overlap if bearing else NONE,
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

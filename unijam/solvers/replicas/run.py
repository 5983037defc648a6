"""Many independent runs at once, one for each index along the leading axes of x; only their evaluations are shared."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.system import ConstrainedSystem
from ...support.arrays import Array, is_torch, namespace
from ...support.validation import require
from ..first_order.descent import Descent
from ..history import Watch
from ..loop import Solver
from ..result import MinimizeResult, unless_interrupted
from ..ritz import looked_at
from .batched import Replicas
from .lockstep import run_in_lockstep
from .threads import run_in_threads

UNFINISHED = ("step-limit", "interrupted")  # statuses of runs that are resumed


@dataclass(frozen=True, eq=False, repr=False)
class ReplicaResult(MinimizeResult):
    """The results of many runs: every field has the leading axes of x; `replicas[k]` is the result of one run.

    `system` is the system of all replicas, `history` a tuple with the history of each run, and `seconds` the time of
    all runs together.
    """

    replicas: np.ndarray = None  # type: ignore[assignment]

    @property
    def typical_overlap(self) -> Array:
        """√(2U/N_Δ) of each run, with the leading axes of x."""
        return np.vectorize(lambda result: result.typical_overlap, otypes=[float])(self.replicas)


def run_replicas(
    solver: Solver,
    system: ConstrainedSystem,
    x: Array,
    watch: Watch | None = None,
    earlier: ReplicaResult | None = None,
) -> ReplicaResult:
    """Run a solver from each x of (…, n_dof), or resume the unfinished runs of an earlier result.

    Raises
    ------
    ValueError
        x is not a tensor.
    """
    require(is_torch(x), "the shape of x", tuple(x.shape), "(n_dof,) for packings, which run one a thread")
    lead = x.shape[:-1]
    rows, results = x.reshape(-1, x.shape[-1]), dict[int, MinimizeResult]()
    if earlier is not None:
        results = dict(enumerate(earlier.replicas.flat))
    todo = [k for k in range(len(rows)) if k not in results or results[k].status in UNFINISHED]
    together = len({results[k].n_steps for k in todo if k in results}) <= 1
    systems, before = Replicas(system, lead), {k: results[k] for k in todo if k in results}
    if isinstance(solver, Descent) and together:
        results |= run_in_lockstep(solver, systems, rows, todo, watch, before)
    else:
        results |= run_in_threads(solver, systems, rows, todo, watch, before)
    every = [unless_interrupted(looked_at, results[k]) for k in range(len(rows))]
    return _gathered(system, every, lead)


def _gathered(
    system: ConstrainedSystem, results: list[MinimizeResult], lead: tuple[int, ...]
) -> ReplicaResult:
    """One result made of many, with leading axes `lead`."""
    x = [result.x for result in results]

    def each(name: str) -> Any:
        return np.array([getattr(result, name) for result in results]).reshape(lead)

    whole = np.empty(len(results), dtype=object)
    whole[:] = results
    return ReplicaResult(
        system,
        namespace(*x).stack(x).reshape(*lead, -1),
        each("energy"),
        each("relative_gradient"),
        each("n_overlaps"),
        each("status"),
        each("n_steps"),
        each("n_evaluations"),
        seconds=max(result.seconds for result in results),
        history=tuple(result.history for result in results),  # type: ignore[misc]
        interrupted=each("interrupted"),
        certified=each("certified"),
        reason=each("reason"),
        replicas=whole.reshape(lead),
    )

"""Gradient descent and Adam from many starts in lockstep: their steps are the same arithmetic for all replicas.

The tests that end a run are those of single runs. A finished replica is left out from then on (docs/decisions/062).
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...core.system import ConstrainedSystem
from ...support.arrays import Array, namespace
from ...support.interrupts import is_interrupt, pressed
from ..first_order.descent import Descent
from ..history import Log, Watch
from ..models import largest_curvature
from ..objective import Objective
from ..point import Point
from ..result import MinimizeResult
from .batched import Replicas, batched


class LockstepObjective(Objective):
    """E of y, (k, n_dof); the numbers of a point, such as its energy, are NumPy arrays, (k,)."""

    def __init__(self, system: ConstrainedSystem, singles: Sequence[Objective] = ()) -> None:
        super().__init__(system)
        self.evaluate, self.singles = batched(system), singles

    def point(self, y: Array, energy: Any, gradient: Array, square: Any, n_overlaps: Any, *_: Any) -> Point:
        self.n_evaluations += 1
        force = np.sqrt(square)
        norm = np.array(namespace(y).linalg.vector_norm(gradient, axis=-1).tolist())
        residual = np.divide(norm, force, where=force > 0, out=np.where(norm > 0, math.inf, 0.0))
        value: Any = np.where(np.isfinite(energy + norm), energy, math.inf)
        return Point(y, value, energy, gradient, force, n_overlaps, residual)

    def part(self, system: ConstrainedSystem, times: float) -> Objective:
        return LockstepObjective(system)

    def along(self, numbers: Any, y: Array) -> Array:
        return namespace(y).asarray(numbers, dtype=y.dtype, device=y.device)[:, None]


@largest_curvature.register
def _(objective: LockstepObjective, point: Point, n_products: int = 10) -> Any:
    each = enumerate(objective.singles)
    return np.array([largest_curvature(single, _row(point, k), n_products) for k, single in each])


def run_in_lockstep(
    solver: Descent,
    systems: Replicas,
    x: Array,
    todo: list[int],
    watch: Watch | None,
    earlier: dict[int, MinimizeResult],
) -> dict[int, MinimizeResult]:
    """The results of the replicas in `todo`, by number, from rows of x, (n, n_dof), or resumed from earlier results.

    All earlier results must have the same number of steps.
    """
    logs = {k: Log(watch or Watch(), solver.max_steps) for k in todo}
    singles = {k: Objective(systems.one(k)) for k in todo}
    results, steps, memory = dict[int, MinimizeResult](), 0, None
    for k, result in earlier.items():
        logs[k].go_on(result.history, result.seconds)
        singles[k].n_evaluations, steps = result.n_evaluations, result.n_steps
    y, first = x[todo], steps
    if all(result.memory for result in earlier.values()) and earlier:
        y = namespace(x).stack([earlier[k].memory[0] for k in todo])
        memory = _joined([earlier[k].memory[1] for k in todo])
    while todo:
        objective = LockstepObjective(systems.some(todo), [singles[k] for k in todo])
        point = objective(y, memory)
        for row, k in enumerate(todo):
            if not logs[k].records:
                singles[k].require_numbers(_row(point, row))
                logs[k].record(0, singles[k], _row(point, row))
        points, ended = solver.iterate(objective, point), dict[int, tuple[str, Point]]()
        _judge(solver, singles, todo, point, ended)
        due = min(logs[k].due for k in todo)
        try:
            while not ended and steps < solver.max_steps:
                if pressed():
                    raise KeyboardInterrupt
                point, steps = next(points), steps + 1
                if solver.sampled and steps < due:
                    continue
                if solver.sampled:
                    point = objective(point.y, point.memory)
                _judge(solver, singles, todo, point, ended)
                if steps < due:
                    continue
                for row, k in enumerate(todo):
                    logs[k].record(steps, singles[k], _row(point, row))
                    best = logs[k].best_point
                    if best and logs[k].out_of_patience:
                        ended[row] = "stopped", best
                due = min(logs[k].due for k in todo)
            if steps >= solver.max_steps:
                ended |= {
                    row: ("step-limit", _row(point, row)) for row in range(len(todo)) if row not in ended
                }
        except (KeyboardInterrupt, SystemError) as error:
            if not is_interrupt(error):
                raise
            point = objective(point.y, point.memory)
            ended |= {row: ("interrupted", _row(point, row)) for row in range(len(todo)) if row not in ended}
        for row, (status, reached) in ended.items():
            k = todo[row]
            singles[k].n_evaluations += steps - first
            results[k] = solver.result(singles[k], reached, status, steps, logs[k])
        left = [row for row in range(len(todo)) if row not in ended]
        todo, y, memory = [todo[row] for row in left], point.y[left], _rows(point.memory, left)
    return results


def _judge(
    solver: Descent,
    singles: dict[int, Objective],
    todo: list[int],
    point: Point,
    ended: dict[int, tuple[str, Point]],
) -> None:
    """Add to `ended` the rows whose run has ended: row -> (status, point).

    The solver's own test is made only for rows that may pass it.
    """
    if not np.isfinite(point.value).all():
        rows = np.flatnonzero(~np.isfinite(point.value)).tolist()
        ended |= {row: ("stalled", _row(point, row)) for row in rows}
    for row in np.flatnonzero(solver.perhaps_finished(singles[todo[0]], point)).tolist():
        single = singles[todo[row]]
        status, kept = solver.verdict(single, _row(point, row))
        if status:
            ended[row] = status, kept


def _row(point: Any, row: int) -> Point:
    """The point of one replica."""
    return Point(
        point.y[row],
        float(point.value[row]),
        float(point.energy[row]),
        point.gradient[row],
        float(point.force[row]),
        int(point.n_overlaps[row]),
        float(point.residual[row]),
        _rows(point.memory, row),
    )


def _rows(memory: Any, rows: int | list[int]) -> Any:
    """The memory of one replica, or of several: rows of its arrays, and its numbers as they are."""
    if memory is None:
        return None
    return type(memory)(*(value if isinstance(value, int | float) else value[rows] for value in memory))


def _joined(memories: list[Any]) -> Any:
    """One memory for several replicas: their arrays are stacked; numbers, which are equal, are taken once."""
    columns = zip(*memories, strict=True)
    return type(memories[0])(*(c[0] if isinstance(c[0], int) else _stacked(c) for c in columns))


def _stacked(values: Sequence[Any]) -> Any:
    return namespace(values[0]).stack(list(values)) if hasattr(values[0], "shape") else values[0]

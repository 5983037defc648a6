"""Many independent runs at once, one along each leading axis of x: their evaluations are batched, and no more.

Gradient descent and Adam, whose steps are the same arithmetic for all, run in lockstep. Other methods decide for
themselves how to go on: each run has a thread and meets the others where it asks for an evaluation. Whatever ends
a run is judged by the loop of single runs; a finished run takes no part any more.
"""

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any

import numpy as np

from ..arrays import Array, is_torch, namespace
from ..system import ConstrainedSystem
from ..validation import is_interrupt, require
from .learning import Descent
from .loop import MinimizeResult, Solver
from .objective import Objective, Point
from .watch import Log, Watch

UNFINISHED = ("step-limit", "interrupted")  # runs that go on from their result


@dataclass(frozen=True)
class ReplicaResult(MinimizeResult):
    """What each of many runs reached: every field has the leading axes of x; `replicas[k]` is one run's result.

    `system` is the one given, `history` and `memory` are those of each run, `seconds` of all together.
    """

    replicas: np.ndarray = None  # type: ignore[assignment]

    @property
    def typical_overlap(self) -> Array:
        return np.vectorize(lambda result: result.typical_overlap, otypes=[float])(self.replicas)


def run_replicas(
    solver: Solver,
    system: ConstrainedSystem,
    x: Array,
    watch: Watch | None = None,
    earlier: ReplicaResult | None = None,
) -> ReplicaResult:
    """Run a solver from every x along the leading axes."""
    require(is_torch(x), "the shape of x", tuple(x.shape), "(n_dof,) for packings, which run one a thread")
    lead = x.shape[:-1]
    rows, results = x.reshape(-1, x.shape[-1]), dict[int, MinimizeResult]()
    if earlier is not None:
        results = {k: result for k, result in enumerate(earlier.replicas.flat)}
    todo = [k for k in range(len(rows)) if k not in results or results[k].status in UNFINISHED]
    together = len({results[k].n_steps for k in todo if k in results}) <= 1
    lockstep = isinstance(solver, Descent) and together
    run = _run_in_lockstep if lockstep else _run_in_threads
    part = Replicas(system, lead)
    results |= run(solver, part, rows, todo, watch, {k: results[k] for k in todo if k in results})
    every = [results[k] for k in range(len(rows))]
    return _gathered(system, every, lead)


@dataclass(frozen=True)
class Replicas:
    """The systems of replicas, numbered along the leading axes."""

    system: ConstrainedSystem
    lead: tuple[int, ...]

    def one(self, k: int) -> ConstrainedSystem:
        """That of one replica."""
        return self.system.replica(tuple(int(i) for i in np.unravel_index(k, self.lead)))

    def some(self, numbers: Sequence[int]) -> ConstrainedSystem:
        """That of several, with one leading axis."""
        return self.system.replica(np.unravel_index(np.array(numbers), self.lead))


def batched(system: ConstrainedSystem) -> Callable[[Array], tuple]:
    """An evaluator over a leading axis of x: the system's own, or one replica after the other."""
    evaluate = system.evaluator()
    if getattr(evaluate, "takes_replicas", False):
        return evaluate

    def evaluate_each(x: Array) -> tuple:
        found = [evaluate(row) for row in x]
        gradient = namespace(x).stack([each[1] for each in found])
        energy, square, n_overlaps = (np.array([each[i] for each in found]) for i in (0, 2, 3))
        return energy, gradient, square, n_overlaps

    return evaluate_each


class LockstepObjective(Objective):
    """E over y with a leading axis; numbers of a point are NumPy arrays along it."""

    def __init__(self, system: ConstrainedSystem, singles: Sequence[Objective] = ()) -> None:
        super().__init__(system)
        self.evaluate, self.singles = batched(system), singles

    def point(self, y: Array, energy: Any, gradient: Array, square: Any, n_overlaps: Any, *_: Any) -> Point:
        self.n_evaluations += 1
        force = np.sqrt(square)
        norm = np.array(namespace(y).linalg.vector_norm(gradient, axis=-1).tolist())
        residual = np.divide(norm, force, where=force > 0, out=np.where(norm > 0, math.inf, 0.0))
        return Point(y, energy, energy, gradient, force, n_overlaps, residual)

    def part(self, system: ConstrainedSystem, times: float) -> Objective:
        return LockstepObjective(system)

    def along(self, numbers: Any, y: Array) -> Array:
        return namespace(y).asarray(numbers, dtype=y.dtype, device=y.device)[:, None]

    def largest_curvature(self, point: Point, n_products: int = 10) -> Any:
        each = enumerate(self.singles)
        return np.array([single.largest_curvature(_row(point, k), n_products) for k, single in each])


def _run_in_lockstep(
    solver: Any,
    systems: Replicas,
    x: Array,
    todo: list[int],
    watch: Watch | None,
    earlier: dict[int, MinimizeResult],
) -> dict[int, MinimizeResult]:
    logs = {k: Log(watch or Watch(), solver.max_steps) for k in todo}
    singles = {k: Objective(systems.one(k)) for k in todo}
    results, steps, memory = dict[int, MinimizeResult](), 0, None
    for k, result in earlier.items():
        logs[k].go_on(result.history, result.seconds)
        singles[k].n_evaluations, steps = result.n_evaluations, result.n_steps
    y = x[todo]
    if earlier:
        y = namespace(x).stack([earlier[k].memory[0] for k in todo])
        memory = _joined([earlier[k].memory[1] for k in todo])
    while todo:
        objective = LockstepObjective(systems.some(todo), [singles[k] for k in todo])
        point = objective(y, memory)
        if steps == 0:
            for row, k in enumerate(todo):
                logs[k].record(0, singles[k], _row(point, row))
        points, ended = solver.iterate(objective, point), dict[int, tuple[str, Point]]()
        _judge(solver, singles, todo, point, logs, ended)
        try:
            while not ended and steps < solver.max_steps:
                point, steps = next(points), steps + 1
                due = steps >= min(logs[k].due for k in todo)
                if solver.sampled and not due:
                    continue
                if solver.sampled:
                    point = objective(point.y, point.memory)
                if due:
                    for row, k in enumerate(todo):
                        logs[k].record(steps, singles[k], _row(point, row))
                _judge(solver, singles, todo, point, logs, ended)
            if steps >= solver.max_steps:
                ended |= {row: ("step-limit", _row(point, row)) for row in range(len(todo)) if row not in ended}
        except (KeyboardInterrupt, SystemError) as error:
            if not is_interrupt(error):
                raise
            ended |= {row: ("interrupted", _row(point, row)) for row in range(len(todo)) if row not in ended}
        for row, (status, reached) in ended.items():
            k = todo[row]
            singles[k].n_evaluations += steps
            results[k] = solver.result(singles[k], reached, status, steps, logs[k])
        left = [row for row in range(len(todo)) if row not in ended]
        todo, y, memory = [todo[row] for row in left], point.y[left], _rows(point.memory, left)
    return results


def _judge(
    solver: Solver, singles: dict[int, Objective], todo: list[int], point: Point, logs: dict[int, Log], ended: dict
) -> None:
    """Find the rows whose run is at its end, by the loop's own test where that could be so."""
    if not np.isfinite(point.value).all():
        rows = np.flatnonzero(~np.isfinite(point.value)).tolist()
        ended |= {row: ("stalled", _row(point, row)) for row in rows}
    for row in np.flatnonzero(solver.perhaps_finished(point)).tolist():
        single = singles[todo[row]]
        status, kept = solver.verdict(single, _row(point, row))
        if status:
            ended[row] = status, kept
    for row, k in enumerate(todo):
        if logs[k].out_of_patience and row not in ended:
            ended[row] = "stopped", logs[k].best_point


class Meeting:
    """Where threads meet: the last of those present to ask for an evaluation makes that of all."""

    def __init__(self, systems: Replicas, present: Sequence[int]) -> None:
        self.systems, self.present, self.lock = systems, set(present), threading.Lock()
        self.asked = dict[int, Array]()
        self.answers = {k: SimpleQueue[Any]() for k in present}
        self.company: tuple[int, ...] = ()
        self.interrupted, self.told = False, set[int]()

    def ask(self, k: int, x: Array) -> tuple:
        """(U, ∇U, Σ u'², N_Δ) at x for replica k."""
        if self.interrupted and k in self.told:  # on its way out
            return self.systems.one(k).evaluator()(x)
        with self.lock:
            self.asked[k] = x
            self._answer()
        found = self.answers[k].get()
        if isinstance(found, BaseException):
            self.told.add(k)
            raise found
        return found

    def leave(self, k: int) -> None:
        """Replica k is waited for no more."""
        with self.lock:
            self.present.discard(k)
            self._answer()

    def _answer(self) -> None:
        """Evaluate what was asked for, once all have asked."""
        if not self.asked or len(self.asked) < len(self.present):
            return
        numbers = tuple(sorted(self.asked))
        try:
            if self.interrupted:
                raise KeyboardInterrupt
            if numbers != self.company:
                self.company, self.evaluate = numbers, batched(self.systems.some(numbers))
            x = [self.asked[k] for k in numbers]
            energy, gradient, square, n_overlaps = self.evaluate(namespace(*x).stack(x))
            found = zip(energy.tolist(), gradient, square.tolist(), n_overlaps.tolist(), strict=True)
            answers: dict[int, Any] = dict(zip(numbers, found, strict=True))
        except BaseException as error:  # every replica hears of it
            answers = dict.fromkeys(numbers, error)
        self.asked = {}
        for k, answer in answers.items():
            self.answers[k].put(answer)


def _run_in_threads(
    solver: Solver,
    systems: Replicas,
    x: Array,
    todo: list[int],
    watch: Watch | None,
    earlier: dict[int, MinimizeResult],
) -> dict[int, MinimizeResult]:
    meeting, results, errors = Meeting(systems, todo), dict[int, MinimizeResult](), list[BaseException]()

    def follow(k: int) -> None:
        try:
            objective = Objective(systems.one(k))
            objective.evaluate = partial(meeting.ask, k)
            results[k] = solver.run(objective, x[k], False, watch, earlier.get(k))
        except BaseException as error:
            errors.append(error)
        finally:
            meeting.leave(k)

    threads = [threading.Thread(target=follow, args=(k,), daemon=True) for k in todo]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        meeting.interrupted = True
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]
    return results


def _gathered(
    system: ConstrainedSystem, results: list[MinimizeResult], lead: tuple[int, ...]
) -> ReplicaResult:
    """One result of many, with leading axes."""
    x = [result.x for result in results]

    def each(name: str) -> np.ndarray:
        return np.array([getattr(result, name) for result in results]).reshape(lead)

    names = ("energy", "relative_gradient", "n_overlaps", "status", "n_steps", "n_evaluations")
    whole = np.empty(len(results), dtype=object)
    whole[:] = results
    return ReplicaResult(
        system,
        namespace(*x).stack(x).reshape(*lead, -1),
        *(each(name) for name in names),
        seconds=max(result.seconds for result in results),
        history=tuple(result.history for result in results),
        replicas=whole.reshape(lead),
    )


def _row(point: Point, row: int) -> Point:
    """The point of one replica."""
    numbers = (float(v[row]) for v in (point.value, point.energy))
    return Point(
        point.y[row],
        *numbers,
        point.gradient[row],
        float(point.force[row]),
        int(point.n_overlaps[row]),
        float(point.residual[row]),
        _rows(point.memory, row),
    )


def _rows(memory: Any, rows: int | list[int]) -> Any:
    """The memory of one replica, or of several: the rows of what is an array."""
    if memory is None:
        return None
    return type(memory)(*(value if isinstance(value, int | float) else value[rows] for value in memory))


def _joined(memories: list[Any]) -> Any:
    """One memory of several replicas."""
    columns = zip(*memories, strict=True)
    return type(memories[0])(*(c[0] if isinstance(c[0], int) else _stacked(c) for c in columns))


def _stacked(values: Sequence[Any]) -> Any:
    return namespace(values[0]).stack(list(values)) if hasattr(values[0], "shape") else values[0]

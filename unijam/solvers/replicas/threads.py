"""Solvers with a line search or a damping, from many starts: one thread for each; they meet for evaluations."""

import threading
from collections.abc import Sequence
from functools import partial
from queue import SimpleQueue
from typing import Any

from ...support.arrays import Array, namespace
from ..history import Watch
from ..loop import Solver
from ..objective import Objective
from ..result import MinimizeResult
from .batched import Replicas, batched


class Meeting:
    """The place where threads meet: when all have asked for an evaluation, the last one evaluates for all."""

    def __init__(self, systems: Replicas, present: Sequence[int]) -> None:
        self.systems, self.present, self.lock = systems, set(present), threading.Lock()
        self.asked = dict[int, Array]()
        self.answers = {k: SimpleQueue[Any]() for k in present}
        self.company: tuple[int, ...] = ()
        self.interrupted, self.told = False, set[int]()  # Ctrl-C was pressed; the replicas that know it

    def ask(self, k: int, x: Array) -> tuple[Any, ...]:
        """(U, ∇U, Σ u'², N_Δ) of replica k at x, (n_dof,); waits for the other replicas. Errors are raised in all."""
        # After an interrupt a replica evaluates its last point alone: the others may have ended.
        if self.interrupted and k in self.told:
            return self.systems.one(k).evaluator()(x)
        with self.lock:
            self.asked[k] = x
            self._answer()
        found = self.answers[k].get()
        if isinstance(found, BaseException):
            self.told.add(k)
            raise found
        answer: tuple[Any, ...] = found
        return answer

    def leave(self, k: int) -> None:
        """Stop waiting for replica k, whose run has ended."""
        with self.lock:
            self.present.discard(k)
            self._answer()

    def _answer(self) -> None:
        """If all replicas have asked, evaluate for all of them and hand out the answers."""
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
        except BaseException as error:  # raised in every replica
            answers = dict.fromkeys(numbers, error)
        self.asked = {}
        for k, answer in answers.items():
            self.answers[k].put(answer)


def run_in_threads(
    solver: Solver,
    systems: Replicas,
    x: Array,
    todo: list[int],
    watch: Watch | None,
    earlier: dict[int, MinimizeResult],
) -> dict[int, MinimizeResult]:
    """The results of the replicas in `todo`, by number, from rows of x, (n, n_dof), or resumed from earlier results."""
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

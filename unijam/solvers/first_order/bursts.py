"""Many iterations of a first-order method in one compiled call, where the evaluator of the system is compiled.

A method is a state (a NamedTuple) and `advance`, one iteration with one evaluation, written once: interpreted it
serves every system, compiled it runs here in the numbering of the evaluator's list. Between bursts the loop has
its tests; within one a few numbers tell when there is something for it to look at.
"""

from typing import Any, NamedTuple

import numpy as np

from ...compiled import inline, loop
from ...compiled.dispatch import borrowed, named, reordered, unnamed
from ...support.arrays import Array
from ..objective import Objective
from ..point import Point
from .compiled_objective import CompiledObjective, compiled, relisted


def advance(state: tuple[Any, ...], objective: Any) -> Any:
    """The state after one more iteration, with its point."""
    raise NotImplementedError("a stub: what methods implement")


class Ends(NamedTuple):
    """When a burst ends before its time: a point that the loop's own tests may call the last.

    Attributes
    ----------
    residual, rounding : float
        Relative gradient asked for; or this over ‖u'‖, if larger.
    near_rounding : float
        Residual × typical force below which rounding is to be looked at (0 once `rounding` is known).
    largest_force : float
        Where positive, asked for instead: of the components of ∂E/∂y.
    least_energy : float
        U an overlap below which the last overlaps may open, where the scale is fixed.
    """

    residual: float
    rounding: float
    near_rounding: float
    largest_force: float
    least_energy: float


class Bursts:
    """A state of a method, kept in the numbering of its evaluator's list and moved on in bursts.

    Parameters
    ----------
    objective : Objective
        One whose evaluator has a `kernel`; a point was evaluated before.
    state : NamedTuple
        What `advance` takes, arrays in the user's numbering.
    step : function
        `advance` of such states, interpreted.
    """

    def __init__(self, objective: Objective, state: Any, step: Any) -> None:
        self.objective, self.step = objective, step
        self.evaluator: Any = objective.evaluate
        self.state: Any = None
        self._enter(state)

    def advance(self, most: int, ends: Ends) -> tuple[Point, int]:
        """The point reached, in the user's numbering, after at most so many iterations, and how many they were."""
        taken = 0
        while True:
            kernel, origin, served = self.evaluator.kernel, self.evaluator.origin, self.evaluator.served
            plain, fresh, self.evaluator.served, more, stale = _burst(
                self.state, self.compiled, origin, served, most - taken, ends
            )
            self.state = named(plain, self.state)
            taken += more
            self.objective.n_evaluations += more
            if fresh is not None:
                self.evaluator.adopt(*named(fresh, (kernel, origin)))
                self._adopt()
            if not stale:
                break
            # what compiled code leaves to others: a step longer than a list serves, an error
            state, taken = self.step(self._leave(self.state), self.objective), taken + 1
            self._enter(state)
            if taken == most or state.finished or _worth_a_look(state.point, self.objective.moving, ends):
                break
        return self._leave(self.state.point), taken

    def _enter(self, state: Any) -> None:
        self._adopt()
        self.state = _mapped(state, self._listed)

    def _adopt(self) -> None:
        kernel = self.evaluator.kernel
        self.places, self.back = self.evaluator.origin.places, self.evaluator.origin.back
        if self.objective.moving:
            self.back = np.append(self.back, len(self.back))  # the scale
        mask = self.objective.mask
        lengths = self.objective.lengths
        listed = np.empty(0) if mask is None else self._listed(mask.astype(np.float64))
        units = np.empty(0) if lengths is None else self._listed(1.0 / lengths)
        self.compiled = compiled(self.objective, kernel, listed, units)

    def _leave(self, state: Any) -> Any:
        return _mapped(state, self._restored)

    def _listed(self, v: Array) -> Array:
        """As the list has it: always with the scale, last."""
        n = len(self.places)
        listed = np.empty(n + 1)
        v.take(self.places, out=listed[:n], mode="clip")  # "raise" would copy twice
        listed[n] = v[n] if len(v) > n else 0.0
        return listed

    def _restored(self, v: Array) -> Array:
        return v.take(self.back)


def _mapped(state: Any, change: Any) -> Any:
    """A NamedTuple with its arrays, and those of the NamedTuples in it, changed."""
    members = list(state)
    for k, member in enumerate(members):
        if isinstance(member, np.ndarray):
            members[k] = change(member)
        elif isinstance(member, tuple):
            members[k] = _mapped(member, change)
    return tuple.__new__(type(state), members)


@loop
def _burst(
    state: Any, objective: CompiledObjective, origin: tuple[Any, ...], served: int, most: int, ends: Ends
) -> tuple[tuple[Any, ...], tuple[Any, ...] | None, int, int, bool]:
    """The state after at most so many iterations, the last list where it is new, evaluations by it, and how many.

    And whether the next step is not for compiled code: it is longer than a list serves, or no list is made here.
    States and lists are unnamed.
    """
    state, taken, stale = _stretch(state, objective, most, ends)
    served, fresh = served + taken, None
    while stale:
        objective, origin, order = relisted(objective, origin, state.point.y, served)
        if len(order) == 0:
            break
        fresh, served = (unnamed(objective.kernel), unnamed(origin)), 0
        state, more, stale = _stretch(reordered(state, order), objective, most - taken, ends)
        served, taken = served + more, taken + more
        if more == 0:
            break
    return unnamed(state), fresh, served, taken, stale


@inline
def _stretch(state: Any, objective: CompiledObjective, most: int, ends: Ends) -> tuple[Any, int, bool]:
    """The state after at most so many iterations, how many they were, and whether the list no longer serves."""
    objective = borrowed(objective)
    for taken in range(most):
        reached = advance(state, objective)
        seen = borrowed(reached)
        if seen.point.energy < 0:
            return state, taken, True
        state = reached
        if seen.finished or _worth_a_look(seen.point, objective.moving, ends):
            return state, taken + 1, False
    return state, most, False


@inline
def _worth_a_look(point: Point, moving: bool, ends: Ends) -> bool:
    if not np.isfinite(point.value):
        return True
    if not moving and (point.n_overlaps == 0 or point.energy < ends.least_energy * point.n_overlaps):
        return True
    if ends.largest_force > 0:
        norm = point.residual * point.force
        if norm > ends.largest_force * np.sqrt(len(point.gradient)):
            return False
        small: bool = np.abs(point.gradient).max() <= ends.largest_force
        return small
    if point.residual <= max(ends.residual, ends.rounding / point.force):
        return True
    rounded: bool = point.residual * point.force < ends.near_rounding * np.sqrt(max(point.n_overlaps, 1))
    return rounded

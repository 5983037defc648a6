"""Bursts: many iterations of a first-order method in one compiled call, if the evaluator of the system is compiled.

A method is a state (a NamedTuple) and `advance`, one iteration with one evaluation. It is written once: interpreted it
serves every system, compiled it runs here, in the numbering of the evaluator's neighbour list (docs/decisions/026).
The solver's loop makes its tests between bursts; a few numbers tell a burst when to end for such a test.
"""

from typing import Any, NamedTuple

import numpy as np

from ...compiled import inline, loop
from ...compiled.dispatch import borrowed, due, named, reordered, unnamed
from ...support.arrays import Array
from ..objective import Objective
from ..point import Point
from .compiled_objective import CompiledObjective, compiled, relisted


def advance(state: tuple[Any, ...], objective: Any) -> Any:
    """The state after one more iteration; a stub that each method implements for its own class of state."""
    raise NotImplementedError("a stub: what methods implement")


class Ends(NamedTuple):
    """Numbers that end a burst early, at a point that may pass one of the tests of the solver's loop.

    Attributes
    ----------
    residual, rounding : float
        The burst ends at a relative gradient of `residual`, or of rounding/‖u'‖ if that is larger.
    near_rounding : float
        It ends if residual × typical force is below this, so that the loop computes `rounding`; 0 once it is known.
    largest_force : float
        If positive, it ends instead when no component of ∂E/∂y is larger than this.
    least_energy : float
        It ends if U/N_Δ is below this and the scale is fixed: the last overlaps may then be opened.
    """

    residual: float
    rounding: float
    near_rounding: float
    largest_force: float
    least_energy: float


class Bursts:
    """The state of a method, in the numbering of its evaluator's list, advanced in bursts.

    Parameters
    ----------
    objective : Objective
        Its evaluator is a `CompiledEvaluator` that has evaluated a point before, so that it has a list.
    state : NamedTuple
        The state of the method, with arrays in the user's numbering.
    step : function
        `advance` of such states, interpreted.
    """

    def __init__(self, objective: Objective, state: Any, step: Any) -> None:
        self.objective, self.step = objective, step
        self.evaluator: Any = objective.evaluate
        self.state: Any = None
        self._enter(state)

    def advance(self, most: int, ends: Ends) -> tuple[Point, int]:
        """(point, iterations): advance by at most `most` iterations; the point is in the user's numbering."""
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
            # Compiled code could not take the next step: it is longer than a list allows, or raises an error. The
            # interpreted method takes it.
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
            self.back = np.append(self.back, len(self.back))  # the scale stays the last entry
        mask = self.objective.mask
        lengths = self.objective.lengths
        listed = np.empty(0) if mask is None else self._listed(mask.astype(np.float64))
        units = np.empty(0) if lengths is None else self._listed(1.0 / lengths)
        self.compiled = compiled(self.objective, kernel, listed, units)

    def _leave(self, state: Any) -> Any:
        return _mapped(state, self._restored)

    def _listed(self, v: Array) -> Array:
        """v, (n_dof,) or (n_dof + 1,), in the order of the neighbour list; the last entry is the scale, or 0."""
        n = len(self.places)
        listed = np.empty(n + 1)
        v.take(self.places, out=listed[:n], mode="clip")  # mode "raise" would copy twice
        listed[n] = v[n] if len(v) > n else 0.0
        return listed

    def _restored(self, v: Array) -> Array:
        return v.take(self.back)


def _mapped(state: Any, change: Any) -> Any:
    """A NamedTuple in which the function `change` is applied to each array, at any depth."""
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
    """(state, list, served, taken, stale) after at most `most` iterations.

    - state, without the names of its NamedTuples (see `unnamed`);
    - the last neighbour list and its origin, unnamed too, or None if no new list was made;
    - the number of evaluations that used this list;
    - the number of iterations;
    - whether compiled code cannot take the next step: it is longer than a list allows, or lists cannot be made here.
    """
    taken, fresh, stale, goes_on = 0, None, False, True
    while goes_on and taken < most:
        # after a fixed number of evaluations, so that the path does not depend on where bursts end
        left = due(objective.kernel, origin) - served
        renewed = stale or left <= 0
        if renewed:
            objective, origin, order = relisted(objective, origin, state.point.y, served)
            if len(order) == 0:
                stale = True
                break
            fresh, served = (unnamed(objective.kernel), unnamed(origin)), 0
            state, left = reordered(state, order), due(objective.kernel, origin)
        state, more, stale, goes_on = _stretch(state, objective, min(most - taken, left), ends)
        served, taken = served + more, taken + more
        if renewed and more == 0:
            break
    return unnamed(state), fresh, served, taken, stale


@inline
def _stretch(state: Any, objective: CompiledObjective, most: int, ends: Ends) -> tuple[Any, int, bool, bool]:
    """(state, iterations, stale, goes on) after at most `most` iterations.

    stale: the list is out of date for the next one; goes on: no test of the solver's loop is due.
    """
    objective = borrowed(objective)
    for taken in range(most):
        reached = advance(state, objective)
        seen = borrowed(reached)
        if seen.point.energy < 0:  # how an evaluator says that its list is out of date
            return state, taken, True, True
        state = reached
        if seen.finished or _worth_a_look(seen.point, objective.moving, ends):
            return state, taken + 1, False, False
    return state, most, False, True


@inline
def _worth_a_look(point: Point, moving: bool, ends: Ends) -> bool:
    """Whether a point may pass one of the tests of the solver's loop."""
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

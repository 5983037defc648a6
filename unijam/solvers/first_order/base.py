"""First-order methods: an iteration is one function of the state; many run in one compiled call if possible."""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

from ..loop import Solver
from ..objective import Objective
from ..point import Point
from ..verdict import opening
from .bursts import Bursts, Ends

# A burst has at most LONGEST / n_dof iterations, but may have SHORTEST: Ctrl-C is noticed only between bursts.
SHORTEST, LONGEST = 100, 10**6


class FirstOrder(Solver):
    """A method whose iteration is one function of its state with one evaluation.

    If the evaluator of the system is compiled, it runs in bursts: many iterations in one compiled call.
    """

    @abstractmethod
    def begin(self, objective: Objective, point: Point) -> Any:
        """The state at a point: a NamedTuple with at least the fields `point` and `finished`."""

    @staticmethod
    @abstractmethod
    def advance(state: Any, objective: Objective) -> Any:
        """The state after one more iteration; compiled loops know the same function as `bursts.advance`."""

    def iterate(self, objective: Objective, point: Point) -> Iterator[Point]:
        state = self.begin(objective, point)
        while not state.finished:
            state = self.advance(state, objective)
            yield state.point

    def visits(
        self, objective: Objective, point: Point, most: Callable[[], int]
    ) -> Iterator[tuple[Point, int]]:
        if not objective.in_bursts:
            yield from super().visits(objective, point, most)
            return
        state = self.begin(objective, point)
        bursts = Bursts(objective, state, self.advance)
        longest = max(SHORTEST, LONGEST // len(point.y))
        while not bursts.state.finished:
            yield bursts.advance(min(most(), longest), self._ends(objective))

    def _ends(self, objective: Objective) -> Ends:
        a = objective.system.potential.exponent
        near = math.inf if objective.far is None else objective.far
        return Ends(
            residual=self.gradient_tolerance,
            rounding=objective.rounding or 0.0,
            near_rounding=0.0 if objective.rounding else near,
            largest_force=self.force_tolerance or 0.0,
            least_energy=objective.system.potential.modulus * opening(objective) ** a / a,
        )

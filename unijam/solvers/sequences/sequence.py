"""The base class of sequences of solvers: an interrupt returns what they have reached."""

from abc import abstractmethod
from dataclasses import replace

from ...support.arrays import Array
from ...support.interrupts import is_interrupt
from ..method import Method
from ..objective import Objective
from ..result import MinimizeResult, joined


class Sequence(Method):
    """Several solvers, each of which starts where an earlier one ended.

    A solver returns what it has reached when it is interrupted, but it has nothing before its first point. What the
    solvers before it have reached is returned then.
    """

    def run(self, objective: Objective, x: Array, progress: bool = False) -> MinimizeResult:
        """Run the solvers one after the other; parameters as in `Method.run`."""
        results: list[MinimizeResult] = []
        try:
            return self.follow(objective, x, progress, results)
        except (KeyboardInterrupt, SystemError) as error:
            if not results or not is_interrupt(error):
                raise
            return replace(joined(results), status="interrupted", interrupted=True)

    @abstractmethod
    def follow(
        self, objective: Objective, x: Array, progress: bool, results: list[MinimizeResult]
    ) -> MinimizeResult:
        """Run the solvers, and append each result to `results` at once; the result of the whole."""

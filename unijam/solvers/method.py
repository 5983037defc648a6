"""What all methods share: a single solver, stages, rounds, a search."""

from abc import ABC, abstractmethod

from ..support.arrays import Array
from .objective import Objective
from .result import MinimizeResult


class Method(ABC):
    """A way to a minimum: a small frozen object of options that `minimize` takes.

    Subclasses: `Solver` (one iteration, which may be watched and resumed), `Stages`, `Rounds` and `FitSearch` (made of
    solvers).
    """

    @abstractmethod
    def run(self, objective: Objective, x: Array, progress: bool = False) -> MinimizeResult:
        """Minimise an objective from x.

        Parameters
        ----------
        objective : Objective
            With its weight decay and conjugate force.
        x : (n_dof,) array
            In the kind of array of the system; not checked again.
        progress : bool
            Show a line that says where the work stands.

        Returns
        -------
        MinimizeResult
            What was reached, interrupted or not.
        """

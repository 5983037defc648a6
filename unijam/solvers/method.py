"""The base class of all methods: single solvers, stages, rounds, a search."""

from abc import ABC, abstractmethod

from ..support.arrays import Array
from .objective import Objective
from .result import MinimizeResult


class Method(ABC):
    """A method of minimisation: a small frozen object of options, which `minimize` takes.

    Subclasses are `Solver` (a single iteration, which can be watched and resumed), and `Stages`, `Rounds` and
    `FitSearch` (sequences of solvers).
    """

    @abstractmethod
    def run(self, objective: Objective, x: Array, progress: bool = False) -> MinimizeResult:
        """Minimise an objective from x.

        Parameters
        ----------
        objective : Objective
            Its weight decay and conjugate force apply.
        x : (n_dof,) array
            Of the array library, precision and device of the system; not checked again.
        progress : bool
            Show a line of progress.

        Returns
        -------
        MinimizeResult
            Also after an interrupt (Ctrl-C), with the state reached.
        """

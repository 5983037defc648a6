"""The systems of replicas, and an evaluator of all of them at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.capabilities import BatchedEvaluator, Replicated
from ...core.system import ConstrainedSystem
from ...support.arrays import Array, namespace


@dataclass(frozen=True)
class Replicas:
    """The systems of replicas, numbered from 0 along the leading axes `lead` of x."""

    system: ConstrainedSystem
    lead: tuple[int, ...]

    def one(self, k: int) -> ConstrainedSystem:
        """The system of replica k."""
        if not isinstance(self.system, Replicated):
            return self.system
        return self.system.replica(tuple(int(i) for i in np.unravel_index(k, self.lead)))

    def some(self, numbers: Sequence[int]) -> ConstrainedSystem:
        """The system of several replicas, with one leading axis."""
        if not isinstance(self.system, Replicated):
            return self.system
        return self.system.replica(np.unravel_index(np.array(numbers), self.lead))


def batched(system: ConstrainedSystem) -> Callable[[Array], tuple[Any, ...]]:
    """A function of x, (k, n_dof), that returns U, (k,), ∇U, (k, n_dof), Σ u'², (k,), and N_Δ, (k,).

    It is the system's own evaluator if that is batched; otherwise it evaluates one replica after the other.
    """
    evaluate = system.evaluator()
    if isinstance(evaluate, BatchedEvaluator):
        return evaluate

    def evaluate_each(x: Array) -> tuple[Any, ...]:
        found = [evaluate(row) for row in x]
        gradient = namespace(x).stack([each[1] for each in found])
        energy, square, n_overlaps = (np.array([each[i] for each in found]) for i in (0, 2, 3))
        return energy, gradient, square, n_overlaps

    return evaluate_each

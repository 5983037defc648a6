"""Gradient descent, on all data or on mini-batches."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ...linalg.vectors import moved
from ..models import largest_curvature
from ..objective import Objective
from ..point import Point
from .descent import Descent


class _Memory(NamedTuple):
    step: int
    rate: float


@dataclass(frozen=True)
class GradientDescent(Descent):
    """Gradient descent: y ← y − learning_rate × ∂E/∂y.

    Attributes
    ----------
    learning_rate : float, function of the step (from 0) or None
        In units of 1/stiffness: it turns a force into a step. None: 1 over the largest curvature at the start.

    Examples
    --------
    >>> import unijam as uj
    >>> start = uj.SoftSpheres.random(n=32, packing_fraction=1.0)
    >>> result = uj.minimize(start, None, uj.GradientDescent(max_steps=20))
    >>> result.status, result.energy < uj.energy(start, start.constraints(start.initial))
    ('step-limit', True)
    """

    def iterate(self, objective: Objective, point: Point) -> Iterator[Point]:
        step, found = point.memory or (0, self._found(objective, point))
        evaluate = self.evaluations(objective)
        if self.sampled:
            point = evaluate(point.y, step, None)
        while True:
            y = moved(point.y, -self.rate(step, found), point.gradient)
            step += 1
            point = evaluate(y, step, _Memory(step, found))
            yield point

    def _found(self, objective: Objective, point: Point) -> float:
        if self.learning_rate is not None:
            return 0.0
        rate: float = objective.along(1.0 / largest_curvature(objective, point), point.y)
        return rate

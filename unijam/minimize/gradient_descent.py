"""Gradient descent at a constant learning rate."""

from collections.abc import Iterator
from dataclasses import dataclass

from ..validation import require
from .loop import Solver
from .objective import Objective, Point


@dataclass(frozen=True)
class GradientDescent(Solver):
    """y ← y − learning_rate ∂E/∂y.

    Attributes
    ----------
    learning_rate : float or None
        None: 1 / (largest curvature at the start).
    """

    learning_rate: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        positive = self.learning_rate is None or self.learning_rate > 0
        require(positive, "learning_rate", self.learning_rate, "positive, or None")

    def iterate(self, objective: Objective, point: Point) -> Iterator[Point]:
        rate = self.learning_rate or 1.0 / objective.largest_curvature(point)
        while True:
            point = objective(point.y - rate * point.gradient)
            yield point

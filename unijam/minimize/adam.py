"""Adam: gradient descent whose steps are scaled by running moments of each gradient component."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ..validation import require
from .loop import Solver
from .objective import Objective, Point


@dataclass(frozen=True)
class Adam(Solver):
    """Full-batch Adam.

    Attributes
    ----------
    learning_rate : float or None
        The step of every degree of freedom. None: the typical step of gradient descent at the start, root mean
        square gradient over the largest curvature, lowered as 1/√(1 + t/100).

    Notes
    -----
    Source: D. P. Kingma, J. Ba, arXiv:1412.6980, algorithm 1.
    """

    learning_rate: float | None = None
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        positive = self.learning_rate is None or self.learning_rate > 0
        require(positive, "learning_rate", self.learning_rate, "positive, or None")
        require(self.epsilon >= 0, "epsilon", self.epsilon, "zero or positive")
        require(0 <= self.beta1 < 1, "beta1", self.beta1, "at least 0 and below 1")
        require(0 <= self.beta2 < 1, "beta2", self.beta2, "at least 0 and below 1")

    def iterate(self, objective: Objective, point: Point) -> Iterator[Point]:
        typical = math.sqrt(float(point.gradient @ point.gradient) / point.gradient.shape[0])
        rate = self.learning_rate or typical / objective.largest_curvature(point)
        first, second = 0.0 * point.gradient, 0.0 * point.gradient
        t = 0
        while True:
            t += 1
            first = self.beta1 * first + (1 - self.beta1) * point.gradient
            second = self.beta2 * second + (1 - self.beta2) * point.gradient**2
            damped = (second / (1 - self.beta2**t)) ** 0.5 + self.epsilon
            lowered = 1.0 if self.learning_rate else 1 / math.sqrt(1 + t / 100)
            point = objective(point.y - (rate * lowered / (1 - self.beta1**t)) * first / damped)
            yield point

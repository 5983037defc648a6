"""Adam: gradient descent with steps that are scaled by running moments of each component of the gradient."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ...linalg.vectors import adam_move
from ...support.arrays import Array
from ...support.validation import require
from ..models import largest_curvature
from ..objective import Objective
from ..point import Point
from .descent import Descent


class _Memory(NamedTuple):
    step: int
    rate: float
    first: Array  # the running mean of the gradient, updated in place
    second: Array  # the running mean of its square, updated in place


@dataclass(frozen=True)
class Adam(Descent):
    """Adam, on all data or on mini-batches.

    Attributes
    ----------
    learning_rate : float, function of the step (from 0) or None
        The step of every degree of freedom, in units of x. None: the typical step of gradient descent at the start
        (root mean square gradient over the largest curvature), lowered as 1/√(1 + t/100).
    beta1, beta2 : float
        The shares of the first and the second moment that remain after a step, at least 0 and below 1.
    epsilon : float
        Added to the root of the second moment, in units of the force of an overlap of one `unit`.

    Notes
    -----
    Source: D. P. Kingma, J. Ba, arXiv:1412.6980, algorithm 1.

    Examples
    --------
    >>> import unijam as uj
    >>> network = uj.FullyConnected.random(depth=1, width=8, input_dimension=8, n_data=30, weights="free")
    >>> uj.minimize(network, None, uj.Adam(learning_rate=0.01, max_steps=20)).n_steps
    20
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.epsilon >= 0, "epsilon", self.epsilon, "zero or positive")
        require(0 <= self.beta1 < 1, "beta1", self.beta1, "at least 0 and below 1")
        require(0 <= self.beta2 < 1, "beta2", self.beta2, "at least 0 and below 1")

    def iterate(self, objective: Objective, point: Point) -> Iterator[Point]:
        step, found, first, second = point.memory or self._fresh(objective, point)
        first, second = 1.0 * first, 1.0 * second  # copies: another run may resume the same result
        evaluate, epsilon = self.evaluations(objective), self.epsilon * objective.force_unit
        if self.sampled:
            point = evaluate(point.y, step, None)
        while True:
            rate = self.rate(step, found / math.sqrt(1 + (step + 1) / 100))
            step += 1
            unbias = math.sqrt(1 - self.beta2**step)
            y = adam_move(
                point.y,
                point.gradient,
                first,
                second,
                self.beta1,
                self.beta2,
                rate * unbias / (1 - self.beta1**step),
                epsilon * unbias,
            )
            point = evaluate(y, step, _Memory(step, found, first, second))
            yield point

    def _fresh(self, objective: Objective, point: Point) -> _Memory:
        found = 0.0
        if self.learning_rate is None:
            typical = point.residual * point.force / math.sqrt(point.y.shape[-1])  # root mean square gradient
            found = objective.along(typical / largest_curvature(objective, point), point.y)
        return _Memory(0, found, 0.0 * point.gradient, 0.0 * point.gradient)

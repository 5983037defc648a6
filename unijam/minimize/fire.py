"""FIRE 2: molecular dynamics that is steered downhill and halted whenever it climbs."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ..validation import require
from .loop import Solver
from .objective import Objective, Point
from .vectors import blend, moved, products


@dataclass(frozen=True)
class Fire(Solver):
    """The fast inertial relaxation engine, version 2 (semi-implicit Euler, half a step back when it climbs).

    Attributes
    ----------
    max_time_step : float or None
        None: 0.9 / √(largest curvature at the start); above 1.2 of that it fails.
    max_step : float
        The largest change of a degree of freedom in one step.

    Notes
    -----
    Source: J. Guénolé et al., Comput. Mater. Sci. 175, 109584 (2020), algorithm 2.
    """

    max_time_step: float | None = None
    max_step: float = 0.1
    acceleration: float = 1.1
    braking: float = 0.5
    mixing: float = 0.25
    mixing_decay: float = 0.99
    delay: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        positive = self.max_time_step is None or self.max_time_step > 0
        require(positive, "max_time_step", self.max_time_step, "positive, or None")
        require(self.max_step > 0, "max_step", self.max_step, "positive")
        require(self.delay >= 0, "delay", self.delay, "zero or positive")
        require(self.acceleration >= 1, "acceleration", self.acceleration, "at least 1")
        for name in ("braking", "mixing", "mixing_decay"):
            require(0 < getattr(self, name) <= 1, name, getattr(self, name), "above 0 and at most 1")

    def iterate(self, objective: Objective, point: Point) -> Iterator[Point]:
        longest = self.max_time_step or 0.9 / math.sqrt(objective.largest_curvature(point))
        shortest, dt = 0.005 * longest, 0.25 * longest
        mixing, downhill = self.mixing, 0
        velocity, kinetic = 0.0 * point.y, 0.0  # kinetic: velocity·velocity
        while True:
            square, slope = products(point.gradient, velocity)
            if square == 0:
                return
            y, norm, power = point.y, math.sqrt(square), -slope
            if power > 0:
                downhill += 1
                if downhill > self.delay:
                    dt = min(dt * self.acceleration, longest)
                    mixing *= self.mixing_decay
            else:
                downhill, mixing = 0, self.mixing
                dt = max(dt * self.braking, shortest)
                y = moved(y, -0.5 * dt, velocity)
                velocity, kinetic, power = 0.0 * velocity, 0.0, 0.0
            # a kick by −dt ∇E, then the direction is mixed with that of −∇E at the same speed
            speed = math.sqrt(kinetic + dt * (2 * power + dt * square))
            kick = (1 - mixing) * dt + mixing * speed / norm
            velocity, kinetic, _, fastest = blend(1 - mixing, velocity, -kick, point.gradient)
            point = objective(moved(y, min(dt, self.max_step / fastest), velocity))
            yield point

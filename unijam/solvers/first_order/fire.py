"""FIRE 2: molecular dynamics with velocities turned towards −∇E, stopped whenever they point uphill."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from ...compiled.dispatch import borrowed, implements
from ...core.capabilities import step_unit
from ...linalg.vectors import blend, moved, products
from ...support.arrays import Array
from ...support.validation import require
from ..models import largest_curvature
from ..objective import Objective
from ..point import Point
from . import bursts
from .base import FirstOrder
from .compiled_objective import evaluated


@dataclass(frozen=True)
class Fire(FirstOrder):
    """The fast inertial relaxation engine, version 2: semi-implicit Euler, and half a step back when it moves uphill.

    Attributes
    ----------
    max_time_step : float or None
        In units of 1/√(stiffness). None: 0.9 / √(largest curvature at the start). A time step 1.2 times as large
        is unstable.
    max_step : float
        The largest change of a degree of freedom in one step, in units of the system's `step_unit`.
    acceleration, braking : float
        Factors of the time step: for each step downhill after the first `delay` ones; for a step uphill.
    mixing, mixing_decay : float
        The share of −∇E in the direction after a step uphill, and its factor for each step downhill.
    delay : int
        The number of steps downhill after which the time step begins to grow.

    Notes
    -----
    Source: J. Guénolé et al., Comput. Mater. Sci. 175, 109584 (2020), algorithm 2.

    Examples
    --------
    >>> import unijam as uj
    >>> solver = uj.Fire(gradient_tolerance=1e-6)
    >>> uj.minimize(uj.SoftSpheres.random(n=32, packing_fraction=1.0), None, solver).relative_gradient < 1e-6
    True
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

    def begin(self, objective: Objective, point: Point) -> "Motion":
        longest = self.max_time_step or 0.9 / math.sqrt(largest_curvature(objective, point))
        rules = Rules(
            *(longest, self.max_step * step_unit(objective.system), self.acceleration, self.braking),
            *(self.mixing, self.mixing_decay, self.delay),
        )
        # at rest, with a quarter of the longest time step
        return Motion(point, point.residual == 0, 0.0 * point.y, 0.0, 0.25 * longest, self.mixing, 0, rules)

    @staticmethod
    def advance(state: "Motion", objective: Objective) -> "Motion":
        return _advance(state, objective)


class Rules(NamedTuple):
    """The options of `Fire`, in a form that compiled code can read."""

    max_time_step: float
    max_step: float
    acceleration: float
    braking: float
    mixing: float
    mixing_decay: float
    delay: int


class Motion(NamedTuple):
    """The state of FIRE.

    Attributes
    ----------
    point : Point
    finished : bool
        Whether the gradient vanishes.
    velocity, kinetic : array, float
        The velocity, and velocity·velocity.
    dt, mixing, downhill : float, float, int
        The time step, the share of −∇E in the direction, and the number of steps since it last moved uphill.
    rules : Rules
    """

    point: Point
    finished: bool
    velocity: Array
    kinetic: float
    dt: float
    mixing: float
    downhill: int
    rules: Rules


@implements(bursts.advance, Motion)
def _advance(state: Motion, objective: Objective) -> Motion:
    s = borrowed(state)
    rules = s.rules
    square, slope = products(s.point.gradient, s.velocity)
    y, velocity, kinetic, norm, power = s.point.y, s.velocity, s.kinetic, math.sqrt(square), -slope
    dt, mixing, downhill = s.dt, s.mixing, s.downhill
    if power > 0:
        downhill += 1
        if downhill > rules.delay:
            dt = min(dt * rules.acceleration, rules.max_time_step)
            mixing *= rules.mixing_decay
    else:
        downhill, mixing = 0, rules.mixing
        dt = max(dt * rules.braking, 0.005 * rules.max_time_step)  # the source's Δt_min
        y = moved(y, -0.5 * dt, velocity)  # half a step back: it went too far
        velocity, kinetic, power = 0.0 * velocity, 0.0, 0.0
    # The velocity gets a kick −dt ∇E, and its direction is then mixed with that of −∇E at the same speed.
    speed = math.sqrt(kinetic + dt * (2 * power + dt * square))
    kick = (1 - mixing) * dt + mixing * speed / norm
    velocity, kinetic, _, fastest = blend(1 - mixing, velocity, -kick, s.point.gradient)
    point = evaluated(objective, moved(y, min(dt, rules.max_step / fastest), velocity))
    return Motion(point, point.residual == 0, velocity, kinetic, dt, mixing, downhill, rules)

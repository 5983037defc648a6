"""Tests whether a run is held up by a kink of U that its method does not know, such as a min or max in Δ."""

import math

import numpy as np

from ..core.capabilities import HasData
from ..support.arrays import is_torch, namespace
from .objective import Objective
from .point import Point

# A kink is looked for after this many steps without progress, then after twice as many, and so on.
FIRST = 30
# A step is progress if E or the relative gradient falls below this share of its lowest value so far.
PROGRESS = 0.9
# A kink is looked for at these distances downhill, from the first to the second, in units of 1 + |y|.
NEAREST, FARTHEST = 1e-9, 10.0
# The kink is bracketed to this width, in units of 1 + |y|. Across it a smooth slope hardly changes.
WIDTH = 1e-12
# If the slope changes by more than this share of the slope downhill across the bracket, there is a kink.
JUMP = 1e-2
EVALUATIONS = 100  # at most, for one search
# A point with a relative gradient below this may lie on the kink itself: torch shares the slope at a kink evenly.
SMALL = 1e-9
# For such a point slopes are compared at this distance on two sides, in units of 1 + |y|, and at CLOSER times less.
ASIDE, CLOSER = 1e-6, 64.0
KINK = (
    "the run ends at a kink of U (a min, max, |·| or where in Δ, or a jump of u') that its steps cannot follow: "
    "write one constraint for each distance instead of their minimum, or make Δ smooth."
)


def kink_ahead(objective: Objective, point: Point) -> bool:
    """Whether the first minimum of E along −∇E from a point lies on a kink, where the slope jumps.

    The minimum is bracketed and bisected. If E is smooth, the slopes on the two sides of the bracket become equal.
    """
    norm, size = float(point.gradient @ point.gradient) ** 0.5, 1.0 + float(point.y @ point.y) ** 0.5
    if norm <= SMALL * point.force:
        return _kink_here(objective, point, size)
    if not norm < math.inf:
        return False
    down = point.gradient * (-1.0 / norm)
    low, below, high, above = 0.0, -norm, math.inf, 0.0
    # 32 machine epsilons are wider than WIDTH in single precision
    step, width = NEAREST * size, max(WIDTH, 32 * float(namespace(point.y).finfo(point.y.dtype).eps))
    for _ in range(EVALUATIONS):
        if high - low <= width * size:
            return bool(above - below > JUMP * norm)
        t = step if high == math.inf else 0.5 * (low + high)
        there = objective(point.y + t * down)
        slope = float(there.gradient @ down) if math.isfinite(there.value) else math.nan
        if not math.isfinite(slope) or (high == math.inf and t > FARTHEST * size):
            return False
        if slope > 0:
            high, above = t, slope
        else:
            low, below, step = t, slope, 4 * t
    return False


def _kink_here(objective: Objective, point: Point, size: float) -> bool:
    """Whether the slope along a random direction jumps at the point.

    A smooth slope would differ 64 times less between two sides that are 64 times closer; a jump stays the same.
    """
    drawn = np.random.default_rng(0).standard_normal(len(point.y))
    direction = namespace(point.y).asarray(drawn, dtype=point.y.dtype, device=point.y.device)
    direction = direction / float(direction @ direction) ** 0.5
    jumps = []
    for distance in (ASIDE * size, ASIDE * size / CLOSER):
        sides = [objective(point.y + side * distance * direction) for side in (1.0, -1.0)]
        jumps.append(float((sides[0].gradient - sides[1].gradient) @ direction))
    return 0 < jumps[0] < 2 * jumps[1]


class Progressing:
    """Watches whether a run makes progress, and looks for a kink if it does not.

    It does so only for torch systems without data. Packings have no kinks, and networks have methods that know theirs.
    """

    def __init__(self, objective: Objective) -> None:
        system = objective.system
        self.looks = is_torch(system.initial) and not isinstance(system, HasData)
        self.value, self.residual, self.since, self.patience = math.inf, math.inf, 0, FIRST

    def held_up(self, objective: Objective, point: Point, taken: int) -> bool:
        """Whether a kink holds the run up. It is looked for after 30, 60, 120, … steps without progress.

        Parameters
        ----------
        objective : Objective
        point : Point
            The last point.
        taken : int
            Steps since the last call.
        """
        if not self.looks:
            return False
        self.since += taken
        if point.value < PROGRESS * self.value or point.residual < PROGRESS * self.residual:
            self.value, self.residual = min(self.value, point.value), min(self.residual, point.residual)
            self.since = 0
        if self.since < self.patience:
            return False
        self.since, self.patience = 0, 2 * self.patience
        return kink_ahead(objective, point)

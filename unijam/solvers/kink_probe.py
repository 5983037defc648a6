"""Whether a run is held up by a kink of U that its method does not know: a min or max in Δ, say, that was not seen."""

import math

import numpy as np

from ..core.capabilities import HasData
from ..support.arrays import is_torch, namespace
from .objective import Objective
from .point import Point

FIRST = 30  # steps without progress after which a kink is looked for, then twice as many
PROGRESS = 0.9  # share of the least E and of the least relative gradient so far that counts as progress
NEAREST, FARTHEST = 1e-9, 10.0  # of 1 + |y|: how far downhill a kink is looked for
WIDTH = 1e-12  # of 1 + |y|: across such a distance a smooth slope hardly changes
JUMP = 1e-2  # of the slope downhill: what a kink changes it by at least
EVALUATIONS = 100
SMALL = 1e-9  # relative gradient of a point that may lie on the kink itself, where torch shares slopes evenly
ASIDE, CLOSER = 1e-6, 64.0  # of 1 + |y|: the two sides of such a point; and once more, so many times closer
KINK = (
    "the run ends at a kink of U (a min, max, |·| or where in Δ, or a jump of u') that its steps cannot follow: "
    "write one constraint for each distance instead of their minimum, or make Δ smooth."
)


def kink_ahead(objective: Objective, point: Point) -> bool:
    """Whether E, straight downhill from a point, has its first minimum on a kink: there the slope jumps.

    The minimum is bracketed and bisected; where E is smooth the slopes on both sides meet.
    """
    norm, size = float(point.gradient @ point.gradient) ** 0.5, 1.0 + float(point.y @ point.y) ** 0.5
    if norm <= SMALL * point.force:
        return _kink_here(objective, point, size)
    if not norm < math.inf:
        return False
    down = point.gradient * (-1.0 / norm)
    low, below, high, above = 0.0, -norm, math.inf, 0.0
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
    """Whether the slope jumps at the point: between its two sides by as much as between nearer ones."""
    drawn = np.random.default_rng(0).standard_normal(len(point.y))
    direction = namespace(point.y).asarray(drawn, dtype=point.y.dtype, device=point.y.device)
    direction = direction / float(direction @ direction) ** 0.5
    jumps = []
    for distance in (ASIDE * size, ASIDE * size / CLOSER):
        sides = [objective(point.y + side * distance * direction) for side in (1.0, -1.0)]
        jumps.append(float((sides[0].gradient - sides[1].gradient) @ direction))
    return 0 < jumps[0] < 2 * jumps[1]


class Progressing:
    """Whether a run still comes nearer; where it does not, the loop looks for a kink.

    Only of tensors without data: the lists of packings have no kinks, and those of networks have methods of their own.
    """

    def __init__(self, objective: Objective) -> None:
        system = objective.system
        self.looks = is_torch(system.initial) and not isinstance(system, HasData)
        self.value, self.residual, self.since, self.patience = math.inf, math.inf, 0, FIRST

    def held_up(self, objective: Objective, point: Point, taken: int) -> bool:
        """Whether a kink is what holds the run up, looked for after 30, 60, 120, … steps without progress."""
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

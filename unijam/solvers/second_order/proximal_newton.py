"""Newton's method for energies with kinks (ReLU, |·|, max): the model contains them, and a minimum may sit on them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from ...support.arrays import is_torch, namespace
from ...support.validation import require
from ..loop import Solver
from ..models import newton_model
from ..objective import Objective
from ..point import Point
from .kinked_objective import KinkedObjective
from .proximal_model import ProximalModel, ProximalStep
from .trust_region_newton import leave_saddle

FLOOR = 1e-13  # the smallest shift, in units of the mean stiffness: what rounding of H amounts to
ON_KINK = 1e-11  # a held z vanishes if it is below this fraction of the typical z
# A decrease below this fraction of E is lost in rounding; the gradient decides then whether a step is accepted.
LOST = 1e-10
# If a step changes the pull on some kink by more than the first fraction, slopes are computed again from the pulls, and
# kept inside (0, 1) by the second number.
CHANGED, EDGE = 0.3, 1e-3


@dataclass(frozen=True)
class ProximalNewton(Solver):
    """Proximal Newton steps with the kinks in the model. It ends at minima of U, on kinks or off them.

    `relative_gradient` of the result is the directional stationarity: the gradient with the best slopes on the kinks
    that the result's system holds. A point is converged only if these slopes lie between those of the two sides, by at
    least 1e-9 (as `certify` asks), every held z vanishes, and H on the tangent space has no negative mode.

    Attributes
    ----------
    max_step : float
        The longest step, in units of |x|, or of the system's `step_unit` where |x| is smaller.
    initial_shift : float
        The shift of H after the whole step has been refused for the first time, in units of the mean stiffness.

    Examples
    --------
    >>> import torch
    >>> import unijam as uj
    >>> class Valley(uj.AutodiffSystem):
    ...     initial = torch.tensor([0.3, 0.2], dtype=torch.float64)
    ...     def delta(self, x):
    ...         return (1 + abs(x[0]) + (x[1] - 0.5) ** 2)[None]
    >>> result = uj.minimize(Valley(), None, uj.ProximalNewton())
    >>> result.status, abs(float(result.x[0])) < 1e-12
    ('converged', True)
    """

    max_steps: int = 300
    max_step: float = 0.3
    initial_shift: float = 1e-2
    sees_curvature: ClassVar[bool] = True
    leaves_kinks: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.max_step > 0, "max_step", self.max_step, "positive")
        require(self.initial_shift > 0, "initial_shift", self.initial_shift, "positive")

    def prepared(self, objective: Objective) -> Objective:
        system = objective.system
        wanted = f"TrustRegionNewton, say, for {type(system).__name__}: its derivatives are no dense tensors"
        require(is_torch(system.initial) and not system.matrix_free, "solver", "ProximalNewton", wanted)
        return KinkedObjective.of(objective)

    def converged(self, objective: Objective, point: Point) -> bool:
        """Whether the gradient of a point is small, its slopes are strictly inside, and every held z vanishes."""
        return super().converged(objective, point) and _on_kinks(objective, point)

    def iterate(self, objective: Objective, point: Point) -> Iterator[Point]:
        assert isinstance(objective, KinkedObjective)
        shift, first = FLOOR, True  # the whole step is tried first (docs/decisions/022)
        while True:
            if self.converged(objective, point):  # the loop did not end here, so this is a saddle
                reached = leave_saddle(objective, point, newton_model(objective, point).lowest_mode())
                if reached is None:
                    return
                point = reached
                yield point
            model, value, growth = (
                ProximalModel(objective, point, self.max_step),
                objective.value(point.y)[0],
                4.0,
            )
            while True:
                step = model.step(shift)
                if step is not None:
                    gained = value - objective.value(step.y)[0]
                    lost = step.promised < LOST * abs(value)
                    # a step is tried if E falls by at least 1e-4 of what the model promises
                    if lost or gained > 1e-4 * step.promised:
                        reached = objective.holding(step.y, (step.members, step.slopes))
                        if (
                            not lost
                            or reached.residual < point.residual
                            or self.converged(objective, reached)
                        ):
                            break
                # the shift grows faster with each refusal: from the floor the right one is many orders away
                shift = max(growth * shift, self.initial_shift if first else 0.0)
                first, growth = False, 2 * growth
                if shift > 1e10:  # no step descends, however short
                    return
            first = False
            # The model is good if E falls by more than 3/4 of its promise, and bad below 1/4: the shift follows.
            if gained > 0.75 * step.promised:
                shift = max(shift / (16 if gained > 0.9 * step.promised else 4), FLOOR)
            elif gained < 0.25 * step.promised:
                shift *= 2
            point = _with_pulls(objective, reached, step)
            yield point


def _on_kinks(objective: Objective, point: Point) -> bool:
    """Whether every held z of a point vanishes, on a convex kink with a slope that is not degenerate."""
    assert isinstance(objective, KinkedObjective)
    kinks, held = objective.kinks(point), objective.system_at(point).kinks
    if held is None or not len(held[1]):
        return True
    z = kinks.values[kinks.held]
    typical = float((kinks.values @ kinks.values) / len(kinks.values)) ** 0.5
    convex = float(kinks.strengths[kinks.held].min()) > 0
    return convex and float(abs(z).max()) <= ON_KINK * typical and not bool(kinks.degenerate(held[1]).any())


def _with_pulls(objective: KinkedObjective, point: Point, step: ProximalStep) -> Point:
    """The point with slopes that keep the pulls on its kinks, if the step has changed ∂U/∂h much.

    The pulls, not the slopes, stay the same along a branch (docs/decisions/022).
    """
    kinks = objective.kinks(point)
    if not len(kinks.held):
        return point
    strength = kinks.strengths[kinks.held]
    change = abs(strength * kinks.fractions(step.slopes) - step.pulls)
    if not bool((change > CHANGED * step.pulls).any()):
        return point
    inside = namespace(strength).clip(step.pulls / abs(strength), EDGE, 1 - EDGE)
    return objective.holding(point.y, (step.members, kinks.slopes(kinks.held, inside)))

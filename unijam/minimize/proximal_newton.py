"""Newton's method for energies with kinks (ReLU, |·|, max): the model keeps them, and a minimum may sit on them.

Near w, with H and the gradient g0 of slope zero on a set C of kinks of weight q = ∂U/∂h,

    E(w + p) ≈ E + g0·p + ½ pᵀMp + Σ_C q [max(z + ∇z·p, 0) − max(z, 0)],   M = H + shift,

convex where q > 0. Its dual is a quadratic in the slopes s within a box, p = −M⁻¹(g0 + Σ s q ∇z); kinks with
0 < s < 1 there are those the next point sits on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from ..arrays import Array, namespace
from ..linalg import Factor, across_symmetries, factor_dense
from ..system import Kinks, hessian
from ..validation import require
from .box_quadratic import minimize_in_box
from .kinked import KinkedObjective
from .loop import Solver
from .objective import Objective, Point
from .trust_region_newton import leave_saddle

HOLD = 10.0  # stiffness that is added across the held kinks, in units of the mean stiffness
FLOOR = 1e-13  # of the shift, in units of the mean stiffness
ON_KINK = 1e-11  # of the typical z: a held z as small as this vanishes
LOST = 1e-10  # of E: a decrease below this is lost in rounding, and the gradient decides
CHANGED, EDGE = (
    0.3,
    1e-3,
)  # change of ∂U/∂h after which slopes are made anew; how near 0 and 1 they may come then
ROUNDS = 8  # of letting kinks enter the model


@dataclass(frozen=True)
class ProximalNewton(Solver):
    """Proximal Newton steps with the kinks in the model; ends at minima of U, on kinks or off them.

    `relative_gradient` of the result is the directional stationarity: the gradient with the best slopes on the kinks
    that the result's system holds. A point is converged only where these slopes are strictly between those of the
    two sides, every held z vanishes, and H on the tangent space has no negative mode.

    Attributes
    ----------
    max_step : float
        The longest step, in units of |x|, or of 1 where |x| is smaller.
    initial_shift : float
        In units of the mean diagonal of H.
    """

    max_steps: int = 300
    max_step: float = 0.3
    initial_shift: float = 1e-2
    sees_curvature: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.max_step > 0, "max_step", self.max_step, "positive")
        require(self.initial_shift > 0, "initial_shift", self.initial_shift, "positive")

    def prepared(self, objective: Objective) -> Objective:
        return KinkedObjective.of(objective)

    def converged(self, objective: Objective, point: Point) -> bool:
        """Whether the gradient is small with slopes strictly inside, and every held z vanishes."""
        return super().converged(objective, point) and _on_kinks(objective, point)

    def iterate(self, objective: Objective, point: Point) -> Iterator[Point]:
        assert isinstance(objective, KinkedObjective)
        shift, first = FLOOR, True  # near a minimum the whole step is right
        while True:
            if self.converged(objective, point):  # asked to go on from here: a saddle
                reached = leave_saddle(objective, point, objective.model(point).lowest_mode())
                if reached is None:
                    return
                point = reached
                yield point
            model, value, growth = _Model(objective, point, self.max_step), objective.value(point.y)[0], 4.0
            while True:
                step = model.step(shift)
                if step is not None:
                    gained = value - objective.value(step.y)[0]
                    lost = step.promised < LOST * abs(value)
                    if lost or gained > 1e-4 * step.promised:
                        reached = objective.holding(step.y, (step.members, step.slopes))
                        if not lost or reached.residual < point.residual:
                            break
                shift = max(growth * shift, self.initial_shift if first else 0.0)
                first, growth = False, 2 * growth
                if shift > 1e10:
                    return
            first = False
            if gained > 0.75 * step.promised:
                shift = max(shift / (16 if gained > 0.9 * step.promised else 4), FLOOR)
            elif gained < 0.25 * step.promised:
                shift *= 2
            point = _with_pulls(objective, reached, step)
            yield point


def _on_kinks(objective: Objective, point: Point) -> bool:
    assert isinstance(objective, KinkedObjective)
    kinks, held = objective.kinks(point), objective.system_at(point).kinks
    if held is None or not len(held[1]):
        return True
    z, slopes = kinks.values[kinks.held], held[1]
    typical = float((kinks.values @ kinks.values) / len(kinks.values)) ** 0.5
    convex, slopes = float(kinks.strengths[kinks.held].min()) > 0, kinks.fractions(slopes)
    return convex and float(abs(z).max()) <= ON_KINK * typical and bool(((slopes > 0) & (slopes < 1)).all())


def _with_pulls(objective: KinkedObjective, point: Point, step: "_Step") -> Point:
    """The point with slopes that keep the pull on the kinks, where ∂U/∂h has changed much since the step was made."""
    kinks = objective.kinks(point)
    if not len(kinks.held):
        return point
    strength = kinks.strengths[kinks.held]
    change = abs(strength * kinks.fractions(step.slopes) - step.pulls)
    if not bool((change > CHANGED * step.pulls).any()):
        return point
    inside = namespace(strength).clip(step.pulls / abs(strength), EDGE, 1 - EDGE)
    return objective.holding(point.y, (step.members, kinks.slopes(kinks.held, inside)))


class _Step(NamedTuple):
    """Where a step leads, the decrease of E promised, the kinks held there, their slopes, and strength × fraction."""

    y: Array
    promised: float
    members: Array
    slopes: Array
    pulls: Array


class _Model:
    """The quadratic model with kinks at a point."""

    def __init__(self, objective: KinkedObjective, point: Point, max_step: float) -> None:
        self.objective, self.point = objective, point
        c = objective.constraints_at(point)
        self.xp = xp = namespace(point.y)
        self.kinks: Kinks = objective.kinks(point)
        x = objective.x(point.y)
        h0, hp = hessian(c.system, c)
        free = objective.weight_decay and objective.conjugate is None
        h = h0 + hp
        if not free:
            h, _ = across_symmetries(h, xp.diagonal(h0) > 0, objective.system.gauge_directions(x))
        if objective.weight_decay:
            h.diagonal().add_(objective.weight_decay)
        held = c.system.kinks
        fractions = point.y[:0] if held is None else self.kinks.fractions(held[1])
        rows = self._rows(self.kinks.held)
        mean = max(float(abs(xp.diagonal(h)).mean()), float((h * h).sum()) ** 0.5 / len(h))
        size = max(float(point.y @ point.y) ** 0.5, 1.0)
        self.stiffness = mean or float(point.gradient @ point.gradient) ** 0.5 / size or 1.0  # U linear
        self.longest = max_step * size
        if objective.conjugate is not None:
            loading = c.loading() / objective.scale_weight
            stiffness = c.system.potential.stiffness(c.delta)
            border, corner = c.vjp(stiffness * loading), stiffness @ (loading * loading)
            h = xp.concat(
                [xp.concat([h, border[:, None]], axis=1), xp.concat([border, corner.reshape(1)])[None]]
            )
        if len(rows):
            h = h + (HOLD * self.stiffness / float((rows * rows).sum(1).mean())) * (rows.T @ rows)
        self.matrix = h
        scale = abs(xp.diagonal(h))
        scale = (scale + 1e-3 * self.stiffness) ** 0.5
        self.damping = self.stiffness * scale / scale.mean()
        q = self.kinks.strengths[self.kinks.held]
        convex = q > 0
        side = 1.0 * (~convex & (self.kinks.values[self.kinks.held] > 0))  # concave kinks go to one side
        self.base = point.gradient + ((side - fractions) * q) @ rows
        self.start = (self.kinks.held[convex], rows[convex], fractions[convex])

    def _rows(self, select: Array) -> Array:
        rows = self.kinks.jacobian(select)
        return rows if self.objective.conjugate is None else self.xp.concat([rows, 0 * rows[:, :1]], axis=1)

    def step(self, shift: float) -> _Step | None:
        """What the model proposes; None where it has no minimum near, or needs too many kinks."""
        xp, objective, y = self.xp, self.objective, self.point.y
        matrix = self.matrix.clone()
        matrix.diagonal().add_(shift * self.damping)
        factor: Factor = factor_dense(matrix, 0.0)
        if not factor.positive:
            return None
        index, rows, s = self.start
        gradient = self.base
        for _ in range(ROUNDS):
            q, z = self.kinks.strengths[index], self.kinks.values[index]
            b = q[:, None] * rows
            solved = factor.solve(b.T)  # M⁻¹Bᵀ
            down = factor.solve(gradient)
            s = minimize_in_box(b @ solved, b @ down - q * z, s)
            p = -(down + solved @ s)
            if float((p @ p) ** 0.5) > self.longest:
                return None
            new = objective.value(y + p)[1]
            differs = ((self.kinks.values > 0) != (new > 0)) & (self.kinks.strengths > 0)
            differs[index] = False
            entering = xp.nonzero(differs)[0]
            if not len(entering):
                break
            more = self._rows(entering)
            up = 1.0 * (self.kinks.values[entering] > 0)
            gradient = gradient - (up * self.kinks.strengths[entering]) @ more
            index, rows, s = xp.concat([index, entering]), xp.concat([rows, more]), xp.concat([s, up])
            if len(index) > len(y):
                return None
        held = xp.nonzero((s > 0) & (s < 1))[0]
        moved = z + rows @ p
        promised = -float(gradient @ p + 0.5 * p @ (matrix @ p)) - float(
            q @ (moved * (moved > 0) - z * (z > 0))
        )
        if len(held):  # second order: back to z = 0
            left = objective.value(y + p)[1][index[held]]
            across = factor.solve(rows[held].T)
            inner = factor_dense(rows[held] @ across, 0.0)
            if inner.positive:
                p = p - across @ inner.solve(left)
        held = held[xp.argsort(index[held])]
        kept, slopes = index[held], self.kinks.slopes(index[held], s[held])
        return _Step(y + p, promised, self.kinks.members(kept), slopes, self.kinks.strengths[kept] * s[held])

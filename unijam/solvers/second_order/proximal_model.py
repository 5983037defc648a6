"""The quadratic model of an energy with kinks, and of the gaps that a step closes.

Near w, with H and the gradient g0 of slope zero on a set C of kinks of weight q = ∂U/∂h, and a set G of gaps,

    E(w + p) ≈ E + g0·p + ½ pᵀMp + Σ_C q [max(z + ∇z·p, 0) − max(z, 0)] + Σ_G ½ max(Δ + ∇Δ·p, 0)²,   M = H + shift,

convex where q > 0. Its dual is a quadratic in the slopes s of C, in [0, 1], and the forces s ≥ 0 of G,
p = −M⁻¹(g0 + Σ_C s q ∇z + Σ_G s ∇Δ); kinks with 0 < s < 1 there are those the next point sits on.
"""

import math
from typing import NamedTuple, Self

from ...core.capabilities import gauge_directions, step_unit
from ...core.derivatives import whole_hessian
from ...core.kinks import DEGENERATE, Kinks
from ...linalg import Factor, across_symmetries, factor_dense
from ...linalg.box_quadratic import minimize_in_box
from ...support.arrays import Array, namespace
from ..point import Point
from .kinked_objective import KinkedObjective

HOLD = 10.0  # stiffness that is added across the held kinks, in units of the mean stiffness
ASIDE = 1e-6  # of the mean |z|: how far kinks are left that bear no force; of 1: how near their slopes are to a side
ROUNDS = 8  # of letting kinks and gaps enter the model


class ProximalStep(NamedTuple):
    """Where a step leads, the decrease of E promised, the kinks held there, their slopes, and strength × fraction."""

    y: Array
    promised: float
    members: Array
    slopes: Array
    pulls: Array


class _Pieces(NamedTuple):
    """The terms of C and G, (k,) each: max(value + row·p, 0) times the weight, or its square over twice the compliance.

    `kink` numbers the kinks, and is −1 for gaps; `dual` is the slope or the force, at most `upper`.
    """

    kink: Array
    rows: Array
    weight: Array
    value: Array
    compliance: Array
    dual: Array
    upper: Array

    def joined(self, other: Self) -> Self:
        xp = namespace(self.value)
        return type(self)(*(xp.concat([a, b]) for a, b in zip(self, other, strict=True)))

    def energy(self, p: Array) -> float:
        """What the terms add to E by a step."""
        pressed, before = (self.value + self.rows @ p).clip(0), self.value.clip(0)
        gap = self.compliance > 0
        squares = pressed[gap] ** 2 / self.compliance[gap]
        return float(self.weight[~gap] @ (pressed - before)[~gap]) + 0.5 * float(squares.sum())


class ProximalModel:
    """The model at a point; steps are at most `max_step` long, in units of |y| or of `step_unit` if larger."""

    def __init__(self, objective: KinkedObjective, point: Point, max_step: float) -> None:
        self.objective, self.point = objective, point
        self.constraints = c = objective.constraints_at(point)
        self.xp = xp = namespace(point.y)
        self.kinks: Kinks = objective.kinks(point)
        x = objective.x(point.y)
        h = whole_hessian(c.system, c)
        free = objective.weight_decay and objective.conjugate is None
        if not free:
            h, _ = across_symmetries(h, lambda: c.bearing()[0], gauge_directions(objective.system, x))
        if objective.weight_decay:
            h.diagonal().add_(objective.weight_decay)
        held = c.system.kinks
        fractions = point.y[:0] if held is None else self.kinks.fractions(held[1])
        rows = self._rows(self.kinks.held)
        mean = max(float(abs(xp.diagonal(h)).mean()), float((h * h).sum()) ** 0.5 / len(h))
        size = max(float(point.y @ point.y) ** 0.5, step_unit(objective.system))
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
        self.start = self._kinked(self.kinks.held[convex], rows[convex], fractions[convex])

    def step(self, shift: float) -> ProximalStep | None:
        """What the model proposes; None where it has no minimum near, or needs too many pieces."""
        xp, objective, y = self.xp, self.objective, self.point.y
        matrix = self.matrix.clone()
        matrix.diagonal().add_(shift * self.damping)
        factor: Factor = factor_dense(matrix, 0.0)
        if not factor.positive:
            return None
        pieces, gradient = self.start, self.base
        outside = self.kinks.strengths > 0, self._gaps
        for _ in range(ROUNDS):
            b = pieces.weight[:, None] * pieces.rows
            solved, down = factor.solve(b.T), factor.solve(gradient)  # M⁻¹Bᵀ
            q = b @ solved
            q.diagonal().add_(pieces.compliance)
            c = b @ down - pieces.weight * pieces.value
            pieces = pieces._replace(dual=minimize_in_box(q, c, pieces.dual, pieces.upper))
            p = -(down + solved @ pieces.dual)
            if float((p @ p) ** 0.5) > self.longest:
                return None
            _, z, delta = objective.value(y + p)
            kinks = outside[0] & ((self.kinks.values > 0) != (z > 0))
            kinks[pieces.kink[pieces.kink >= 0]] = False
            gaps = outside[1] & (delta > 0)
            if not bool(kinks.any()) and not bool(gaps.any()):
                break
            index = xp.nonzero(kinks)[0]
            entering = self._kinked(index, self._rows(index), 1.0 * (self.kinks.values[index] > 0))
            gradient = gradient - (entering.dual * entering.weight) @ entering.rows
            pieces = pieces.joined(entering)
            if bool(gaps.any()):
                pieces = pieces.joined(self._closing(xp.nonzero(gaps)[0], delta))
                outside = outside[0], outside[1] & ~gaps
            if len(pieces.value) > len(y):
                return None
        promised = -float(gradient @ p + 0.5 * p @ (matrix @ p)) - pieces.energy(p)
        held = xp.nonzero((pieces.kink >= 0) & (pieces.dual > 0) & (pieces.dual < 1))[0]
        index, rows, s = pieces.kink[held], pieces.rows[held], pieces.dual[held]
        near = min(max(DEGENERATE, self.point.residual), ASIDE)
        aside = 1.0 * (s > 1 - near) - 1.0 * (s < near)  # those that bear no force: off, to their side
        if len(held):  # second order: back to z = 0
            left = objective.value(y + p)[1][index] - ASIDE * aside * abs(self.kinks.values).mean()
            across = factor.solve(rows.T)
            inner = factor_dense(rows @ across, 0.0)
            if inner.positive:
                p = p - across @ inner.solve(left)
        index, s = index[aside == 0], s[aside == 0]
        order = xp.argsort(index)
        index, s = index[order], s[order]
        pulls = self.kinks.strengths[index] * s
        return ProximalStep(y + p, promised, self.kinks.members(index), self.kinks.slopes(index, s), pulls)

    @property
    def _gaps(self) -> Array:
        """Mask of the constraints that bear no force but would if they closed; jumps of u' at Δ = 0 are kinks."""
        potential, delta = self.constraints.system.potential, self.constraints.delta
        return (delta <= 0) & (potential.finite_range and not potential.kink)

    def _kinked(self, index: Array, rows: Array, fractions: Array) -> _Pieces:
        z = self.kinks.values[index]
        return _Pieces(index, rows, self.kinks.strengths[index], z, 0 * z, fractions, 0 * z + 1)

    def _closing(self, select: Array, reached: Array) -> _Pieces:
        """Gaps that a step closes, as stiff as u is where it leads."""
        c = self.constraints
        rows, delta = c.jacobian(select), c.delta[select]
        if self.objective.conjugate is not None:
            loading = c.loading()[select] / self.objective.scale_weight
            rows = self.xp.concat([rows, loading[:, None]], axis=1)
        overlap = reached[select]
        compliance = 0.5 * overlap**2 / c.system.potential.energy(overlap)
        none = 0 * delta
        return _Pieces(0 * select - 1, rows, none + 1, delta, compliance, none, none + math.inf)

    def _rows(self, select: Array) -> Array:
        rows = self.kinks.jacobian(select)
        return rows if self.objective.conjugate is None else self.xp.concat([rows, 0 * rows[:, :1]], axis=1)

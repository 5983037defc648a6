"""The quadratic model of an energy with kinks, and with the gaps that a step closes.

Let C be a set of kinks of weight q = ∂U/∂h, g0 and H the gradient and Hessian at w with slope zero on all of them, and
G a set of gaps. Near w

    E(w + p) ≈ E + g0·p + ½ pᵀMp + Σ_C q [max(z + ∇z·p, 0) − max(z, 0)] + Σ_G ½ max(Δ + ∇Δ·p, 0)²,   M = H + shift,

which is convex if q > 0. Its dual is a quadratic in the slopes s of C, in [0, 1], and the forces s ≥ 0 of G, with
p = −M⁻¹(g0 + Σ_C s q ∇z + Σ_G s ∇Δ). The next point sits on the kinks with 0 < s < 1 at the minimum of the dual.
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

# A stiffness added along ∇z of the held kinks, in units of the mean stiffness.
HOLD = 10.0
# A held kink bears no force if its slope equals that of a side to 1e-9 or, if that is larger, to the relative gradient,
# but at most to this. It is let go, and z is moved to that side by this fraction of the mean |z| (docs/decisions/043).
ASIDE = 1e-6
ROUNDS = 8  # a step is solved at most this often; each time kinks and gaps that it crosses enter the model


class ProximalStep(NamedTuple):
    """A step that the model proposes.

    Attributes
    ----------
    y : (n,) array
        The point that it leads to.
    promised : float
        The decrease of E that the model predicts.
    members, slopes : (k, 2) integers, (k,) array
        The kinks held there, and their slopes.
    pulls : (k,) array
        Strength × fraction of the slope: the force on each of them.
    """

    y: Array
    promised: float
    members: Array
    slopes: Array
    pulls: Array


class _Pieces(NamedTuple):
    """The terms of C and G, (k,) each; `rows` is (k, n).

    A kink contributes weight × max(value + row·p, 0), a gap max(value + row·p, 0)² / (2 compliance). `kink` is the
    number of a kink, and −1 for a gap. `dual` is the slope or the force, between 0 and `upper`.
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
        """The change of E by these terms for a step p, (n,)."""
        pressed, before = (self.value + self.rows @ p).clip(0), self.value.clip(0)
        gap = self.compliance > 0
        squares = pressed[gap] ** 2 / self.compliance[gap]
        return float(self.weight[~gap] @ (pressed - before)[~gap]) + 0.5 * float(squares.sum())


class ProximalModel:
    """The model at a point. Steps are at most `max_step` long, in units of |y|, or of `step_unit` if that is larger."""

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
        # a typical stiffness; if H vanishes (U is linear) one that makes a step about as long as x
        self.stiffness = mean or float(point.gradient @ point.gradient) ** 0.5 / size or 1.0
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
        scale = (scale + 1e-3 * self.stiffness) ** 0.5  # 1e-3: what has no stiffness is damped too
        self.damping = self.stiffness * scale / scale.mean()
        q = self.kinks.strengths[self.kinks.held]
        convex = q > 0
        side = 1.0 * (~convex & (self.kinks.values[self.kinks.held] > 0))  # a concave kink goes to one side
        self.base = point.gradient + ((side - fractions) * q) @ rows
        self.start = self._kinked(self.kinks.held[convex], rows[convex], fractions[convex])

    def step(self, shift: float) -> ProximalStep | None:
        """The minimum of the model with H shifted by `shift` × a typical stiffness.

        None if the model has no minimum within the longest step, or needs more terms than there are unknowns.
        """
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
        aside = 1.0 * (s > 1 - near) - 1.0 * (s < near)  # ±1: the side of a kink without force
        if len(held):  # z is not linear in y: a second step takes the held z back to zero
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
        """Mask of the gaps, (m,): constraints that would bear force if they closed.

        If u' jumps at Δ = 0 there are none: the constraints are kinks then.
        """
        potential, delta = self.constraints.system.potential, self.constraints.delta
        return (delta <= 0) & (potential.finite_range and not potential.kink)

    def _kinked(self, index: Array, rows: Array, fractions: Array) -> _Pieces:
        z = self.kinks.values[index]
        return _Pieces(index, rows, self.kinks.strengths[index], z, 0 * z, fractions, 0 * z + 1)

    def _closing(self, select: Array, reached: Array) -> _Pieces:
        """The terms of gaps that a step closes; their stiffness gives the right u at the Δ `reached`, (m,)."""
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

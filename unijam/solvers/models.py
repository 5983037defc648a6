"""Quadratic models of an objective at a point: Newton's, Gauss-Newton's, and what they tell about the point."""

import math
from functools import singledispatch

from ..core.constraints import Constraints
from ..core.derivatives import whole_hessian
from ..linalg import Operator, QuadraticModel, across_symmetries, orthonormal_rows, with_decay
from ..linalg.gauss_newton import GaussNewton, NormalEquations
from ..support.arrays import Array, is_torch, over, over_both, weigh
from .objective import Objective, append
from .point import Point

LARGE_JACOBIAN = 2**27  # numbers: a larger dense J is not made (1 GiB)


def newton_model(objective: Objective, point: Point) -> QuadraticModel:
    """H at the point, across the symmetries, with weight decay and, where the scale moves, border and corner.

    Raises
    ------
    FloatingPointError
        Where H is NaN or infinite.
    """
    c = objective.constraints_at(point)
    system, lengths = c.system, objective.lengths
    h, directions = over_both(whole_hessian(system, c), lengths), objective.fixed_directions(point)
    if lengths is not None:
        directions = directions * lengths
    h, rho = across_symmetries(h, lambda: c.bearing()[0], directions)
    if not math.isfinite(rho):
        raise FloatingPointError(f"H of {type(system).__name__} is NaN or infinite.")
    if objective.weight_decay:
        h = with_decay(h, over(over(objective.weight_decay, lengths), lengths))
    if not objective.moving:
        return QuadraticModel(h, None, 0.0, rho, objective.elimination)
    loading, stiffness = c.loading() / objective.scale_weight, system.potential.stiffness(c.delta)
    border = weigh(stiffness, loading)
    column = over(c.vjp(border), lengths)
    if objective.holds_kinks:  # a step stays on the kinks
        z = orthonormal_rows(directions)
        column = column - (column @ z.T) @ z
    return QuadraticModel(h, column, float(border @ loading), rho, objective.elimination)


def is_saddle(objective: Objective, point: Point) -> bool:
    """Whether a stationary point has a direction of negative curvature, or no curvature at all."""
    model = newton_model(objective, point)
    uncertainty = point.residual * point.typical_force / objective.unit  # a stiffness
    return model.rho == 0 or model.negative_modes(uncertainty) > 0


def gauss_newton_model(
    objective: Objective, point: Point, matrix_free: bool | None = None
) -> GaussNewton | NormalEquations:
    """Jacobian and residuals of the overlaps at the point, or H0 of coupled constraints.

    Parameters
    ----------
    matrix_free : bool or None
        Whether J is known by its products alone. None: where the system is matrix-free, or where a dense J has more
        than 2²⁷ entries (the sparse one of particles never has).
    """
    c = objective.constraints_at(point)
    system, lengths = c.system, objective.lengths
    force, stiffness = system.potential.force(c.delta), system.potential.stiffness(c.delta)
    if matrix_free is None:
        large = is_torch(c.x) and len(c.delta) * len(c.x) > LARGE_JACOBIAN
        matrix_free = system.matrix_free or large
    if matrix_free:
        return NormalEquations(_products(objective, c, stiffness), point.gradient)
    if stiffness.ndim == 3:
        return NormalEquations(over_both(c.stiffness(stiffness), lengths), point.gradient)
    active = stiffness > 0
    root = stiffness[active] ** 0.5
    border = root * c.loading()[active] / objective.scale_weight if objective.moving else None
    jacobian = over(c.jacobian(active), lengths)
    return GaussNewton.of(jacobian, root, force[active] / root, point.gradient, border)


def _products(objective: Objective, c: Constraints, stiffness: Array) -> Operator:
    """Jᵀ u'' J of (x, scale) by one product with J and one with Jᵀ."""

    def fixed(v: Array) -> Array:
        return c.vjp(weigh(stiffness, c.jvp(v)))

    def moving(v: Array) -> Array:
        force = weigh(stiffness, c.jvp(v[:-1]) + v[-1] * loading)
        return append(c.vjp(force), force @ loading)

    loading = c.loading() / objective.scale_weight if objective.moving else None
    size = append(c.x, 0.0) if objective.moving else c.x
    return Operator(moving if objective.moving else fixed, size, c.system.memory_limit)


@singledispatch
def largest_curvature(objective: Objective, point: Point, n_products: int = 10) -> float:
    """Estimate the largest eigenvalue of H0 by power iteration from Jᵀ u''Δ.

    Parameters
    ----------
    n_products : int
        Products with H0.

    Returns
    -------
    float
        At least 1e-12 of a typical stiffness, plus the weight decay; for replicas an array along their leading axis.
    """
    c, lengths = objective.constraints_at(point), objective.lengths
    stiffness = c.system.potential.stiffness(c.delta)
    typical = objective.force_unit / objective.unit
    vector, largest = over(c.vjp(weigh(stiffness, c.delta)), lengths), typical
    for _ in range(n_products):
        norm = math.sqrt(float(vector @ vector))
        if norm == 0:
            break
        along = over(vector / norm, lengths)
        vector = over(c.vjp(weigh(stiffness, c.jvp(along))), lengths)
        largest = math.sqrt(float(vector @ vector))
    return max(largest, 1e-12 * typical) + objective.weight_decay

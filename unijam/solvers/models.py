"""Quadratic models of an objective at a point, of Newton and of Gauss and Newton, and tests that use them."""

import math
from functools import singledispatch

from ..core.constraints import Constraints
from ..core.derivatives import whole_hessian
from ..linalg import Operator, QuadraticModel, across_symmetries, orthonormal_rows, with_decay
from ..linalg.gauss_newton import GaussNewton, NormalEquations
from ..support.arrays import Array, is_torch, over, over_both, weigh
from .objective import Objective, append
from .point import Point

LARGE_JACOBIAN = 2**27  # entries: a larger dense J (1 GiB in float64) is not made, only its products


def newton_model(objective: Objective, point: Point) -> QuadraticModel:
    """H at the point, made regular along the symmetries, with weight decay; if the scale moves, border and corner too.

    Raises
    ------
    FloatingPointError
        H is NaN or infinite.
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
    if objective.holds_kinks:  # the border has no part across the held kinks: a step stays on them
        z = orthonormal_rows(directions)
        column = column - (column @ z.T) @ z
    return QuadraticModel(h, column, float(border @ loading), rho, objective.elimination)


def is_saddle(objective: Objective, point: Point) -> bool:
    """Whether a stationary point has a direction of negative curvature, or no curvature at all (H = 0).

    An eigenvalue counts as negative below −10 × the error that the remaining gradient causes (docs/decisions/011).

    Raises
    ------
    FloatingPointError
        H is NaN or infinite.
    """
    model = newton_model(objective, point)
    uncertainty = point.residual * point.typical_force / objective.unit  # in units of a stiffness
    return model.rho == 0 or model.negative_modes(uncertainty) > 0


def gauss_newton_model(
    objective: Objective, point: Point, matrix_free: bool | None = None
) -> GaussNewton | NormalEquations:
    """The Gauss-Newton model at the point: by J of the overlaps, or by H0 if constraints are coupled.

    Parameters
    ----------
    objective : Objective
    point : Point
    matrix_free : bool or None
        Whether only products with J are used. None: if the system is matrix-free, or a dense J has more than 2²⁷
        entries (1 GiB).
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
    """Jᵀ u'' J with respect to (x, scale) as an operator; its product is one with J and one with Jᵀ."""

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
    """Estimate the largest eigenvalue of H0 + weight decay by power iteration from Jᵀ u''Δ.

    Parameters
    ----------
    objective : Objective
    point : Point
    n_products : int
        The number of products with H0.

    Returns
    -------
    float
        For replicas an array, (k,). It is at least 1e-12 of a typical stiffness, so that callers may divide by it.
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

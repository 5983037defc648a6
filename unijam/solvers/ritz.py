"""A test for negative curvature at a stationary point, from a few products with H and without a factor of H.

Methods that use only gradients stop wherever the gradient vanishes, also at the top of a barrier. Lanczos' method
finds a direction of negative curvature in a few products, unless it is one among very many; only the inertia of H
(Newton's method, `certify`) excludes it. H is that of the smooth piece in which x lies; kinks are left out
(docs/decisions/077).
"""

import math
from dataclasses import replace

import numpy as np

from ..core.capabilities import coordinate_lengths, gauge_directions
from ..core.constraints import ConstraintOperator, Constraints
from ..core.derivatives import whole_hessian
from ..core.system import ConstrainedSystem
from ..linalg import Operator, projection
from ..linalg.krylov import Projection, lanczos
from ..support.arrays import Array, is_torch, namespace, over, over_both
from .result import MinimizeResult

PRODUCTS = 20  # products with H, at most: a few per cent of the time of a run
ROUNDING = 5.0  # the rounding error of an eigenvalue of H, in machine epsilons of the largest one
CERTAIN = 10.0  # an eigenvalue is negative if it lies this many times its uncertainty below zero


def looked_at(result: MinimizeResult) -> MinimizeResult:
    """The same result, or a "saddle" if it is "converged" but not certified, and negative curvature is found."""
    if result.status != "converged" or result.certified:
        return result
    lowest = negative_curvature(result.system, result.x)
    if lowest is None:
        return result
    reason = f"the gradient vanishes, but H has a direction of curvature {lowest:.2g}: no minimum."
    if lowest == 0:
        reason = "the gradient vanishes, and so does H: nothing tells this point from a maximum."
    return replace(result, status="saddle", reason=reason)


def negative_curvature(system: ConstrainedSystem, x: Array) -> float | None:
    """A negative curvature at x, (n_dof,): a Ritz value of H below −10 × its uncertainty; None if none is found.

    It bounds the lowest eigenvalue from above. The uncertainty is the rounding error, or (‖∇U‖/√N_Δ)/`unit` if that is
    larger: the error that the remaining gradient causes. 0 is returned if H vanishes although constraints bear force.
    Symmetries are left out.
    """
    c = system.constraints(x)
    force, lengths = system.potential.force(c.delta), coordinate_lengths(system)
    gradient = over(c.vjp(force), lengths)
    left = float(gradient @ gradient) ** 0.5 / math.sqrt(max(int(c.overlaps.sum()), 1))
    left /= system.unit  # in units of a stiffness
    operator = _hessian(c, force)
    if not math.isfinite(float(abs(operator @ _random(operator.like)).max())):
        return None  # H is NaN somewhere, for example if two centres coincide: nothing can be said
    found = _lowest(operator, left, None)
    if found is None or found == 0:
        return found
    directions = gauge_directions(system, x)
    project, rank = projection(directions if lengths is None else directions * lengths)
    return _lowest(operator, left, project) if rank else found


def _lowest(operator: Operator, left: float, project: Projection | None) -> float | None:
    like = operator.like
    start = _random(like)
    start = start if project is None else project(start)
    values = lanczos(operator, start, PRODUCTS, project).nodes
    largest = float(np.abs(values).max())
    if not math.isfinite(largest) or largest == 0:
        return 0.0 if largest == 0 else None
    rounding = ROUNDING * float(namespace(like).finfo(like.dtype).eps) * largest
    lowest = float(values.min())
    return lowest if lowest < -CERTAIN * max(left, rounding) else None


def _random(like: Array) -> Array:
    """A Gaussian vector, (n,), always the same.

    A vector of ±1 could be orthogonal to the unstable mode of a symmetric system (docs/decisions/077).
    """
    drawn = np.random.default_rng(0).standard_normal(len(like))
    return namespace(like).asarray(drawn, dtype=like.dtype, device=like.device) if is_torch(like) else drawn


def _hessian(c: Constraints, force: Array) -> Operator:
    """H as an operator: by `curvature_product` of the constraints if they define it, else by the (sparse) matrix."""
    system = c.system
    if type(c).curvature_product is not Constraints.curvature_product:
        stiffness = system.potential.stiffness(c.delta)
        return ConstraintOperator(c, stiffness, force, system.memory_limit)
    matrix = over_both(whole_hessian(system, c), coordinate_lengths(system))
    return Operator(lambda v: matrix @ v, c.x, system.memory_limit)

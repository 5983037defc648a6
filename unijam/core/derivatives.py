"""U, ∇U and the Hessian of a system from its constraints at one x, and the kinks of U.

U = Σ u(Δ_i),  ∇U = Jᵀu',  H = Jᵀ u'' J + Σ u' ∇∇Δ_i = H0 + Hp.
"""

from typing import TYPE_CHECKING

from ..support.arrays import Array, namespace
from .constraints import Constraints, require_evaluated
from .kinks import Kinks

if TYPE_CHECKING:  # `system` imports this file
    from .system import ConstrainedSystem


def energy(system: "ConstrainedSystem", c: Constraints) -> float:
    """U = Σ u(Δ_i).

    Parameters
    ----------
    system : ConstrainedSystem
    c : Constraints
        `system.constraints(x)`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        c is not a `Constraints` (but x, for example).

    Examples
    --------
    >>> import numpy as np
    >>> import unijam as uj
    >>> system = uj.SoftSpheres(initial=np.array([1.0, 1.0, 1.9, 1.0]), radii=np.full(2, 0.5), box_length=4.0)
    >>> round(uj.energy(system, system.constraints(system.initial)), 12)  # ½ 0.1²
    0.005
    """
    require_evaluated(c)
    return float(system.potential.energy(c.delta).sum())


def gradient(system: "ConstrainedSystem", c: Constraints) -> Array:
    """∇U = Jᵀ u', (n_dof,).

    Parameters
    ----------
    system : ConstrainedSystem
    c : Constraints
        `system.constraints(x)`.

    Returns
    -------
    (n_dof,) array

    Raises
    ------
    ValueError
        c is not a `Constraints` (but x, for example).

    Examples
    --------
    >>> import numpy as np
    >>> import unijam as uj
    >>> system = uj.SoftSpheres(initial=np.array([1.0, 1.0, 1.9, 1.0]), radii=np.full(2, 0.5), box_length=4.0)
    >>> uj.gradient(system, system.constraints(system.initial)).round(12) + 0.0
    array([ 0.1,  0. , -0.1,  0. ])
    """
    require_evaluated(c)
    return c.vjp(system.potential.force(c.delta))


def hessian(system: "ConstrainedSystem", c: Constraints, select: Array | None = None) -> tuple[Array, Array]:
    """H0 = Jᵀ u'' J and Hp = Σ u' ∇∇Δ, each (n_dof, n_dof), of all constraints or of those that a mask selects.

    Parameters
    ----------
    system : ConstrainedSystem
    c : Constraints
        `system.constraints(x)`.
    select : (m,) mask, optional
        The constraints to take; all by default.

    Returns
    -------
    h0, hp : (n_dof, n_dof) matrices
        Sparse, dense or known by their products, as the system has them.

    Raises
    ------
    ValueError
        c is not a `Constraints` (but x, for example).

    Examples
    --------
    >>> import numpy as np
    >>> import unijam as uj
    >>> system = uj.SoftSpheres(initial=np.array([1.0, 1.0, 1.9, 1.0]), radii=np.full(2, 0.5), box_length=4.0)
    >>> h0, hp = uj.hessian(system, system.constraints(system.initial))
    >>> round(float(h0.toarray()[0, 0]), 12), round(float(hp.toarray()[1, 1]), 12)  # u'' = 1, −Δ/r
    (1.0, -0.111111111111)
    """
    require_evaluated(c)
    force, stiffness = system.potential.force(c.delta), system.potential.stiffness(c.delta)
    if select is not None:
        force = force * select
        if stiffness.ndim == 3:  # constraints of one datum are coupled
            k = stiffness.shape[1]
            stiffness = stiffness * select.reshape(-1, k, 1) * select.reshape(-1, 1, k)
        else:
            stiffness = stiffness * select
    return c.stiffness(stiffness), c.curvature(force)


def whole_hessian(system: "ConstrainedSystem", c: Constraints) -> Array:
    """H = H0 + Hp of all constraints, (n_dof, n_dof), as one new matrix; the caller may overwrite it.

    Raises
    ------
    ValueError
        c is not a `Constraints`.
    """
    require_evaluated(c)
    return c.hessian(system.potential.stiffness(c.delta), system.potential.force(c.delta))


def evaluate(system: "ConstrainedSystem", c: Constraints) -> tuple[float, Array, float, int]:
    """(U, ∇U, Σ u'², N_Δ) from constraints: ∇U is (n_dof,), N_Δ is the number of overlaps."""
    force = system.potential.force(c.delta)
    return energy(system, c), c.vjp(force), float(force @ force), int(c.overlaps.sum())


def kinks(c: Constraints) -> Kinks:
    """The kinks of U: the kinks of Δ, weighted by u', and the constraints themselves if u' jumps at Δ = 0.

    A constraint that is a kink has z = Δ, (m,) of them after the kinks of Δ, and the members (−1, its number).
    """
    potential, force = c.system.potential, c.system.potential.force(c.delta)
    own = c.kinks(force)
    if not potential.kink:
        return own
    xp, first = namespace(c.delta), len(own.values)
    # 0 … m − 1, made of an array that exists: it has the right library, integer type and device
    number = xp.cumulative_sum(c.members[:, 0] * 0 + 1) - 1
    held = getattr(potential, "index", number[:0])
    ones = 0.0 * c.delta + 1.0

    def members(select: Array) -> Array:
        rest = select[select >= first] - first
        return xp.concat([own.members(select[select < first]), xp.stack([0 * rest - 1, rest], axis=1)])

    def gradients(select: Array) -> Array:
        rest = c.jacobian(select[select >= first] - first)
        return xp.concat([own.jacobian(select[select < first]), rest])

    sides = own.sides(xp.nonzero(own.values == own.values)[0])
    return Kinks(
        xp.concat([own.values, c.delta]),
        members,
        xp.concat([own.held, first + held]),
        lambda: xp.concat([own.forces, potential.kink * ones]),
        gradients,
        xp.concat([sides[0], 0.0 * ones]),
        xp.concat([sides[1], ones]),
    )

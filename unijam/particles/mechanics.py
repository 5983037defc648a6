"""Stress and elastic moduli of packings by linear response: the affine part less Ξᵀ H⁺ Ξ of the non-affine motion.

The energy of a strained box is that of its contacts at r → (1 + ε) r; particles then move until forces balance
again. Derived in docs/moduli.md.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import scipy.sparse as sp

from ..core.border import require_constraints
from ..core.capabilities import coordinate_lengths
from ..core.constraints import Constraints
from ..core.derivatives import hessian
from ..linalg import across_symmetries, factor_sparse
from ..support.arrays import Array, over
from ..support.printing import Brief
from ..support.validation import require
from .ellipses import EllipseConstraints
from .kernels import perram_wertheim
from .packing import HasContacts, Packing, require_packing
from .spheres import SphereConstraints

BALANCE = 1e-4  # relative gradient above which a state is too far from balance for linear response


@dataclass(frozen=True, eq=False, repr=False)
class ElasticModuli(Brief):
    """Elastic response of a packing at a minimum, in contact stiffnesses × (box units)^(2−d).

    Attributes
    ----------
    bulk : float
        K = −V dp/dV.
    shear : float
        G, the mean over all directions of shear of the shear moduli at fixed volume; NaN in one dimension.
    simple_shear, pure_shear : float
        Means over the planes of the box's axes of V⁻¹ d²U/dγ²: when one axis is sheared along the other (the mean of
        both ways, which differ where the stress is anisotropic), and when one is stretched by e^(γ/2) and the other
        shortened by as much. G = (d simple + 2 pure)/(d + 2).
    stiffness : (v, v) array
        C = V⁻¹ ∂²U/∂E∂E of the relaxed energy, E = ½(FᵀF − 1) the Green-Lagrange strain, V the volume before the
        strain; in Voigt's order (xx, yy, xy; xx, yy, zz, yz, xz, xy), shears counted as γ = 2E_ab.
    affine : (v, v) array
        C before the particles have moved away from the affine deformation.
    stress : (d, d) array
        As `stress`.

    Examples
    --------
    >>> import unijam as uj
    >>> state = uj.minimize(uj.SoftSpheres.random(n=64, packing_fraction=1.0))
    >>> moduli = uj.elastic_moduli(state.system, state.x)
    >>> moduli.stiffness.shape, moduli.bulk > 0
    ((3, 3), True)
    """

    bulk: float
    shear: float
    simple_shear: float
    pure_shear: float
    stiffness: np.ndarray
    affine: np.ndarray
    stress: np.ndarray

    @property
    def pressure(self) -> float:
        """p, a float: the trace of the stress over d."""
        return float(np.trace(self.stress)) / len(self.stress)


@dataclass(frozen=True, eq=False, repr=False)
class Contacts(Brief):
    """m contacts one by one: Δ of each as a function of its coordinates q = (separation r, angles).

    Attributes
    ----------
    force, stiffness : (m,) arrays
        u' and u''.
    separation : (m, d) array
        r, between the nearest images.
    slopes : (m, q) array
        ∂Δ/∂q.
    curvature : (m, q, q) array
        ∂²Δ/∂q∂q.
    map : (m q, n_dof) csr
        ∂q/∂x.
    """

    force: np.ndarray
    stiffness: np.ndarray
    separation: np.ndarray
    slopes: np.ndarray
    curvature: np.ndarray
    map: sp.csr_array

    @property
    def blocks(self) -> np.ndarray:
        """∂²u/∂q∂q of each contact, (m, q, q)."""
        outer = self.slopes[:, :, None] * self.slopes[:, None, :]
        blocks: np.ndarray = (
            self.stiffness[:, None, None] * outer + self.force[:, None, None] * self.curvature
        )
        return blocks


def contacts_of(system: Packing, c: Constraints, select: Array) -> Contacts:
    """The contacts that a mask selects, one by one.

    Parameters
    ----------
    system : Packing
    c : Constraints
        Of this system.
    select : (M,) mask or (m,) indices
        Among the M constraints.

    Raises
    ------
    ValueError
        Where the constraints are not those of particles that unijam knows.
    """
    first, second = c.members[select].T.copy()
    if isinstance(c, SphereConstraints):
        normals, distance = c.normals[select], c.distance[select]
        separation, slopes = normals * distance[:, None], -normals
        inverse = 1.0 / np.where(distance > 0, distance, np.inf)
        across = normals[:, :, None] * normals[:, None, :] - np.eye(system.dimension)
        curvature, head, tail = across * inverse[:, None, None], first, second
    elif isinstance(c, EllipseConstraints):
        positions, shift = system.positions(c.x), c.shift[:, select]
        separation, slopes = positions[second] - positions[first] + shift.T, c.slopes[:, select].T
        shapes = (c.system.radii, c.system.aspect_ratio)
        ends = (first, second, shift.copy(), c.t[select])
        curvature = perram_wertheim.hessians(c.x, *shapes, *ends, -c.sigma[select])
        head, tail = second, first
    elif isinstance(c, HasContacts):
        separation, slopes, curvature = c.contacts(select)
        head, tail = second, first
    else:
        name = type(c).__name__
        raise ValueError(f"constraints = {name} is not valid: it must be those of particles of a packing.")
    return Contacts(
        force=system.potential.force(c.delta[select]),
        stiffness=system.potential.stiffness(c.delta[select]),
        separation=separation,
        slopes=slopes,
        curvature=curvature,
        map=_map(system, head, tail, first, second),
    )


def stress(system: Packing, x: Array) -> np.ndarray:
    """The stress tensor σ_ab = −V⁻¹ Σ u' (∂Δ/∂r_a) r_b = −V⁻¹ ∂U/∂ε_ab, positive in compression.

    Its trace is d times `system.pressure(c)`. For spheres it is symmetric at any x; for ellipses its antisymmetric
    part is the sum of the torques, zero where these balance.

    Parameters
    ----------
    system : Packing
    x : (n_dof,) array

    Returns
    -------
    (d, d) array
        In contact stiffnesses × (box units)^(2−d).

    Raises
    ------
    ValueError
        Where x has a wrong shape or is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from unijam import SoftSpheres
    >>> system = SoftSpheres.random(n=16)
    >>> pressure = system.pressure(system.constraints(system.initial))
    >>> bool(np.isclose(np.trace(stress(system, system.initial)), 2 * pressure))
    True
    """
    require_packing(system)
    c = require_constraints(system, x)
    pairs = contacts_of(system, c, c.delta > 0)
    pull = -pairs.force[:, None] * pairs.slopes[:, : system.dimension]
    mean: np.ndarray = pull.T @ pairs.separation / system.volume
    return mean


def elastic_moduli(system: Packing, x: Array) -> ElasticModuli:
    """Bulk and shear moduli and the stiffness tensor of a packing, by linear response with prestress.

    No finite strain is applied. V C is ∂²U/∂ε∂ε at fixed contacts and affine motion, less Ξᵀ H⁺ Ξ, where Ξ are the
    forces that affine motion leaves unbalanced and H is the whole Hessian H0 + Hp; then the stress terms are added that
    turn ε into the strain E. Rattlers and their contacts are left out. Angles of ellipses stay fixed in affine
    motion and relax with the rest. Contacts are neither made nor broken.

    Parameters
    ----------
    system : Packing
        Spheres of any dimension, or ellipses.
    x : (n_dof,) array
        A minimum of U with overlaps.

    Returns
    -------
    ElasticModuli

    Raises
    ------
    ValueError
        Where nothing bears force, forces do not balance (relative gradient above 1e-4), or x is a saddle.

    Notes
    -----
    J. F. Lutsko, J. Appl. Phys. 65, 2991 (1989); A. Lemaître, C. Maloney, J. Stat. Phys. 123, 415 (2006).

    Examples
    --------
    >>> import unijam as uj
    >>> state = uj.minimize(uj.SoftSpheres.random(n=64, packing_fraction=0.9))
    >>> moduli = elastic_moduli(state.system, state.x)
    >>> moduli.bulk > moduli.shear > 0
    True
    """
    require_packing(system)
    c = require_constraints(system, x)
    dof, constraints = c.bearing()
    overlaps = c.overlaps & constraints
    require(overlaps.any(), "the number of bearing overlaps at x", 0, "positive: nothing bears force")
    force = system.potential.force(c.delta)
    left = over(c.vjp(force), coordinate_lengths(system))
    unbalanced = float(np.linalg.norm(left) / np.linalg.norm(force))
    require(
        unbalanced <= BALANCE, "the relative gradient at x", unbalanced, f"at most {BALANCE:g}, a minimum"
    )

    h0, hp = hessian(system, c, overlaps)
    matrix, rho = across_symmetries((h0 + hp).tocsc(), lambda: dof, system.symmetries(x))
    factor = factor_sparse(matrix, 1e-14 * rho)  # a shift of the size of rounding keeps zero pivots away
    require(factor.positive, "the number of negative modes at x", factor.n_negative, "zero, a minimum")

    d, pairs, tensor = system.dimension, contacts_of(system, c, overlaps), stress(system, x)
    strains = voigt_basis(d)
    moved = np.zeros((len(strains), *pairs.slopes.shape))  # the change of q in each affine strain, (v, m, q)
    moved[:, :, :d] = np.einsum("vab,mb->vma", strains, pairs.separation)
    pushed = np.einsum("mpq,vmq->vmp", pairs.blocks, moved)
    affine = np.einsum("vmp,wmp->vw", moved, pushed)
    left = pairs.map.T @ pushed.reshape(len(strains), -1).T  # Ξ, (n_dof, v)
    relaxed = affine - left.T @ np.column_stack([factor.solve(column) for column in left.T])

    products = np.einsum("vab,wbc->vwac", strains, strains)
    correction = np.einsum("ac,vwac->vw", tensor + tensor.T, products + products.swapaxes(0, 1)) / 4
    stiffness = 0.5 * (relaxed + relaxed.T) / system.volume + correction
    simple, pure = _shear_moduli(stiffness, d)
    pressure = float(np.trace(tensor)) / d
    return ElasticModuli(
        bulk=float(stiffness[:d, :d].sum()) / d**2 + pressure * (d - 2) / d,
        shear=(d * simple + 2 * pure) / (d + 2) - pressure,
        simple_shear=simple - pressure,
        pure_shear=pure - pressure,
        stiffness=stiffness,
        affine=affine / system.volume + correction,
        stress=tensor,
    )


def voigt_basis(dimension: int) -> np.ndarray:
    """Symmetric strains of unit size in Voigt's order, (v, d, d): d stretches, then shears γ = 2ε_ab."""
    stretches = [(a, a) for a in range(dimension)]
    basis = np.zeros((dimension * (dimension + 1) // 2, dimension, dimension))
    for v, (a, b) in enumerate([*stretches, *reversed(list(combinations(range(dimension), 2)))]):
        basis[v, a, b] += 0.5
        basis[v, b, a] += 0.5
    return basis


def _shear_moduli(stiffness: np.ndarray, d: int) -> tuple[float, float]:
    """Means over the planes of axes: of C_abab, and of ¼(C_aaaa + C_bbbb − 2 C_aabb); NaN in one dimension."""
    if d == 1:
        return float("nan"), float("nan")
    stretches = stiffness[:d, :d]
    stretch, mixed = float(np.trace(stretches)) / d, float(stretches.sum() - np.trace(stretches))
    return float(np.diag(stiffness)[d:].mean()), 0.5 * (stretch - mixed / (d * (d - 1)))


def _map(system: Packing, head: Array, tail: Array, first: Array, second: Array) -> sp.csr_array:
    """∂q/∂x, (m q, n_dof), of q = (r_head − r_tail, the angles of first and second)."""
    d, k, m = system.dimension, system.orientations, len(first)
    axes, angles = np.arange(d), system.n * d + np.arange(k)
    rows = np.arange(m * (d + 2 * k)).reshape(m, d + 2 * k)
    turns = np.concatenate((first[:, None] * k + angles, second[:, None] * k + angles), axis=1)
    entries = (
        (np.ones(m * d), rows[:, :d], head[:, None] * d + axes),
        (-np.ones(m * d), rows[:, :d], tail[:, None] * d + axes),
        (np.ones(2 * m * k), rows[:, d:], turns),
    )
    values, row, column = (
        np.concatenate([part.ravel() for part in parts]) for parts in zip(*entries, strict=True)
    )
    return sp.csr_array((values, (row, column)), shape=(rows.size, system.n_dof))

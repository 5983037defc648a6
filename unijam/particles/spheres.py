"""Soft spheres in a periodic box, any dimension: Δ_ij = σ_ij − r, σ_ij = R_i + R_j, r between nearest images.

∇Δ = ∓n on the two particles, n = r_vec/r; ∇∇Δ = −(1 − n nᵀ)/r on their separation, so Hp ≤ 0: the prestress
of spheres destabilises.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp

from ..compiled import COMPILED
from ..compiled.simd import WIDTH
from ..core.border import require_positions
from ..core.capabilities import HasBucklers, Rearranging
from ..core.constraints import Constraints
from ..core.potentials import Harmonic, Hertzian
from ..support.arrays import Array
from ..support.validation import Count, Seed, checked
from .kernels import contact_network
from .kernels.neighbours import neighbour_pairs
from .packing import Dimension, Packing, PackingFraction, draw_radii, unit_density_box
from .rattlers import bearing_particles
from .sphere_forces import CompiledForces, SphereForces


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class SoftSpheres(Packing, Rearranging, HasBucklers):
    """Discs (d = 2), spheres (d = 3), rods on a ring (d = 1), … that repel where they overlap.

    Parameters
    ----------
    initial : (n d,) array
        A start: positions, row by row.
    radii : (n,) array
        Radii, in the units of the box.
    box_length : float or (d,) array
        Side of the periodic box; its d sides where they differ.
    dimension : int
        d.
    potential : Potential
        The energy of one overlap Δ = σ − r; `Harmonic()` and `Hertzian()` have fast kernels.

    Raises
    ------
    ValueError
        As `Packing`.

    Examples
    --------
    >>> system = SoftSpheres.random(n=64, packing_fraction=0.86)
    >>> round(system.packing_fraction, 6), system.n_dof
    (0.86, 128)
    """

    handover: ClassVar[float] = 1e-9  # type: ignore[misc]  # isostatic: contacts change to the end

    @classmethod
    @checked
    def random(
        cls,
        n: Count,
        dimension: Dimension = 2,
        packing_fraction: PackingFraction = 0.86,
        radii: Any = "bidisperse",
        seed: Seed = 0,
        box: Any = None,
    ) -> Self:
        """Spheres at random positions in a box of volume n (number density one).

        Parameters
        ----------
        n : int
            The number of particles; enough of them that none is wider than half the box.
        dimension : int
            d, 1 to 8.
        packing_fraction : float
            Above 0, at most 2.
        radii : str or (n,) array
            `"monodisperse"`, `"bidisperse"` (50:50, ratio 1.4), `"uniform"` (± 27 % about the mean), or
            relative sizes.
        seed : int
            Seed of radii and positions.
        box : (d,) numbers, optional
            Proportions of the sides of the box, as (1, 3); a cube by default.

        Returns
        -------
        SoftSpheres

        Raises
        ------
        ValueError
            One sentence: the field, its value, the range.
        """
        rng = np.random.default_rng(seed)
        drawn = draw_radii(n, radii, packing_fraction, dimension, rng)
        side = unit_density_box(n, dimension, box)
        start = rng.uniform(0.0, side, (n, dimension)).ravel()
        return cls(initial=start, radii=drawn, box_length=side, dimension=dimension)

    def constraints(self, x: Array, reach: float = 0.0) -> "SphereConstraints":
        """All pairs with Δ > −reach at x, (n d,), in lexicographic order; `reach` is in the units of the box."""
        x = np.ascontiguousarray(require_positions(self, x), dtype=np.float64)
        self.require_room(reach, reach)
        positions = self.positions(x)
        near = neighbour_pairs(positions, self.edges, self.radii, skin=reach)
        delta, distance, normals = contact_network.overlaps(positions, self.edges, self.radii, near)
        kept = delta > -reach
        if not kept.all():
            near, delta, distance, normals = near[kept], delta[kept], distance[kept], normals[kept]
        return SphereConstraints(
            system=self, x=x, delta=delta, members=near, distance=distance, normals=normals
        )

    def localised(self, c: Constraints) -> np.ndarray:
        """Mask of contacts of bucklers, particles of d + 1 bearing overlaps, among the bearing constraints, (m',)."""
        bearing = c.bearing()[1]
        overlaps, members = c.overlaps[bearing], c.members[bearing]
        contacts = np.bincount(members[overlaps].ravel(), minlength=self.n)
        mask: np.ndarray = overlaps & (contacts == self.dimension + 1)[members].any(axis=1)
        return mask

    def evaluator(self) -> Callable[[Array], tuple[float, Array, float, int]]:
        """A new function x -> (U, ∇U, Σ u'², N_Δ) that owns a neighbour list; NaN where x is not finite."""
        return self._forces()

    def scaled_evaluator(self) -> Callable[[Array, float], tuple[float, Array, float, int, float]]:
        """A new function (x, λ) -> (U, ∇U, Σ u'², N_Δ, Σ u' c) that owns a neighbour list."""
        return self._forces()

    def _forces(self) -> SphereForces:
        known = type(self.potential) in (Harmonic, Hertzian)  # a subclass may be stiffer
        compiled = COMPILED and known and self.dimension in (2, 3) and self.n >= WIDTH
        return CompiledForces(self) if compiled else SphereForces(self)


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class SphereConstraints(Constraints):
    """Overlaps and gaps of spheres at one x.

    Attributes
    ----------
    delta : (m,) array
        Δ = σ − r.
    members : (m, 2) int64 array
        Pairs i < j, in lexicographic order.
    distance : (m,) array
        r.
    normals : (m, d) array
        (r_i − r_j)/r; zero for coincident centres, whose force has no direction.
    """

    system: SoftSpheres
    x: Array
    delta: Array
    members: Array
    distance: Array
    normals: Array

    def vjp(self, weights: Array) -> Array:
        return contact_network.push(self.members, self.normals, np.asarray(weights, float), self.system.n)

    def jvp(self, direction: Array) -> Array:
        return contact_network.closing(self.members, self.normals, np.asarray(direction, float))

    def jacobian(self, select: Array | None = None) -> sp.csr_array:
        members = self.members if select is None else self.members[select]
        normals = self.normals if select is None else self.normals[select]
        m, d = normals.shape
        columns = (members[:, :, None] * d + np.arange(d)).reshape(-1)
        values = np.stack([-normals, normals], axis=1).reshape(-1)
        rows = np.arange(0, 2 * d * m + 1, 2 * d)
        return sp.csr_array((values, columns, rows), shape=(m, self.system.n_dof))

    def stiffness(self, weights: Array) -> sp.csc_array:
        return self._assemble(weights, np.zeros(len(self.delta)))

    def curvature(self, weights: Array) -> sp.csc_array:
        tension = self._tension(weights)
        return self._assemble(tension, -tension)

    def hessian(self, stiffness: Array, weights: Array) -> sp.csc_array:
        tension = self._tension(weights)
        return self._assemble(stiffness + tension, -tension)

    def _tension(self, weights: Array) -> Array:
        return np.asarray(weights, float) / np.where(self.distance > 0, self.distance, np.inf)

    def loading(self) -> Array:
        i, j = self.members.T
        return (self.system.radii[i] + self.system.radii[j]) / self.system.scale

    def bearing(self) -> tuple[Array, Array]:
        """Masks of the degrees of freedom, (n d,), and of the constraints, (m,), that bear force.

        Rattlers, particles with fewer than d + 1 overlaps, are removed again and again until none is left.
        """
        return self._bearing

    @cached_property
    def _bearing(self) -> tuple[Array, Array]:
        d = self.system.dimension
        held = bearing_particles(self.members[self.overlaps], self.system.n, d + 1)
        return np.repeat(held, d), held[self.members].all(axis=1)

    def sensitivity(self, lengths: Array | None = None) -> float:
        stiffness = self.system.potential.stiffness(self.delta[self.stressed])
        return math.sqrt(2.0 * float(stiffness @ stiffness))  # |∇Δ| = √2

    def _assemble(self, along: Array, isotropic: Array) -> sp.csc_array:
        """Σ (along n nᵀ + isotropic 1) on the separations of the pairs."""
        values, rows, columns = contact_network.assemble(
            self.members, self.normals, np.asarray(along, float), isotropic, self.system.n
        )
        matrix = sp.csc_array((values, rows, columns), shape=(self.system.n_dof,) * 2)
        matrix.has_canonical_format = True
        return matrix

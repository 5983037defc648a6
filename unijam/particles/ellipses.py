"""Soft ellipses in a periodic rectangle: Δ_ij = σ_ij (1 − √F_ij), F the contact function of Perram and Wertheim.

σ is proportional to the scale λ and σ√F does not depend on it, so Δ = λ c − g(x) exactly, with c = σ/λ.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from ..compiled import loop
from ..core.capabilities import CompiledEvaluator, Rescaled
from ..core.constraints import UNMOVED, Constraints
from ..core.potentials import Harmonic
from ..core.tolerances import OVERLAP_RESOLUTIONS
from ..support.arrays import Array
from ..support.validation import Count, Finite, Seed, checked, require, require_finite
from .kernels import ellipses as ellipse_kernel
from .kernels import perram_wertheim as pw
from .kernels.ellipses import EllipseList, Origin
from .packing import Packing, PackingFraction, draw_radii, unit_density_box
from .rattlers import bearing_particles

FIRST_SKIN = 0.1  # in mean diameters; later skins follow from use
# Skin in mean diameters × number of evaluations that a list serves, at which renewals and longer lists together cost
# least: measured, and small because lists by √F hold hardly more than the contacts.
WORTH = 8.0
AspectRatio = Annotated[Finite, Field(ge=1, le=100)]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Ellipses(Packing, Rescaled):
    """Ellipses of one shape and several sizes, semi-axes R√α and R/√α, in a periodic rectangle.

    x = `pack(positions, angles)`, (3n,): first the n positions, row by row, then the n angles of the long
    axes, in radians. Where angles stand beside lengths, in gradients, J, H and their spectra, they are multiplied by
    `angle_length`, the typical distance (V/n)^(1/2) of particles, which is one at number density one.

    Parameters
    ----------
    initial : (3n,) array
        A start x. Neither positions nor angles need to be folded.
    radii : (n,) array
        Radii R = √(ab) of the circles of equal area, in the units of the box.
    box_length : float or (2,) array
        Side of the periodic square; both sides where they differ.
    aspect_ratio : float
        α = a/b, from 1 (discs) to 100.
    potential : Potential
        The energy of one overlap.

    Raises
    ------
    ValueError
        As `Packing`; where the dimension is not 2, or the aspect ratio out of range.

    Examples
    --------
    >>> system = Ellipses.random(n=64, aspect_ratio=1.4, packing_fraction=0.9, seed=0)
    >>> system.angles(system.initial).shape
    (64,)
    """

    orientations: ClassVar[int] = 1
    aspect_ratio: float

    def __post_init__(self) -> None:
        alpha = self.aspect_ratio
        real = isinstance(alpha, int | float | np.number)
        require(real and 1.0 <= alpha <= 100.0, "aspect_ratio", alpha, "a number from 1 to 100")
        object.__setattr__(self, "aspect_ratio", float(alpha))
        require(self.dimension == 2, "dimension", self.dimension, "2 for ellipses")
        super().__post_init__()

    @classmethod
    @checked
    def random(
        cls,
        n: Count = 256,
        aspect_ratio: AspectRatio = 1.4,
        packing_fraction: PackingFraction = 0.90,
        radii: Any = "bidisperse",
        seed: Seed = 0,
        box: Any = None,
    ) -> Self:
        """Ellipses at random places with random orientations, in a box of area n (number density one).

        Parameters
        ----------
        n : int
            The number of ellipses.
        aspect_ratio : float
            α, from 1 to 100.
        packing_fraction : float
            φ, the area of all ellipses over the area of the box, above 0 and at most 2.
        radii : str or (n,) array
            As in `draw_radii`: "bidisperse" (1 : 1.4), "monodisperse", "uniform", or relative sizes.
        seed : int
            Seed of every random draw.
        box : (2,) numbers, optional
            Proportions of the sides of the box, as (1, 3); a square by default.

        Returns
        -------
        Ellipses

        Raises
        ------
        ValueError
            One sentence with field, value and range.
        """
        rng = np.random.default_rng(seed)
        sizes = draw_radii(n, radii, packing_fraction, 2, rng)
        side = unit_density_box(n, 2, box)
        x = cls.pack(rng.uniform(0.0, side, (n, 2)), rng.uniform(0.0, math.pi, n))
        return cls(initial=x, radii=sizes, box_length=side, aspect_ratio=aspect_ratio)

    @staticmethod
    def pack(positions: Array, angles: Array) -> np.ndarray:
        """x, (3n,), of positions (n, 2) and angles (n,)."""
        return np.concatenate((np.ravel(positions), np.ravel(angles)))

    def angles(self, x: Array) -> Array:
        """The angles in x, a view (n,), in radians; not folded."""
        return x[2 * self.n :]

    @property
    def semi_axes(self) -> tuple[np.ndarray, np.ndarray]:
        """a = R√α and b = R/√α, each (n,), in the units of the box."""
        root = math.sqrt(self.aspect_ratio)
        return self.radii * root, self.radii / root

    @cached_property
    def angle_length(self) -> float:
        """The length that one radian counts as: (V/n)^(1/2), a float, which does not depend on the radii."""
        side = float(self.sides[0])
        return float(side * math.sqrt(self.sides[1] / side) / self.n**0.5)

    @cached_property
    def coordinate_lengths(self) -> Array | None:  # type: ignore[override]
        """One for positions, `angle_length` for angles, (3n,); None where `angle_length` is one too."""
        if self.angle_length == 1.0:
            return None
        return np.concatenate((np.ones(2 * self.n), np.full(self.n, self.angle_length)))

    @cached_property
    def coordinates(self) -> Any:
        """The group of each degree of freedom, (3n,): the two coordinates of an ellipse are one, its angle another."""
        number = np.arange(self.n)
        return np.concatenate((np.repeat(number, 2), self.n + number))

    @property
    def largest_diameter(self) -> float:
        """The longest axis of any ellipse, a float in the units of the box."""
        return 2.0 * float(self.semi_axes[0].max())

    def lengths(self, x: Array) -> Array | None:
        """The lengths, (3n,), in which solvers see x, (3n,): one for positions, √(e² + 2eΔ) for angles, e = a − b.

        A turn moves Δ by e, and forces on curved edges add a stiffness 2eΔ, where Δ is the typical overlap at x. In
        these lengths a turn is as stiff as a move, however round the ellipses are. They are at most one mean diameter;
        None for discs.
        """
        eccentric = np.subtract(*self.semi_axes)
        if not eccentric.any():
            return None
        overlaps = np.maximum(self.constraints(x).delta, 0.0)
        typical = math.sqrt(float(overlaps @ overlaps) / max(int((overlaps > 0).sum()), 1))
        turns = np.minimum(np.sqrt(eccentric * (eccentric + 2.0 * typical)), self.unit)
        return np.concatenate((np.ones(2 * self.n), turns))

    def constraints(self, x: Array, reach: float = 0.0) -> "EllipseConstraints":
        """Every pair of nearest images with Δ > −reach at x, (3n,); `reach` is in the units of the box."""
        x = _plain(x)
        require_finite(x, "x")
        shapes = (self.radii, self.aspect_ratio)
        skin = reach * math.sqrt(self.aspect_ratio)  # where Δ > −reach, r < (a_i + a_j)(1 + reach/σ)
        self.require_room(skin, reach)
        first, second, shift, t = pw.near_pairs(x, self.edges, *shapes, 1.0, skin, reach)
        root, rows = np.empty(len(t)), np.empty((4, len(t)))
        pw.contacts(x, *shapes, first, second, shift, t, root, rows)
        sigma = self.radii[first] + self.radii[second]
        return EllipseConstraints(
            system=self,
            x=x,
            delta=sigma * (1.0 - root),
            members=np.column_stack((first, second)),
            sigma=sigma,
            slopes=-sigma * rows,
            shift=shift,
            t=t,
        )

    def evaluator(self) -> Callable[[Array], tuple[float, Array, float, int]]:
        """A new function x -> (U, ∇U, Σ u'², N_Δ) that owns a list of near pairs with their t*."""
        if type(self.potential) is not Harmonic:
            return super().evaluator()
        return _NearPairs(self)

    def scaled_evaluator(self) -> Callable[[Array, float], tuple[float, Array, float, int, float]]:
        """A new function (x, λ) -> (U, ∇U, Σ u'², N_Δ, Σ u' c): the evaluator where the mean diameter moves too."""
        return _NearPairs(self) if type(self.potential) is Harmonic else super().scaled_evaluator()


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class EllipseConstraints(Constraints):
    """Overlaps and gaps of ellipses at one x.

    Attributes
    ----------
    delta : (m,) array
        Δ = σ (1 − √F).
    members : (m, 2) int64 array
        Pairs i < j, in lexicographic order.
    sigma : (m,) array
        σ = R_i + R_j.
    slopes : (4, m) array
        ∂Δ/∂(r_x, r_y, angle_i, angle_j), with r = r_j − r_i.
    shift : (2, m) array
        The vector to be added to r_j − r_i for the nearest image.
    t : (m,) array
        Where the contact function is largest, between 0 (at i) and 1 (at j).
    """

    system: Ellipses
    x: Array
    delta: Array
    members: Array
    sigma: Array
    slopes: Array
    shift: Array
    t: Array

    def vjp(self, weights: Array) -> Array:
        first, second = self.members.T.copy()
        return pw.push(first, second, self.slopes, np.asarray(weights, float), self.system.n)

    def jvp(self, direction: Array) -> Array:
        v, (i, j) = np.asarray(direction, float), self.members.T
        moves, turns = self.system.positions(v), self.system.angles(v)
        relative = (*(moves[j] - moves[i]).T, turns[i], turns[j])
        return sum(slope * along for slope, along in zip(self.slopes, relative, strict=True))

    def jacobian(self, select: Array | None = None) -> sp.csr_array:
        (i, j), slopes = self.members.T, self.slopes
        if select is not None:
            i, j, slopes = i[select], j[select], slopes[:, select]
        turns = 2 * self.system.n
        columns = np.column_stack((2 * i, 2 * i + 1, 2 * j, 2 * j + 1, turns + i, turns + j))
        values = np.column_stack((*-slopes[:2], *slopes))
        starts = np.arange(0, values.size + 1, 6)
        return sp.csr_array((values.ravel(), columns.ravel(), starts), shape=(len(i), self.system.n_dof))

    def stiffness(self, weights: Array) -> sp.csc_array:
        used = np.flatnonzero(weights)
        return self._matrix(used, self._outer(used, weights))

    def curvature(self, weights: Array) -> sp.csc_array:
        used = np.flatnonzero(weights)
        return self._matrix(used, self._bends(used, weights))

    def hessian(self, stiffness: Array, weights: Array) -> sp.csc_array:
        used = np.flatnonzero((stiffness != 0) | (weights != 0))
        return self._matrix(used, self._outer(used, stiffness) + self._bends(used, weights))

    def _outer(self, used: np.ndarray, weights: Array) -> np.ndarray:
        """w ∇Δ ⊗ ∇Δ of the pairs in use, (m', 4, 4)."""
        return pw.outer(self.slopes[:, used].copy(), np.asarray(weights, float)[used])

    def _bends(self, used: np.ndarray, weights: Array) -> np.ndarray:
        """w ∇∇Δ of the pairs in use, (m', 4, 4)."""
        factors = -np.asarray(weights, float)[used] * self.sigma[used]
        shapes = (self.system.radii, self.system.aspect_ratio)
        first, second = self.members[used].T.copy()
        pairs = (first, second, self.shift[:, used].copy(), self.t[used])
        return pw.hessians(self.x, *shapes, *pairs, factors)

    def _matrix(self, used: np.ndarray, blocks: np.ndarray) -> sp.csc_array:
        """Σ of the blocks, (m', 4, 4) in (r_x, r_y, angle_i, angle_j), of the pairs in use."""
        first, second = self.members[used].T.copy()
        entries = assemble(first, second, blocks, self.system.n)
        matrix = sp.csc_array(entries, shape=(self.system.n_dof,) * 2)
        matrix.has_canonical_format = True
        return matrix

    def loading(self) -> Array:
        return self.sigma / self.system.scale

    def bearing(self) -> tuple[Array, Array]:
        """Masks of the degrees of freedom, (3n,), and of the constraints, (m,), that bear force.

        Rattlers, particles with fewer than 3 overlaps, are removed again and again until none is left. An angle of
        another particle bears no force where no overlap turns it (its column of J is below 1e-12 of the largest, as
        that of a disc).
        """
        return self._bearing

    @cached_property
    def _bearing(self) -> tuple[Array, Array]:
        n, overlaps = self.system.n, self.overlaps
        backbone = bearing_particles(self.members[overlaps], n, 3)
        bearing = backbone[self.members].all(axis=1)
        used = bearing & overlaps
        (i, j), (x, y, of_i, of_j) = self.members[used].T, self.slopes[:, used] ** 2
        # in any direction: the axes do not matter
        moves = np.bincount(i, x + y, n) + np.bincount(j, x + y, n)
        turns = (np.bincount(i, of_i, n) + np.bincount(j, of_j, n)) / self.system.angle_length**2
        least = UNMOVED**2 * max(moves.max(initial=0.0), turns.max(initial=0.0))
        moved, turned = (moves > least) & backbone, (turns > least) & backbone
        return np.concatenate((np.repeat(moved, 2), turned)), bearing

    def sensitivity(self, lengths: Array | None = None) -> float:
        (i, j), stressed = self.members.T, self.stressed
        units = np.ones(self.system.n_dof) if lengths is None else 1.0 / lengths**2
        moves, turns = self.system.positions(units), self.system.angles(units)
        along, across, of_i, of_j = self.slopes**2
        x, y = (moves[i] + moves[j]).T
        squares = along * x + across * y + of_i * turns[i] + of_j * turns[j]  # |∇Δ|²
        return math.sqrt(float(squares @ (self.system.potential.stiffness(self.delta) * stressed) ** 2))


def _plain(x: Array) -> np.ndarray:
    """x as the kernels are compiled for: contiguous, writeable float64; a copy only where it must be."""
    return np.require(x, dtype=np.float64, requirements=["C", "W"])


class _NearPairs(CompiledEvaluator):
    """Evaluator with a list of its own: all pairs within a skin of contact, with the image and the t* of each.

    Attributes
    ----------
    kernel : EllipseList
        The list.
    origin : Origin
        The data from which the next list is made.
    """

    def __init__(self, system: Ellipses):
        self.system, self.scale = system, system.scale
        skin, worth = FIRST_SKIN * self.scale, WORTH * self.scale
        self.served = round(worth / skin)  # with this number `suitable_skin` keeps the first skin
        threshold = OVERLAP_RESOLUTIONS * system.resolution(system.initial)
        shapes = (system.radii, system.aspect_ratio, self.scale)
        nowhere, none = np.full(system.n_dof, np.nan), np.empty((4, 0))  # NaN: outdated at any x
        pairs = (*np.empty((2, 0), dtype=np.uint32), none[:2], none[0], none[0], none)
        kernel = EllipseList(nowhere, 1.0, skin, *shapes, threshold, *pairs)
        own = np.arange(system.n_dof)
        self.adopt(kernel, Origin(own, own, system.edges, worth))

    def adopt(self, kernel: EllipseList, origin: Origin) -> None:
        """Use this list from now on, for example one that a compiled loop has renewed."""
        self.kernel, self.origin = kernel, origin

    def __call__(self, x: Array, scale: float | None = None) -> tuple[Any, ...]:
        x, ratio = _plain(x), 1.0 if scale is None else scale / self.scale
        if not ratio > 0:
            self.system.at(scale=scale)  # raises an error that says what is wrong
        while True:
            squares, count, load, gradient = ellipse_kernel.evaluate(self.kernel, x, ratio)
            if squares >= 0:
                self.served += 1
                found = 0.5 * squares, gradient, squares, count
                return found if scale is None else (*found, load / self.scale)
            if not np.isfinite(x).all():
                found = np.nan, np.full(len(x), np.nan), np.nan, 0
                return found if scale is None else (*found, np.nan)
            self.renew(x, ratio)

    def renew(self, x: np.ndarray, ratio: float) -> None:
        """Make the list anew at x, (3n,), and ratio = λ over the system's λ."""
        if not ellipse_kernel.room(self.kernel, self.origin, ratio) >= 0.0:
            self.system.at(scale=ratio * self.scale)  # raises an error that says what is wrong
        made = ellipse_kernel.renewed(self.kernel, self.origin, x, ratio, self.served)
        self.adopt(EllipseList(*made), self.origin)
        self.served = 0


@loop
def assemble(
    first: np.ndarray, second: np.ndarray, blocks: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Symmetric (3n, 3n) csc matrix (data, indices, indptr): the sum of blocks in (r_x, r_y, angle_i, angle_j).

    Rows and columns are 2n coordinates, then n angles. Pairs i < j must come in lexicographic order: then the
    partners of a particle do too, and indices are sorted. The diagonal is always stored, so that a shift of it needs
    no new entries.

    Parameters
    ----------
    first, second : (m,) integer arrays
    blocks : (m, 4, 4) array
        Symmetric, with r = r_j − r_i.
    n : int
        The number of particles.
    """
    # partners of smaller and of larger index than a particle
    below, above = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    for k in range(len(first)):
        above[first[k]] += 1
        below[second[k]] += 1
    partners = below + 1 + above  # itself included
    indptr = np.zeros(3 * n + 1, dtype=np.int32)
    for e in range(n):
        indptr[2 * e + 1] = indptr[2 * e + 2] = indptr[2 * n + e + 1] = 3 * partners[e]
    for column in range(3 * n):
        indptr[column + 1] += indptr[column]
    data, indices = np.zeros(indptr[3 * n]), np.empty(indptr[3 * n], dtype=np.int32)
    next_below, next_above = np.zeros(n, dtype=np.int64), below + 1
    for k in range(-n, len(first)):  # first every particle with itself
        i, j = (first[k], second[k]) if k >= 0 else (np.int64(k + n), np.int64(k + n))
        for end in range(4 if k >= 0 else 1):  # the columns of i or j, the rows of i or j; r = r_j − r_i
            right, down = end // 2, end % 2
            q, p = (j if right else i), (j if down else i)
            place = below[q] if p == q else next_below[q] if right else next_above[q]
            high, low = 2 * place, 2 * partners[q] + place
            for v in range(3):
                start = indptr[2 * q + v] if v < 2 else indptr[2 * n + q]
                indices[start + high], indices[start + high + 1] = 2 * p, 2 * p + 1
                indices[start + low] = 2 * n + p
                if k >= 0:
                    column = v if v < 2 else 2 + right
                    sign = -1.0 if v < 2 and not right else 1.0
                    both = sign if down else -sign
                    data[start + high] += both * blocks[k, 0, column]
                    data[start + high + 1] += both * blocks[k, 1, column]
                    data[start + low] += sign * blocks[k, 2 + down, column]
        if k >= 0:
            next_above[i] += 1
            next_below[j] += 1
    return data, indices, indptr

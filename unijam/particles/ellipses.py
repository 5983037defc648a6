"""Soft ellipses in a periodic square: Δ_ij = σ_ij (1 − √F_ij), F the contact function of Perram and Wertheim.

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

from ..arrays import Array, column_norms
from ..potentials import Harmonic
from ..system import OVERLAP_RESOLUTIONS, Constraints
from ..validation import Count, Seed, checked, require, require_finite
from . import perram_wertheim as pw
from .base import Packing, PackingFraction, draw_radii
from .neighbours import neighbour_pairs
from .rattlers import bearing_particles

AspectRatio = Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)]


@dataclass(frozen=True, eq=False, kw_only=True)
class Ellipses(Packing):
    """Ellipses of one shape and several sizes, semi-axes R√α and R/√α, in a periodic square.

    x = `pack(positions, angles)`, (3n,): first the n positions, row by row, then the n angles of the long
    axes, in radians (times `angle_length`, one unit of the box, so that every coordinate is a length).

    Parameters
    ----------
    initial : (3n,) array
        A start x. Neither positions nor angles need to be folded.
    radii : (n,) array
        Radii R = √(ab) of the circles of equal area, in the units of the box.
    box_length : float
        Side of the square.
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
    angle_length: ClassVar[float] = 1.0

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
    ) -> Self:
        """Ellipses at random places with random orientations, in a square of side √n (number density one).

        Parameters
        ----------
        n : int
            How many.
        aspect_ratio : float
            α, from 1 to 100.
        packing_fraction : float
            φ, areas over the box's, at most 2.
        radii : str or (n,) array
            As in `draw_radii`: "bidisperse" (1 : 1.4), "monodisperse", "uniform", or relative sizes.
        seed : int
            Of every random draw.

        Raises
        ------
        ValueError
            One sentence with field, value and range.
        """
        rng = np.random.default_rng(seed)
        sizes = draw_radii(n, radii, packing_fraction, 2, rng)
        side = math.sqrt(n)
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

    @property
    def largest_diameter(self) -> float:
        """The longest axis of any ellipse, in the units of the box."""
        return 2.0 * float(self.semi_axes[0].max())

    def constraints(self, x: Array, reach: float = 0.0) -> "EllipseConstraints":
        """Every pair of nearest images with Δ > −reach, at x, (3n,)."""
        x = np.ascontiguousarray(x, dtype=np.float64)
        require_finite(x, "x")
        skin = reach * math.sqrt(self.aspect_ratio)  # where Δ > −reach, r < (a_i + a_j)(1 + reach/σ)
        a, b = self.semi_axes
        pairs = neighbour_pairs(self.positions(x), self.box_length, a, skin)
        sigma = self.radii[pairs].sum(axis=1)
        near, shift, t, root = pw.near_pairs(x, self.box_length, a, b, pairs, 1.0 + reach / sigma)
        delta = sigma[near] * (1.0 - root)
        return EllipseConstraints(system=self, x=x, delta=delta, members=pairs[near], shift=shift, t=t)

    def evaluator(self) -> Callable[[Array], tuple[float, Array, float, int]]:
        """A fresh x -> (U, ∇U, Σ u'², N_Δ) with its own list of near pairs and of their t*."""
        if type(self.potential) is not Harmonic:
            return super().evaluator()
        near, scale = _NearPairs(self), self.scale
        return lambda x: near(x, scale)[:4]

    def scaled_evaluator(self) -> Callable[[Array, float], tuple[float, Array, float, int, float]]:
        """A fresh (x, λ) -> (U, ∇U, Σ u'², N_Δ, Σ u' c): the evaluator where the mean diameter moves too."""
        return _NearPairs(self) if type(self.potential) is Harmonic else super().scaled_evaluator()


@dataclass(frozen=True, eq=False, kw_only=True)
class EllipseConstraints(Constraints):
    """Overlaps and gaps of ellipses at one x.

    Attributes
    ----------
    delta : (m,) array
        Δ = σ (1 − √F).
    members : (m, 2) int64 array
        Pairs i < j, in lexicographic order.
    shift : (m, 2) array
        Multiples of the box side that lead from r_j − r_i to the nearest image.
    t : (m,) array
        Where the contact function is largest, between 0 (at i) and 1 (at j).
    """

    system: Ellipses
    x: Array
    delta: Array
    members: Array
    shift: Array
    t: Array

    @cached_property
    def _sigma(self) -> np.ndarray:
        """σ = R_i + R_j, (m,)."""
        return self.system.radii[self.members].sum(axis=1)

    @cached_property
    def _rows(self) -> np.ndarray:
        """∂Δ/∂(r_x, r_y, angle_i, angle_j) with r = r_j − r_i, (m, 4)."""
        slopes = pw.gradients(self.x, *self.system.semi_axes, self.members, self.shift, self.t)
        return -self._sigma[:, None] * slopes

    def vjp(self, weights: Array) -> Array:
        return pw.push(self.members, self._rows, np.asarray(weights, float), self.system.n)

    def jvp(self, direction: Array) -> Array:
        v, (i, j) = np.asarray(direction, float), self.members.T
        moves, turns = self.system.positions(v), self.system.angles(v)
        relative = np.column_stack((moves[j] - moves[i], turns[i], turns[j]))
        return np.einsum("mk,mk->m", self._rows, relative)

    def jacobian(self, select: Array | None = None) -> sp.csr_array:
        members, rows = self.members, self._rows
        if select is not None:
            members, rows = members[select], rows[select]
        i, j, n = members[:, 0], members[:, 1], self.system.n
        columns = np.column_stack((2 * i, 2 * i + 1, 2 * j, 2 * j + 1, 2 * n + i, 2 * n + j))
        values = np.column_stack((-rows[:, :2], rows))
        starts = np.arange(0, values.size + 1, 6)
        return sp.csr_array((values.ravel(), columns.ravel(), starts), shape=(len(rows), 3 * n))

    def stiffness(self, weights: Array) -> sp.csc_array:
        used = np.flatnonzero(weights)
        rows = self._rows[used]
        return self._matrix(used, weights, rows[:, :, None] * rows[:, None, :])

    def curvature(self, weights: Array) -> sp.csc_array:
        used = np.flatnonzero(weights)
        axes = self.system.semi_axes
        blocks = pw.hessians(self.x, *axes, self.members[used], self.shift[used], self.t[used])
        return self._matrix(used, weights, -self._sigma[used, None, None] * blocks)

    def _matrix(self, used: np.ndarray, weights: Array, blocks: np.ndarray) -> sp.csc_array:
        """Σ weight × block over the pairs in use."""
        weighted = np.asarray(weights, float)[used, None, None] * blocks
        entries = pw.assemble(self.members[used], weighted, self.system.n)
        matrix = sp.csc_array(entries, shape=(self.system.n_dof,) * 2)
        matrix.has_canonical_format = True
        return matrix

    def loading(self) -> Array:
        return self._sigma / self.system.scale

    def bearing(self) -> tuple[Array, Array]:
        """Masks of the degrees of freedom, (3n,), and of the constraints, (m,), that bear force.

        Rattlers, particles with fewer than 3 overlaps, are removed recursively; of the others, a coordinate
        that no overlap moves (its column of J below 1e-12 of the largest, as the angle of a disc) bears none.
        """
        backbone = bearing_particles(self.members[self.overlaps], self.system.n, 3)
        bearing = backbone[self.members].all(axis=1)
        norms = column_norms(self.jacobian(bearing & self.overlaps))
        moved = norms > 1e-12 * norms.max(initial=0.0)
        return moved & np.concatenate((np.repeat(backbone, 2), backbone)), bearing


class _NearPairs:
    """The evaluator's own list: all pairs within `skin` of contact, the image and the t* of each.

    Two ellipses that touch when scaled by √F are at least (√F − 1)(b_i + b_j) apart, and the distance falls
    at most by |δr| + (a − b)|δangle| of each, so contacts and next to nothing else are listed.
    """

    def __init__(self, system: Ellipses):
        self.system, self.scale, self.radii = system, system.scale, system.radii
        self.a, self.b = system.semi_axes
        self.threshold = OVERLAP_RESOLUTIONS * system.resolution(system.initial)
        self.skin, self.age = 0.1 * self.scale, -1

    def __call__(self, x: Array, scale: float) -> tuple[float, np.ndarray, float, int, float]:
        x, ratio = np.ascontiguousarray(x, dtype=np.float64), scale / self.scale
        if self.age < 0:
            self._search(x, ratio)
        while True:
            valid, squares, count, load, gradient = pw.evaluate(
                x, ratio, self.threshold, self.at, self.skin, self.radii, self.a, self.b, *self.listed
            )
            if valid:
                self.age += 1
                return 0.5 * squares, gradient, squares, count, load / self.scale
            self.skin *= 1.25 if self.age < 20 else 0.8 if self.age > 80 else 1.0
            self._search(x, ratio)

    def _search(self, x: np.ndarray, ratio: float) -> None:
        require_finite(x, "x")
        room = 0.5 * self.system.box_length - self.system.largest_diameter * ratio
        require(ratio > 0 and room >= 0, "scale", ratio * self.scale, "positive, and particles half the box")
        self.skin = min(max(self.skin, 1e-3 * self.scale), 0.5 * self.scale, room)
        pairs = neighbour_pairs(self.system.positions(x), self.system.box_length, ratio * self.a, self.skin)
        farthest = ratio + self.skin / (self.b[pairs[:, 0]] + self.b[pairs[:, 1]])
        near, shift, t, _ = pw.near_pairs(x, self.system.box_length, self.a, self.b, pairs, farthest)
        self.listed = (pairs[near], shift, t)
        self.at, self.age = np.append(x, ratio), 0

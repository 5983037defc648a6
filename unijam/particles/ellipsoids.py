"""Soft ellipsoids in a periodic box: Δ_ij = σ_ij (1 − √F_ij), F the contact function of Perram and Wertheim.

As in the plane Δ = λ c − g(x) exactly. Bodies of revolution have an axis vector, others a quaternion, so that no
orientation is singular; norms have no effect, and are symmetries (docs/decisions/091).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import scipy.sparse as sp

from ..core.capabilities import CompiledEvaluator, Rescaled
from ..core.constraints import UNMOVED, Constraints
from ..core.potentials import Harmonic
from ..core.tolerances import OVERLAP_RESOLUTIONS
from ..support.arrays import Array
from ..support.validation import Count, Seed, checked, require, require_finite
from .kernels import ellipsoids as ellipsoid_kernel
from .kernels import orientations as turning
from .kernels import perram_wertheim_3d as pw
from .kernels.ellipses import Origin
from .kernels.ellipsoids import EllipsoidList
from .kernels.perram_wertheim_3d_bends import hessians
from .packing import HasContacts, Packing, PackingFraction, as_floats, draw_radii, unit_density_box
from .rattlers import bearing_particles

FIRST_SKIN = 0.1  # in mean diameters; later skins follow from use
WORTH = 8.0  # skin in mean diameters × number of evaluations that a list serves, as of ellipses
LARGEST_RATIO = 10.0  # of two axes: up to here the rounding of Δ was measured (docs/decisions/092)
HOLDING = (
    4  # contacts that hold a body: fewer normals leave a direction along which the curved bodies give way
)


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Ellipsoids(Packing, Rescaled):
    """Ellipsoids of one shape and any sizes in a periodic box: spheroids, or bodies of three different axes.

    x = `pack(positions, orientations)`: first the n positions, row by row, then o numbers a particle. A spheroid (two
    equal axes) has o = 3, a vector along its axis of revolution, and so no spin; any other body o = 4, a quaternion
    (w, x, y, z) that turns the axes of the box into its own. Norms have no effect: they are n symmetries, and results
    have norm one. Where orientations stand beside lengths, in gradients, J, H and their spectra, a turn by a radian
    counts as `angle_length`, the typical distance (V/n)^(1/3), which is one at number density one.

    Parameters
    ----------
    initial : (n_dof,) array
        A start x. Positions need not lie inside the box, orientations may have any norm but zero.
    radii : (n,) array
        Radii R of the spheres of equal volume, in the units of the box.
    box_length : float or (3,) array
        Side of the periodic cube; its sides where they differ.
    aspect_ratios : three numbers
        The axes of a body relative to each other: (1, 1, 2) is a prolate, (1, 1, 0.5) an oblate spheroid.
    potential : Potential
        The energy of one overlap.

    Raises
    ------
    ValueError
        As `Packing`; where the dimension is not 3, an orientation vanishes, or an axis is more than ten times another.

    Examples
    --------
    >>> system = Ellipsoids.random(n=64, aspect_ratios=(1, 1, 1.5), packing_fraction=0.75, seed=0)
    >>> system.orientations_of(system.initial).shape
    (64, 3)
    """

    dimension: int = 3
    aspect_ratios: Any

    def __post_init__(self) -> None:
        ratios = as_floats(self.aspect_ratios, "aspect_ratios")
        require(ratios.shape == (3,), "the shape of aspect_ratios", ratios.shape, "(3,), one number an axis")
        require(bool((ratios > 0).all()), "the smallest of aspect_ratios", float(ratios.min()), "positive")
        furthest = float(ratios.max() / ratios.min())
        require(
            furthest <= LARGEST_RATIO, "the largest ratio of two axes", furthest, f"at most {LARGEST_RATIO:g}"
        )
        object.__setattr__(self, "aspect_ratios", tuple(ratios.tolist()))
        require(self.dimension == 3, "dimension", self.dimension, "3 for ellipsoids")
        super().__post_init__()
        norms = np.linalg.norm(self.orientations_of(self.initial), axis=1)
        require(bool((norms > 0).all()), "the shortest orientation in initial", 0.0, "longer than zero")

    @classmethod
    @checked
    def random(
        cls,
        n: Count = 256,
        aspect_ratios: Any = (1.0, 1.0, 1.5),
        packing_fraction: PackingFraction = 0.8,
        radii: Any = "monodisperse",
        seed: Seed = 0,
        box: Any = None,
    ) -> Self:
        """Ellipsoids at random places with random orientations, in a box of volume n (number density one).

        Parameters
        ----------
        n : int
            The number of ellipsoids.
        aspect_ratios : three numbers
            The axes of a body relative to each other, at most ten times each other.
        packing_fraction : float
            φ, the volume of all ellipsoids over the volume of the box, above 0 and at most 2.
        radii : str or (n,) array
            As in `draw_radii`: "monodisperse", "bidisperse" (1 : 1.4), "uniform", or relative sizes.
        seed : int
            Seed of every random draw.
        box : (3,) numbers, optional
            Proportions of the sides of the box, as (1, 1, 2); a cube by default.

        Returns
        -------
        Ellipsoids

        Raises
        ------
        ValueError
            One sentence with field, value and range.
        """
        rng = np.random.default_rng(seed)
        sizes = draw_radii(n, radii, packing_fraction, 3, rng)
        side = unit_density_box(n, 3, box)
        ratios = as_floats(aspect_ratios, "aspect_ratios").tolist()
        places = rng.uniform(0.0, side, (n, 3))
        turns = rng.standard_normal((n, 3 if len(set(ratios)) < 3 else 4))
        turns /= np.linalg.norm(turns, axis=1, keepdims=True)
        x = cls.pack(places, turns)
        return cls(initial=x, radii=sizes, box_length=side, aspect_ratios=aspect_ratios)

    @staticmethod
    def pack(positions: Array, orientations: Array) -> np.ndarray:
        """x, (n_dof,), of positions (n, 3) and orientations (n, o)."""
        return np.concatenate((np.ravel(positions), np.ravel(orientations)))

    @property
    def orientations(self) -> int:  # type: ignore[override]
        """o: three numbers of an axis vector for a spheroid, four of a quaternion for any other body."""
        return 3 if len(set(self.aspect_ratios)) < 3 else 4

    def orientations_of(self, x: Array) -> Array:
        """The orientations in x, a view (n, o), of any norm."""
        return x[3 * self.n :].reshape(self.n, self.orientations)

    def frames(self, x: Array) -> np.ndarray:
        """Unit vectors along the three axes of each body at x, (n, 3, 3), one a row, in the order of `shape`."""
        frame = np.empty((self.n, 9))
        turning.frames(_plain(x), self.n, frame)
        return frame.reshape(self.n, 3, 3)

    @cached_property
    def shape(self) -> np.ndarray:
        """The half axes of a body of R = 1, (3,), of product one; first, for a spheroid, that of revolution."""
        a, b, c = self.aspect_ratios
        ordered = np.array(
            (a, b, c) if b == c else (b, a, c) if a == c else (c, a, b) if a == b else (a, b, c)
        )
        found: np.ndarray = ordered / math.exp(float(np.log(ordered).mean()))
        return found

    @property
    def semi_axes(self) -> np.ndarray:
        """The half axes of each body, (n, 3), in the units of the box, in the order of `shape`."""
        found: np.ndarray = self.radii[:, None] * self.shape
        return found

    @cached_property
    def angle_length(self) -> float:
        """The length that one radian counts as: (V/n)^(1/3), a float, which does not depend on the radii."""
        side = float(self.sides[0])  # powers of ratios alone, so that other units change no other bit
        proportions = float(self.sides[1] / side) * float(self.sides[2] / side)
        return float(side * proportions ** (1.0 / 3.0) / self.n ** (1.0 / 3.0))

    @property
    def _radians(self) -> float:
        """The angle that one unit of a normalised orientation stands for."""
        return 1.0 if self.orientations == 3 else 2.0

    @cached_property
    def coordinate_lengths(self) -> Array | None:  # type: ignore[override]
        """One for positions, `angle_length` for axis vectors and twice that for quaternions; None where all are one."""
        turn = self._radians * self.angle_length
        return None if turn == 1.0 else self._lengths(np.full(self.n, turn))

    def _lengths(self, turns: np.ndarray) -> np.ndarray:
        """(n_dof,): ones for positions, `turns`, (n,), for orientations."""
        return np.concatenate((np.ones(3 * self.n), np.repeat(turns, self.orientations)))

    @cached_property
    def coordinates(self) -> Any:
        """The group of each degree of freedom, (n_dof,): three coordinates are one, the orientation another."""
        number = np.arange(self.n)
        return np.concatenate((np.repeat(number, 3), self.n + np.repeat(number, self.orientations)))

    @property
    def largest_diameter(self) -> float:
        """The longest axis of any body, a float in the units of the box."""
        return 2.0 * float(self.semi_axes.max())

    def lengths(self, x: Array) -> Array | None:
        """The lengths, (n_dof,), in which solvers see x: one for positions, √(e² + 2eΔ) for a turn by a radian.

        e is the root mean square difference of the two half axes that a turn exchanges, Δ the typical overlap at x, as
        of ellipses. They are at most one mean diameter; None for spheres.
        """
        a, b, c = self.semi_axes.T
        pairs = ((a, b), (a, c)) if self.orientations == 3 else ((a, b), (b, c), (c, a))
        eccentric = np.sqrt(sum((p - q) ** 2 for p, q in pairs) / len(pairs))
        if not eccentric.any():
            return None
        overlaps = np.maximum(self.constraints(x).delta, 0.0)
        typical = math.sqrt(float(overlaps @ overlaps) / max(int((overlaps > 0).sum()), 1))
        turns = np.minimum(np.sqrt(eccentric * (eccentric + 2.0 * typical)), self.unit)
        return self._lengths(self._radians * turns)

    def constraints(self, x: Array, reach: float = 0.0) -> "EllipsoidConstraints":
        """Every pair of nearest images with Δ > −reach at x, (n_dof,); `reach` is in the units of the box."""
        x = _plain(x)
        require_finite(x, "x")
        norms = np.linalg.norm(self.orientations_of(x), axis=1)
        require(bool((norms > 0).all()), "the shortest orientation in x", 0.0, "longer than zero")
        skin = reach * float(self.shape.max())  # where Δ > −reach, r < (a_i + a_j)(1 + reach/σ)
        self.require_room(skin, reach)
        first, second, shift, t = pw.near_pairs(x, self.edges, self.radii, self.shape, 1.0, skin, reach)
        root, rows, frame = np.empty(len(t)), np.empty((9, len(t))), np.empty((self.n, 9))
        pw.contacts(x, frame, self.radii, self.shape, first, second, shift, t, root, rows)
        sigma = self.radii[first] + self.radii[second]
        return EllipsoidConstraints(
            system=self,
            x=x,
            delta=sigma * (1.0 - root),
            members=np.column_stack((first, second)),
            sigma=sigma,
            rows=-sigma * rows,
            frame=frame,
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

    def symmetries(self, x: Array) -> Array:
        """The three translations, then the norm of each orientation, (3 + n, n_dof)."""
        norms = np.zeros((self.n, self.n_dof))
        o = self.orientations
        columns = 3 * self.n + o * np.arange(self.n)[:, None] + np.arange(o)
        # over the length of a turn, so that the rows are as long as translations when turns count as lengths
        rows = self.orientations_of(np.asarray(x, dtype=np.float64)) / self.angle_length
        np.put_along_axis(norms, columns, rows, axis=1)
        return np.concatenate((super().symmetries(x), norms))

    def canonical(self, x: Array) -> Array:
        """x with coincident centres set apart, as of all packings, and orientations of norm one."""
        x = super().canonical(x)
        norms = np.linalg.norm(self.orientations_of(x), axis=1)
        if bool((abs(norms - 1.0) < 1e-15).all()) or not norms.all():
            return x
        kept = np.array(x)
        self.orientations_of(kept)[:] /= norms[:, None]
        return kept


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class EllipsoidConstraints(Constraints, HasContacts):
    """Overlaps and gaps of ellipsoids at one x.

    Attributes
    ----------
    delta : (m,) array
        Δ = σ (1 − √F).
    members : (m, 2) int64 array
        Pairs i < j, in lexicographic order.
    sigma : (m,) array
        σ = R_i + R_j.
    rows : (9, m) array
        ∂Δ/∂(r, turns of i, turns of j), with r = r_j − r_i and turns about the axes of each body.
    frame : (n, 9) array
        The axes of each body.
    shift : (3, m) array
        The vector to be added to r_j − r_i for the nearest image.
    t : (m,) array
        Where the contact function is largest, between 0 (at i) and 1 (at j).
    """

    system: Ellipsoids
    x: Array
    delta: Array
    members: Array
    sigma: Array
    rows: Array
    frame: Array
    shift: Array
    t: Array

    @cached_property
    def _turn(self) -> np.ndarray:
        """∂(turn)/∂(orientation) of each body, (n, 3, o)."""
        turn = np.empty((self.system.n, 3, self.system.orientations))
        turning.turns(self.x, self.system.n, self.frame, turn)
        return turn

    @cached_property
    def slopes(self) -> np.ndarray:
        """∂Δ/∂(r, orientation of i, orientation of j), (m, 3 + 2o)."""
        first, second = self.members.T.copy()
        slopes: np.ndarray = ellipsoid_kernel.in_coordinates(first, second, self.rows, self._turn)
        return slopes

    @cached_property
    def _columns(self) -> np.ndarray:
        """The entries of x on which Δ depends: r_i, r_j, orientations of i and j, (m, 6 + 2o)."""
        (i, j), o = self.members.T, self.system.orientations
        parts = [3 * i[:, None] + np.arange(3), 3 * j[:, None] + np.arange(3)]
        parts += [3 * self.system.n + o * k[:, None] + np.arange(o) for k in (i, j)]
        return np.concatenate(parts, axis=1)

    def vjp(self, weights: Array) -> Array:
        first, second = self.members.T.copy()
        weights = np.asarray(weights, float)
        return ellipsoid_kernel.push(self.x, self.frame, first, second, self.rows, weights)

    def jvp(self, direction: Array) -> Array:
        along: np.ndarray = (self._values() * np.asarray(direction, float)[self._columns]).sum(axis=1)
        return along

    def _values(self, select: Any = slice(None)) -> np.ndarray:
        """∂Δ/∂(r_i, r_j, orientations), (m', 6 + 2o)."""
        slopes = self.slopes[select]
        return np.concatenate((-slopes[:, :3], slopes), axis=1)

    def jacobian(self, select: Array | None = None) -> sp.csr_array:
        chosen = slice(None) if select is None else select
        columns, values = self._columns[chosen], self._values(chosen)
        starts = np.arange(0, values.size + 1, values.shape[1])
        shape = (len(values), self.system.n_dof)
        return sp.csr_array((values.ravel(), columns.ravel(), starts), shape=shape)

    def stiffness(self, weights: Array) -> sp.csc_array:
        used = np.flatnonzero(weights)
        return self._matrix(used, self._outer(used, weights))

    def curvature(self, weights: Array) -> sp.csc_array:
        used = np.flatnonzero(weights)
        return self._matrix(used, self._bends(used, weights))

    def hessian(self, stiffness: Array, weights: Array) -> sp.csc_array:
        used = np.flatnonzero((stiffness != 0) | (weights != 0))
        return self._matrix(used, self._outer(used, stiffness) + self._bends(used, weights))

    def contacts(self, select: Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        used = np.arange(len(self.delta))[select]
        (i, j), positions = self.members[used].T, self.system.positions(self.x)
        separation = positions[j] - positions[i] + self.shift[:, used].T
        return separation, self.slopes[used], self._bends(used, np.ones(len(self.delta)))

    def _outer(self, used: np.ndarray, weights: Array) -> np.ndarray:
        """w ∇Δ ⊗ ∇Δ of the pairs in use, (m', 3 + 2o, 3 + 2o)."""
        slopes = self.slopes[used]
        outer: np.ndarray = (np.asarray(weights, float)[used, None] * slopes)[:, :, None] * slopes[:, None, :]
        return outer

    def _bends(self, used: np.ndarray, weights: Array) -> np.ndarray:
        """w ∇∇Δ of the pairs in use, (m', 3 + 2o, 3 + 2o)."""
        weights = np.asarray(weights, float)[used]
        first, second = self.members[used].T.copy()
        pairs = (first, second, self.shift[:, used].copy(), self.t[used])
        shapes = (self.frame, self.system.radii, self.system.shape)
        blocks = hessians(self.x, *shapes, *pairs, -weights * self.sigma[used])
        bends: np.ndarray = ellipsoid_kernel.bends_in_coordinates(
            first, second, blocks, self.slopes[used], weights, self._turn, self.x
        )
        return bends

    def _matrix(self, used: np.ndarray, blocks: np.ndarray) -> sp.csc_array:
        """Σ of the blocks, (m', 3 + 2o, 3 + 2o) in (r, orientation of i, of j), of the pairs in use."""
        first, second = self.members[used].T.copy()
        entries = ellipsoid_kernel.assemble(first, second, blocks, self.system.n)
        matrix = sp.csc_array(entries, shape=(self.system.n_dof,) * 2)
        matrix.has_canonical_format = True
        return matrix

    def loading(self) -> Array:
        return self.sigma / self.system.scale

    def bearing(self) -> tuple[Array, Array]:
        """Masks of the degrees of freedom, (n_dof,), and of the constraints, (m,), that bear force.

        Rattlers, particles with fewer than 4 overlaps, are removed again and again until none is left. An orientation
        of another particle bears no force where no overlap turns it (its columns of J are below 1e-12 of the largest,
        as those of a sphere).
        """
        return self._bearing

    @cached_property
    def _bearing(self) -> tuple[Array, Array]:
        system, overlaps = self.system, self.overlaps
        n, o = system.n, system.orientations
        backbone = bearing_particles(self.members[overlaps], n, HOLDING)
        bearing = backbone[self.members].all(axis=1)
        used = bearing & overlaps
        squares = np.bincount(self._columns[used].ravel(), self._values(used).ravel() ** 2, system.n_dof)
        if system.coordinate_lengths is not None:
            squares = squares / system.coordinate_lengths**2
        # in any direction: the axes do not matter
        moves, turns = squares[: 3 * n].reshape(n, 3).sum(axis=1), squares[3 * n :].reshape(n, o).sum(axis=1)
        least = UNMOVED**2 * max(moves.max(initial=0.0), turns.max(initial=0.0))
        moved, turned = (moves > least) & backbone, (turns > least) & backbone
        return np.concatenate((np.repeat(moved, 3), np.repeat(turned, o))), bearing

    def sensitivity(self, lengths: Array | None = None) -> float:
        stressed = self.stressed
        stiffness = self.system.potential.stiffness(self.delta[stressed])
        values = self._values(stressed)
        if lengths is not None:
            values = values / lengths[self._columns[stressed]]
        return math.sqrt(float((values**2).sum(axis=1) @ stiffness**2))


def _plain(x: Array) -> np.ndarray:
    """x as the kernels are compiled for: contiguous, writeable float64; a copy only where it must be."""
    return np.require(x, dtype=np.float64, requirements=["C", "W"])


class _NearPairs(CompiledEvaluator):
    """Evaluator with a list of its own: all pairs within a skin of contact, with the image and the t* of each.

    Attributes
    ----------
    kernel : EllipsoidList
        The list.
    origin : Origin
        The data from which the next list is made.
    """

    def __init__(self, system: Ellipsoids):
        self.system, self.scale = system, system.scale
        skin, worth = FIRST_SKIN * self.scale, WORTH * self.scale
        self.served = round(worth / skin)  # with this number `suitable_skin` keeps the first skin
        threshold = OVERLAP_RESOLUTIONS * system.resolution(system.initial)
        shapes = (system.radii, system.shape, self.scale)
        nowhere, none = np.full(system.n_dof, np.nan), np.empty((9, 0))  # NaN: outdated at any x
        pairs = (*np.empty((2, 0), dtype=np.uint32), none[:3], none[0], none[0], none)
        made: tuple[Any, ...] = (nowhere, 1.0, skin, *shapes, threshold, *pairs, np.empty((system.n, 9)))
        kernel = EllipsoidList(*made)
        own = np.arange(system.n_dof)
        self.adopt(kernel, Origin(own, own, system.edges, worth))

    def adopt(self, kernel: EllipsoidList, origin: Origin) -> None:
        """Use this list from now on, for example one that a compiled loop has renewed."""
        self.kernel, self.origin = kernel, origin

    def __call__(self, x: Array, scale: float | None = None) -> tuple[Any, ...]:
        x, ratio = _plain(x), 1.0 if scale is None else scale / self.scale
        if not ratio > 0:
            self.system.at(scale=scale)  # raises an error that says what is wrong
        while True:
            squares, count, load, gradient = ellipsoid_kernel.evaluate(self.kernel, x, ratio)
            if squares >= 0:
                self.served += 1
                found = 0.5 * squares, gradient, squares, count
                return found if scale is None else (*found, load / self.scale)
            if not (np.isfinite(x).all() and (self.system.orientations_of(x) != 0).any(axis=1).all()):
                found = np.nan, np.full(len(x), np.nan), np.nan, 0
                return found if scale is None else (*found, np.nan)
            self.renew(x, ratio)

    def renew(self, x: np.ndarray, ratio: float) -> None:
        """Make the list anew at x, (n_dof,), and ratio = λ over the system's λ."""
        if not ellipsoid_kernel.room(self.kernel, self.origin, ratio) >= 0.0:
            self.system.at(scale=ratio * self.scale)  # raises an error that says what is wrong
        made = ellipsoid_kernel.renewed(self.kernel, self.origin, x, ratio, self.served)
        self.adopt(EllipsoidList(*made), self.origin)
        self.served = 0

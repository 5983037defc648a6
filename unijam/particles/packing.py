"""The base class of discs, spheres and ellipses: a periodic box, radii, one scale (the mean diameter).

The box may be tilted: with a strain γ_xy its second edge is (γ_xy L_y, L_y), and so on (Lees-Edwards).

In a fixed box Δ = λ c − g(x), with λ the mean diameter (discs: c = σ_ij/λ). The pressure is p = Σ u'(λc − Δ)/(dV).
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field

from ..core.border import require_positions
from ..core.capabilities import HasPressure
from ..core.constraints import Constraints, require_evaluated
from ..core.potentials import Harmonic, Potential, hidden_jump
from ..core.system import ConstrainedSystem
from ..support.arrays import Array
from ..support.memory import require_matrices
from ..support.printing import brief
from ..support.validation import Finite, Whole, is_whole, require, require_finite
from .kernels.neighbours import neighbour_pairs, spare, widths

PackingFraction = Annotated[Finite, Field(gt=0, le=2)]
Dimension = Annotated[Whole, Field(ge=1, le=8)]

# Distance, in mean diameters, below which two centres have no direction to be pushed in. Its square is the TINY of
# `kernels.perram_wertheim`.
COINCIDENT = 1e-50
BIDISPERSE_RATIO = 1.4  # large over small radius
# Relative half width: wide enough that no ring of equal discs around another carries one contact too many.
UNIFORM_WIDTH = 0.27
LOGNORMAL_WIDTH = 0.2  # standard deviation of ln R


def ball_volume(dimension: int) -> float:
    """Volume of the ball of radius one: 2, π, 4π/3, … for d = 1, 2, 3, …."""
    return float(math.pi ** (dimension / 2) / math.gamma(dimension / 2 + 1))


def as_floats(value: Any, name: str) -> np.ndarray:
    """A new contiguous float64 array of the same shape; a `ValueError` that names the field where it is not finite."""
    try:
        array = np.array(value, dtype=np.float64, order="C")
        if np.iscomplexobj(value):
            raise TypeError
    except (TypeError, ValueError):
        raise ValueError(f"{name} = {brief(value)} is not valid: it must be an array of numbers.") from None
    require_finite(array, name)
    return array


def side_lengths(value: Any, dimension: int, name: str) -> np.ndarray:
    """Positive numbers, one for each axis, (d,); a `ValueError` that names the field where they are not."""
    sides, shape = as_floats(value, name), (dimension,)
    require(sides.shape == shape, f"the shape of {name}", sides.shape, f"{shape}, one number for each axis")
    require(bool((sides > 0).all()), f"the smallest of {name}", float(sides.min()), "positive")
    return sides


def shear_strains(value: Any, dimension: int) -> Any:
    """γ_xy as a float, or γ_xy, γ_xz, γ_yz, (3,), where others than the first are not zero; 0.0 is no tilt."""
    strains, most = np.atleast_1d(as_floats(value, "strain")), dimension * (dimension - 1) // 2
    if not strains.any():
        return 0.0
    require(dimension in (2, 3), "strain", value, f"0 in {dimension} dimension{'s' * (dimension > 1)}")
    fits = strains.shape in ((1,), (most,))
    require(fits, "the shape of strain", strains.shape, f"(), or ({most},), one for each pair of axes")
    return strains.copy() if strains[1:].any() else float(strains[0])


def strained_edges(sides: Array, strain: Any) -> np.ndarray:
    """Edges, (d, d), of a box with these sides, (d,), and the strain as `shear_strains` returns it."""
    edges, strains = np.diag(sides), np.atleast_1d(strain)
    rows, columns = (1, 2, 2)[: len(strains)], (0, 0, 1)[: len(strains)]
    for row, column, gamma in zip(rows, columns, strains, strict=True):
        if gamma:
            edges[row, column] = gamma * sides[row]
    return edges


def unit_density_box(n: int, dimension: int, proportions: Any) -> Any:
    """The `box_length` of a box of volume n: one side of a cube, or the sides, (d,), in given proportions, (d,)."""
    side = n ** (1.0 / dimension)
    if proportions is None:
        return side
    sides = side_lengths(proportions, dimension, "box")
    return side * (sides / math.exp(np.log(sides).mean()))


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Packing(ConstrainedSystem, HasPressure):
    """Particles in a periodic box (a segment, square, cube, …; rectangular, or tilted), jammed by their size.

    x holds all positions first, (n, d) row by row, then (ellipses) `orientations` numbers a particle.

    Parameters
    ----------
    initial : (n_dof,) array
        A start x. Positions need not lie inside the box.
    radii : (n,) array
        Radii of the particles (ellipses: of the circles of equal area), in the units of the box.
    box_length : float or (d,) array
        Side of the box; its d sides where they differ.
    dimension : int
        d.
    potential : Potential
        The energy of one overlap.
    strain : float or (d (d − 1)/2,) array
        Shear of the box in two or three dimensions: γ_xy, or γ_xy, γ_xz, γ_yz. Its edges are the rows (L_x, 0, 0),
        (γ_xy L_y, L_y, 0), (γ_xz L_z, γ_yz L_z, L_z), as in HOOMD. One number is γ_xy. It is not the control: Δ is
        not linear in it. See `sheared`.

    Attributes
    ----------
    sides : (d,) array
        Sides of the box: L_x, L_y, … where it is tilted.
    edges : (d, d) array
        The edges, one a row, of the same lattice: each tilt is brought to at most half a side.

    Raises
    ------
    ValueError
        Where an entry is not finite, a radius or side not positive, a shape wrong, or a particle wider than half
        the shortest side (it could then touch two images of the same neighbour), or half the narrowest width of a
        tilted box.
    """

    control: ClassVar[str] = "packing_fraction"  # type: ignore[misc]
    jamming_overlap: ClassVar[float] = 1e-8  # type: ignore[misc]
    sparse: ClassVar[bool] = True
    kinked: ClassVar[bool] = False
    orientations: ClassVar[int] = 0

    initial: Array
    radii: Array
    box_length: Any
    dimension: int = 2
    potential: Potential = field(default_factory=Harmonic)
    strain: Any = 0.0
    sides: Array = field(init=False)

    def __post_init__(self) -> None:
        d = self.dimension
        require(is_whole(d) and d >= 1, "dimension", d, "an integer of at least 1")
        length: Any = self.box_length
        if not hasattr(length, "__len__"):
            real = isinstance(length, int | float | np.number) and math.isfinite(length)
            require(real and length > 0, "box_length", length, "positive and finite")
            length = np.full(int(d), float(length))
        sides = side_lengths(length, int(d), "box_length")
        require(
            isinstance(self.potential, Potential), "potential", self.potential, "a Potential, as Harmonic()"
        )
        pairwise = self.potential.coupled == 1 and self.potential.finite_range and not self.potential.kink
        wanted = "one of single overlaps that vanishes without overlap, its force too"
        require(pairwise, "potential", self.potential, f"{wanted} (shift the force as well as the energy)")
        radii, initial = as_floats(self.radii, "radii"), as_floats(self.initial, "initial")
        require(
            radii.ndim == 1 and len(radii) >= 1,
            "the shape of radii",
            radii.shape,
            "(n,) with n of at least 1",
        )
        require(bool((radii > 0).all()), "the smallest of radii", float(radii.min()), "positive")
        shape = (len(radii) * (int(d) + self.orientations),)
        require(
            initial.shape == shape, "the shape of initial", initial.shape, f"{shape} for {len(radii)} radii"
        )
        for name, value in (
            ("radii", radii),
            ("initial", initial),
            ("box_length", float(sides[0]) if (sides == sides[0]).all() else sides),
            ("sides", sides),
            ("dimension", int(d)),
            ("strain", shear_strains(self.strain, int(d))),
        ):
            object.__setattr__(self, name, value)
        jump = hidden_jump(self.potential, self.unit)
        field = f"u'(0⁺) of {type(self.potential).__name__}"
        require(jump is None, field, jump, "0 for particles: shift the force as well as the energy")
        half, cubic = 0.5 * self.narrowest_width, isinstance(self.box_length, float)
        what = "box side" if cubic else "shortest side of the box"
        what = f"narrowest width of the box tilted by {brief(self.strain)}" if self.tilted else what
        require(
            self.largest_diameter <= half,
            "the largest diameter",
            self.largest_diameter,
            f"at most half the {what}, {half:.6g} (take more or smaller particles"
            f"{'' if cubic and not self.tilted else ', or a box less thin'})",
        )

    @property
    def n(self) -> int:
        """The number of particles."""
        return len(self.radii)

    @property
    def coordinates(self) -> Any:
        """d, an int: the d coordinates of a particle belong together."""
        return self.dimension

    @cached_property
    def edges(self) -> np.ndarray:
        """The edges of the box, (d, d), one a row, lower triangular; no tilt is more than half a side.

        Whole sides are taken off a tilt: the lattice of images stays the same.
        """
        edges: np.ndarray = strained_edges(self.sides, self.strain)
        for axis in range(1, self.dimension):
            for before in range(axis - 1, -1, -1):
                edges[axis] -= np.rint(edges[axis, before] / edges[before, before]) * edges[before]
        return edges

    @property
    def tilted(self) -> bool:
        """Whether the edges of the box are not at right angles."""
        return bool((self.edges != np.diag(self.sides)).any())

    @cached_property
    def narrowest_width(self) -> float:
        """The least distance between opposite faces of the box, half of which no particle may exceed."""
        return float(widths(self.edges).min() if self.tilted else self.sides.min())

    @property
    def largest_diameter(self) -> float:
        """The longest axis of any particle, a float in the units of the box."""
        return 2.0 * float(self.radii.max())

    @cached_property
    def scale(self) -> float:
        """λ, the mean diameter, a float in the units of the box."""
        return 2.0 * float(self.radii.mean())

    @property
    def unit(self) -> float:  # type: ignore[override]
        """The mean diameter, a float in the units of the box: overlaps and gaps are reported in it."""
        return self.scale

    @property
    def volume(self) -> float:
        """The volume V of the box, a float: the product of its sides."""
        return float(math.prod(self.sides.tolist()))

    @property
    def packing_fraction(self) -> float:
        """φ, a float: the volume of the particles (overlaps counted twice) over the volume of the box."""
        content = np.multiply.reduce([self.radii] * self.dimension)  # products, unlike pow, scale exactly
        return ball_volume(self.dimension) * float(content.sum()) / self.volume

    def sheared(self, x: Array, strain: Any) -> tuple[Self, np.ndarray]:
        """The system at another strain, and x moved with the box: every particle keeps its place in it.

        Angles stay as they are.

        Parameters
        ----------
        x : (n_dof,) array
        strain : float or (d (d − 1)/2,) array
            As the field `strain`: not added to the present one.

        Returns
        -------
        system : Packing
            Its `initial` is moved too.
        x : (n_dof,) array

        Raises
        ------
        ValueError
            Where the strain has another shape or is not finite, or the box becomes too narrow for its particles.

        Examples
        --------
        >>> import unijam as uj
        >>> state = uj.minimize(uj.SoftSpheres.random(n=64, packing_fraction=0.9))
        >>> system, x = state.system.sheared(state.x, 0.01)
        >>> uj.minimize(system, x).status
        'converged'
        """
        after = shear_strains(strain, self.dimension)
        map = np.linalg.solve(*(strained_edges(self.sides, s) for s in (self.strain, after)))
        start, x = np.array(self.initial), np.array(require_positions(self, x), dtype=np.float64)
        for each in (start, x):
            self.positions(each)[:] = self.positions(each) @ map
        return self.at(strain=after, initial=start), x

    def positions(self, x: Array) -> Array:
        """The positions in x, a view (n, d); not wrapped into the box."""
        return x[: self.n * self.dimension].reshape(self.n, self.dimension)

    def require_room(self, skin: float, reach: float) -> None:
        """Raise a `ValueError` where gaps up to `reach` need a list of pairs, thicker by `skin`, that has no room.

        Only in tilted boxes, whose images beyond half the narrowest width cannot be told apart by folding.
        """
        room = spare(self.edges, self.largest_diameter) if self.tilted and skin > 0 else math.inf
        if skin > room:
            most = reach * room / skin
            wanted = (
                f"at most {most:.6g} in this tilted box, whose narrowest width is {self.narrowest_width:.6g}"
            )
            require(False, "reach", reach, wanted)

    def at(self, **changes: Any) -> Self:
        """A copy with other parameters, for which the same x is valid.

        Parameters
        ----------
        **changes
            Fields (`radii`, `box_length`, `potential`, `initial`, …); or `scale` (mean diameter) or
            `packing_fraction`, which rescale all radii in the fixed box.

        Raises
        ------
        ValueError
            Where a name is unknown, a value out of range, or the radii are asked for twice.
        """
        sizes = [name for name in ("scale", "packing_fraction", "radii") if name in changes]
        require(len(sizes) <= 1, "changes", sizes, "at most one of scale, packing_fraction and radii")
        require(
            "box_length" not in changes or sizes != ["packing_fraction"],
            "changes",
            list(changes),
            "without box_length where packing_fraction is given",
        )
        for name in ("scale", "packing_fraction"):
            if name in changes:
                value = changes.pop(name)
                real = isinstance(value, int | float | np.number) and math.isfinite(value)
                require(real and value > 0, name, value, "positive and finite")
                require(name == "scale" or value <= 2, name, value, "above 0, at most 2")
                ratio = value / getattr(self, name)
                factor = ratio if name == "scale" else ratio ** (1.0 / self.dimension)
                changes["radii"] = self.radii * factor
        return super().at(**changes)

    def pressure(self, c: Constraints) -> float:
        """The pressure p = Σ u'(λc − Δ)/(dV) = −dU/dV at fixed radii, in contact stiffnesses × (box units)^(2−d).

        c are constraints that `constraints` made; a `ValueError` where they are not.
        """
        require_evaluated(c)
        force = self.potential.force(c.delta)
        return float(force @ (self.scale * c.loading() - c.delta)) / (self.dimension * self.volume)

    def symmetries(self, x: Array) -> Array:
        """The d translations of all particles, (d, n_dof), one a row."""
        rows = np.zeros((self.dimension, self.n_dof))
        for axis in range(self.dimension):
            rows[axis, axis : self.n * self.dimension : self.dimension] = 1.0
        return rows

    def canonical(self, x: Array) -> Array:
        """x, (n_dof,), with coincident centres set apart by about 1e-8 mean diameters; x itself where none coincide.

        Where centres coincide Δ is largest, but has neither gradient nor curvature, so that a solver would take this
        maximum of the energy for a minimum.
        """
        reach = COINCIDENT * self.scale
        # in a tilted box too, only whole sides are added to last coordinates
        last = np.sort(np.mod(self.positions(x)[:, -1], self.sides[-1]))
        # almost always no two last coordinates agree, which is cheap to see
        if not (np.diff(last) <= reach).any():
            return x
        pairs = neighbour_pairs(self.positions(x), self.edges, np.full(self.n, 0.5 * reach))
        if not len(pairs):
            return x
        later, apart = np.unique(pairs[:, 1]), np.array(x)
        steps = np.random.default_rng(0).standard_normal((len(later), self.dimension))
        self.positions(apart)[later] += 1e-8 * self.scale * steps
        return apart

    def resolution(self, x: Array) -> float:
        """The rounding error of one Δ, in the units of the box.

        It is 4e-16 × the longest side of the box, or × the largest coordinate where particles have drifted far away.
        """
        return 4e-16 * max(float(self.sides.max()), float(np.abs(x[: self.n * self.dimension]).max()))


class HasContacts(ABC):
    """Constraints of a user's shapes, of which stress and moduli are made."""

    @abstractmethod
    def contacts(self, select: Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """r, (m, d), ∂Δ/∂q, (m, q), and ∂²Δ/∂q∂q, (m, q, q), of a mask; q = (r, orientation of i, of j)."""


class Outlined(ABC):
    """Its particles are drawn as polygons, not as discs or ellipses."""

    @abstractmethod
    def outlines(self, x: Array) -> np.ndarray:
        """Vertices of each particle as it lies at x, (n, v, 2), seen from its centre, in the units of the box."""


def require_packing(system: Any) -> None:
    """Raise a `ValueError` where `system` is not a `Packing`."""
    kind = type(system).__name__
    require(isinstance(system, Packing), "system", kind, "a packing: SoftSpheres or Ellipses")


def draw_radii(
    n: int, radii: Any, packing_fraction: float, dimension: int, rng: np.random.Generator
) -> np.ndarray:
    """Radii of n particles that fill a box of side n^(1/d) to a packing fraction.

    Parameters
    ----------
    n : int
        The number of particles.
    radii : str or (n,) array
        `"monodisperse"`; `"bidisperse"`, half small, half large (one more where n is odd), of ratio 1 : 1.4;
        `"uniform"`, uniformly distributed within ± 27 % of the mean; `"lognormal"`, of standard deviation 0.2
        of the logarithm; or relative sizes, rescaled to the packing fraction.
    packing_fraction : float
        φ of the result, to rounding.
    dimension : int
        d.
    rng : numpy Generator
        Used by `"uniform"` and `"lognormal"`.

    Returns
    -------
    (n,) array
        In units of the mean distance of particles (number density one).

    Raises
    ------
    ValueError
        Where the name is unknown, the shape is wrong, or a size is not positive and finite.
    """
    # positions and radii, and the few copies of them that any method makes
    require_matrices([(n, 8 * (dimension + 1))], f"a packing of {n} particles")
    if isinstance(radii, str):
        if radii == "monodisperse":
            sizes = np.ones(n)
        elif radii == "bidisperse":
            sizes = np.where(np.arange(n) < n // 2, 1.0, BIDISPERSE_RATIO)
        elif radii == "uniform":
            sizes = rng.uniform(1.0 - UNIFORM_WIDTH, 1.0 + UNIFORM_WIDTH, n)
        elif radii == "lognormal":
            sizes = rng.lognormal(0.0, LOGNORMAL_WIDTH, n)
        else:
            require(
                False,
                "radii",
                radii,
                f"'monodisperse', 'bidisperse', 'uniform', 'lognormal' or an array of shape ({n},)",
            )
    else:
        sizes = as_floats(radii, "radii")
        require(sizes.shape == (n,), "the shape of radii", sizes.shape, f"({n},)")
        require(bool((sizes > 0).all()), "the smallest of radii", float(sizes.min()), "positive")
        sizes = sizes / sizes.max()
    filled = ball_volume(dimension) * float((sizes**dimension).sum())
    scaled: np.ndarray = sizes * (packing_fraction * n / filled) ** (1.0 / dimension)
    return scaled

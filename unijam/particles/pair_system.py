"""A shape in ten lines: a user writes Δ of one pair of bodies in torch, and has a packing of them.

All lengths of a body are multiples of its radius R, and Δ is linear in a common factor of all radii, so that
Δ = λ c − g(x) with λ the mean diameter. A signed distance that is not linear becomes so by its touching scale.
"""

import dataclasses
import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self, dataclass_transform

import numpy as np
import torch
from torch import Tensor

from ..core.capabilities import Rescaled
from ..core.constraints import Constraints
from ..support.arrays import Array
from ..support.validation import Count, Seed, checked, require, require_finite
from .kernels.neighbours import neighbour_pairs
from .packing import Outlined, Packing, PackingFraction, ball_volume, draw_radii, unit_density_box
from .pairs.bodies import Body
from .pairs.checks import torque_arm
from .pairs.constraints import PairConstraints
from .pairs.evaluator import NearPairs
from .pairs.pairs import Pairs

TINY = 1e-3  # of the radii asked for: a body as small fits into any box while its volume is asked for


@dataclass_transform(kw_only_default=True, frozen_default=True, eq_default=False)
@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class PairSystem(Packing, Outlined, Rescaled):
    """Bodies of a user's own shape in a periodic box: write `delta` and `bounding_radius`.

    x holds the n positions, row by row, then the orientation of each body: an angle in the plane, a quaternion (of
    any norm) in space. What a subclass annotates becomes a field, as in a dataclass: a number that all bodies share,
    or an array with one row a body. Every length of a body must be a multiple of its radius.

    Parameters
    ----------
    initial : (n_dof,) array
        A start x. Positions need not lie inside the box, angles need not be folded.
    radii : (n,) array
        R of each body, in the units of the box.
    box_length : float or (d,) array
        Side of the periodic box; its d sides where they differ.
    dimension : int
        d: 2, or 3; any for bodies that do not turn.
    potential : Potential
        The energy of one Δ.

    Attributes
    ----------
    turning : bool
        Whether bodies have an orientation; a class of spheres says `turning = False`.

    Raises
    ------
    ValueError
        As `Packing`; where `delta` is not symmetric under exchange of the bodies, not finite, of wrong shape or not
        linear in their size, or the bounding radius is too small, as random pairs show.

    Examples
    --------
    Dimers, two discs of radius R with their centres R apart, as four distances a pair:

    >>> import torch
    >>> import unijam as uj
    >>> class Dimers(uj.PairSystem):
    ...     def bounding_radius(self):
    ...         return 1.5
    ...     def delta(self, a, b, r):
    ...         shift = torch.tensor([-0.5, 0.5])[:, None]
    ...         p, q = (shift * (body.radius[:, None] * body.axis)[:, None] for body in (a, b))
    ...         reach = (a.radius + b.radius)[:, None, None]
    ...         scales = uj.touching_discs(r[:, None, None], p[:, :, None], q[:, None], reach)
    ...         return (reach * (1 - scales)).flatten(1)
    >>> uj.minimize(Dimers.random(n=16, packing_fraction=0.9)).status
    'converged'
    """

    turning: ClassVar[bool] = True

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        dataclass(frozen=True, eq=False, kw_only=True, repr=False)(cls)

    @abstractmethod
    def delta(self, a: Body, b: Body, r: Tensor) -> Tensor:
        """Signed distances of m pairs of bodies, by differentiable operations of torch.

        Δ > 0 is an overlap. Δ(a, b, r) = Δ(b, a, −r), once differentiable, and linear in a common factor of all
        radii. A pair that meets on a kink, face to face, is given as its k smooth distances, all of which must be
        negative; each of them is one constraint.

        Parameters
        ----------
        a, b : Body
            With `radius`, (m,), `angle`, (m,), `axis`, (m, d), and the fields of the class.
        r : (m, d) tensor
            From a to b, between nearest images.

        Returns
        -------
        (m,) or (m, k) tensor
            In the units of the box.
        """

    @abstractmethod
    def bounding_radius(self) -> Any:
        """The largest distance of a point of a body from its centre, in units of R: a number, or (n,)."""

    def body_volume(self) -> Any:
        """The volume (area) of a body of R = 1, a number or (n,): that of the ball, unless a class says otherwise."""
        return ball_volume(self.dimension)

    def outline(self) -> Any:
        """Vertices of a body to be drawn, in its own frame and in units of R: (v, 2), or (n, v, 2).

        A circle of the bounding radius, unless a class says otherwise.
        """
        turn = np.linspace(0.0, 2.0 * math.pi, 64, endpoint=False)
        circle = np.column_stack((np.cos(turn), np.sin(turn)))
        return np.broadcast_to(self.bounding_radius(), (self.n,))[:, None, None] * circle

    def __post_init__(self) -> None:
        d = self.dimension
        if self.turning:
            require(d in (2, 3), "dimension", d, "2 or 3 for bodies that turn (turning = False: any)")
        super().__post_init__()
        self._arm  # noqa: B018  # looks at random pairs, and refuses a faulty `delta` now

    @property
    def orientations(self) -> int:  # type: ignore[override]
        """o: one angle in the plane, four numbers of a quaternion in space."""
        return (1 if self.dimension == 2 else 4) if self.turning else 0

    @classmethod
    @checked
    def random(
        cls,
        n: Count = 200,
        packing_fraction: PackingFraction = 0.9,
        radii: Any = "bidisperse",
        seed: Seed = 0,
        box: Any = None,
        **shape: Any,
    ) -> Self:
        """Bodies at random places with random orientations, in a box of volume n (number density one).

        Parameters
        ----------
        n : int
            How many.
        packing_fraction : float
            φ, `body_volume` over that of the box, at most 2.
        radii : str or (n,) array
            As in `draw_radii`: "bidisperse" (1 : 1.4), "monodisperse", "uniform", or relative sizes.
        seed : int
            Of every random draw.
        box : (d,) numbers, optional
            Proportions of the sides of the box; a cube by default.
        **shape
            The fields of the class.

        Raises
        ------
        ValueError
            One sentence with field, value and range.
        """
        known = {field.name for field in dataclasses.fields(cls) if field.init}
        inherited = {field.name for field in dataclasses.fields(PairSystem)} - {"dimension", "potential"}
        for name in shape:
            require(name in known - inherited, "parameter", name, f"a field of {cls.__name__}")
        defaults = {field.name: field.default for field in dataclasses.fields(cls)}
        d: Any = shape.get("dimension", defaults["dimension"])
        rng = np.random.default_rng(seed)
        sizes = draw_radii(n, radii, packing_fraction, d, rng)
        side = unit_density_box(n, d, box)
        parts = [rng.uniform(0.0, side, (n, d)).ravel()]
        if cls.turning:
            turns = rng.uniform(0.0, 2.0 * math.pi, n) if d == 2 else rng.standard_normal((n, 4))
            if d == 3:
                turns /= np.linalg.norm(turns, axis=1, keepdims=True)
            parts.append(turns.ravel())
        x = np.concatenate(parts)
        drawn = cls(initial=x, radii=TINY * sizes, box_length=side, **shape)
        return drawn.at(packing_fraction=packing_fraction)

    def orientations_of(self, x: Array) -> Array:
        """The orientations in x, a view (n, o)."""
        return x[self.n * self.dimension :].reshape(self.n, self.orientations)

    def angles(self, x: Array) -> Array:
        """The angles in x, a view (n,), in radians; of bodies in the plane."""
        return self.orientations_of(x)[:, 0]

    @cached_property
    def bounding_radii(self) -> np.ndarray:
        """The bounding radius of each body, (n,), in the units of the box."""
        given = np.asarray(self.bounding_radius(), dtype=np.float64)
        field = f"{type(self).__name__}.bounding_radius()"
        require(given.shape in ((), (self.n,)), f"the shape of {field}", given.shape, f"() or ({self.n},)")
        positive = bool(np.isfinite(given).all()) and bool((given > 0).all())
        require(positive, field, self.bounding_radius(), "positive and finite")
        radii: np.ndarray = given * self.radii
        return radii

    @cached_property
    def _arm(self) -> float:
        """The typical ∂Δ/∂angle of touching bodies, in units of R."""
        return torque_arm(self)

    @property
    def largest_diameter(self) -> float:
        """Twice the largest bounding radius, in the units of the box."""
        return 2.0 * float(self.bounding_radii.max())

    @property
    def packing_fraction(self) -> float:
        """φ, the volume of the bodies (overlaps counted twice) over that of the box."""
        volumes = self.body_volume() * np.multiply.reduce([self.radii] * self.dimension)
        return float(volumes.sum()) / self.volume

    @cached_property
    def shape_fields(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The fields that a class adds: those shared by all bodies, and those with a row a body, as tensors."""
        fixed, rows = {}, {}
        for name in shape_names(type(self)):
            value = getattr(self, name)
            array = np.asarray(value) if isinstance(value, list | tuple | np.ndarray | Tensor) else None
            if array is not None and array.ndim and len(array) == self.n:
                rows[name] = torch.from_numpy(np.array(array, dtype=np.float64))
            else:
                fixed[name] = value
        return fixed, rows

    @cached_property
    def coordinates(self) -> Any:
        """The d coordinates of a body belong together; its orientation is a group of its own, (n_dof,)."""
        number = np.arange(self.n)
        turns = self.n + np.repeat(number, self.orientations)
        return np.concatenate((np.repeat(number, self.dimension), turns))

    @cached_property
    def angle_length(self) -> float:
        """What a radian is worth as a length: (V/n)^(1/d), which does not move with the radii."""
        return float((self.volume / self.n) ** (1.0 / self.dimension))

    @cached_property
    def coordinate_lengths(self) -> Array | None:  # type: ignore[override]
        """One for positions, `angle_length` for angles, twice that for quaternions; None where all are one."""
        turn = self.angle_length * (1.0 if self.dimension == 2 else 2.0)
        if turn == 1.0 or not self.orientations:
            return None
        return self._lengths(turn)

    def _lengths(self, turn: Any) -> np.ndarray:
        """(n_dof,): ones for positions, `turn`, a number or (n,), for orientations."""
        turns = np.repeat(np.broadcast_to(np.asarray(turn, dtype=np.float64), (self.n,)), self.orientations)
        return np.concatenate((np.ones(self.n * self.dimension), turns))

    def lengths(self, x: Array) -> Array | None:
        """Of an orientation R √(e² + 2eΔ/R), e R the typical ∂Δ/∂angle at contact, Δ the typical overlap at x."""
        if not self.orientations or not self._arm:
            return None
        overlaps = np.maximum(self.constraints(x).delta, 0.0)
        typical = math.sqrt(float(overlaps @ overlaps) / max(int((overlaps > 0).sum()), 1))
        arm = self._arm * self.radii
        return self._lengths(np.minimum(np.sqrt(arm * (arm + 2.0 * typical)), self.unit))

    def constraints(self, x: Array, reach: float = 0.0) -> Constraints:
        """Every Δ > −reach of nearest images, at x, (n_dof,)."""
        x = np.ascontiguousarray(x, dtype=np.float64)
        require_finite(x, "x")
        # Δ grows by at least (R_i + R_j) d ln λ: where Δ > −reach, bodies touch once they have grown by that share
        skin = 2.0 * reach * float((self.bounding_radii / self.radii).max())
        self.require_room(skin, reach)
        near = neighbour_pairs(self.positions(x), self.edges, self.bounding_radii, skin=skin)
        pairs = Pairs(self, *np.ascontiguousarray(near.T))
        z = pairs.coordinates(x)
        values = pairs.values(z)
        rows, which = np.nonzero(values > -reach)
        kept, rows = np.unique(rows, return_inverse=True)
        pairs = Pairs(self, pairs.first[kept], pairs.second[kept])
        z, values = z[kept], values[kept]
        rows = rows.reshape(-1)
        return PairConstraints(
            system=self,
            x=x,
            delta=values[rows, which],
            members=near[kept][rows],
            which=which,
            pairs=pairs,
            rows=rows,
            z=z,
            several=values.shape[1],
        )

    def evaluator(self) -> Callable[[Array], tuple[float, Array, float, int]]:
        """A fresh x -> (U, ∇U, Σ u'², N_Δ) with its own list of near pairs."""
        return NearPairs(self)

    def scaled_evaluator(self) -> Callable[[Array, float], tuple[float, Array, float, int, float]]:
        """A fresh (x, λ) -> (U, ∇U, Σ u'², N_Δ, Σ u' c): the evaluator where the mean diameter moves too."""
        return NearPairs(self)

    def symmetries(self, x: Array) -> Array:
        """The d translations, and in space the norm of each quaternion, (k, n_dof)."""
        moves = super().symmetries(x)
        if self.orientations != 4:
            return moves
        norms = np.zeros((self.n, self.n_dof))
        columns = self.n * self.dimension + 4 * np.arange(self.n)[:, None] + np.arange(4)
        np.put_along_axis(norms, columns, self.orientations_of(np.asarray(x)), axis=1)
        return np.concatenate((moves, norms))

    def canonical(self, x: Array) -> Array:
        """x with coincident centres set apart, as of all packings, and quaternions of norm one."""
        x = super().canonical(x)
        if self.orientations != 4:
            return x
        norms = np.linalg.norm(self.orientations_of(x), axis=1)
        if bool((abs(norms - 1.0) < 1e-15).all()):
            return x
        kept = np.array(x)
        self.orientations_of(kept)[:] /= norms[:, None]
        return kept

    def outlines(self, x: Array) -> np.ndarray:
        given = np.asarray(self.outline(), dtype=np.float64)
        bodies: np.ndarray = np.broadcast_to(given, (self.n, *given.shape[-2:])) * self.radii[:, None, None]
        if not self.orientations:
            return bodies
        cos, sin = np.cos(self.angles(x)), np.sin(self.angles(x))
        turn = np.stack((np.stack((cos, sin), axis=1), np.stack((-sin, cos), axis=1)), axis=1)
        turned: np.ndarray = bodies @ turn
        return turned


def shape_names(kind: type) -> list[str]:
    """The names of the fields that a class adds to those of every `PairSystem`."""
    own = {field.name for field in dataclasses.fields(PairSystem)}
    return [field.name for field in dataclasses.fields(kind) if field.name not in own]

"""The content of a picture of a packing: centres, contacts, colours, and the polygons that draw them."""

from typing import Any

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.colors import Normalize, to_rgb

from ..core.constraints import Constraints
from ..particles.ellipses import EllipseConstraints, Ellipses
from ..particles.ellipsoids import EllipsoidConstraints, Ellipsoids
from ..particles.formats.common import wrapped
from ..particles.kernels.neighbours import folded_separations
from ..particles.packing import Outlined, Packing
from ..support.validation import require, require_finite
from .comparison import COLOURS

INK = "#1f2730"
RATTLER = "#d5d5d5"
ARROW = "#b2182b"
FORCE_WIDTH = 0.19  # width of a link with the mean force, in mean (short) radii; proportional to the force
LONGEST_ARROW = 1.6  # length of the longest arrow of a mode, in mean diameters
ROUND = 12  # vertices of each end of a force chain's link


class Scene:
    """The content of a picture, in the units of the box: centres inside it, links of the contact network, colours."""

    def __init__(self, system: Packing, x: np.ndarray, mode: np.ndarray | None, colour: Any) -> None:
        n, d = system.n, system.dimension
        self.system, self.mode = system, mode
        self.edges = system.edges
        self.centres = wrapped(system.positions(x), self.edges)[0]
        self.outlines = system.outlines(x) if isinstance(system, Outlined) and d == 2 else None
        self.ellipses = isinstance(system, Ellipses) or self.outlines is not None
        self.angles = system.angles(x) if isinstance(system, Ellipses) else np.zeros(n)
        if isinstance(system, Ellipses):
            self.long, self.short = system.semi_axes
        else:
            self.long = self.short = system.radii
        self.bodies = self._bodies(x)
        c = system.constraints(x)
        touching = np.asarray(c.overlaps)
        self.held: np.ndarray = np.any(np.asarray(c.bearing()[0])[: n * d].reshape(n, d), axis=1)
        self.links = c.members[touching]
        force = system.potential.force(c.delta[touching])
        carried = force[self.held[self.links].all(axis=1)]
        mean = carried.mean() if carried.size else 1.0
        self.widths = FORCE_WIDTH * self.short.mean() * force / mean
        self.contacts = _contact_points(system, self, c, touching)
        long = self.ellipses or isinstance(system, Ellipsoids)
        self.base = np.array(to_rgb(COLOURS["ellipses" if long else "spheres"]))
        self.colours = self._colours(colour)

    def _bodies(self, x: np.ndarray) -> np.ndarray:
        """The matrix of squared half axes of each body, (n, d, d): R² times one for discs and spheres."""
        system = self.system
        if isinstance(system, Ellipsoids):
            frames, squares = system.frames(x), system.semi_axes**2
        else:
            cos, sin = np.cos(self.angles), np.sin(self.angles)
            flat = np.stack([np.stack([cos, sin], axis=1), np.stack([-sin, cos], axis=1)], axis=1)
            d = system.dimension
            frames = flat if d == 2 else np.broadcast_to(np.eye(d), (system.n, d, d))
            squares = np.stack([self.long, *[self.short] * (d - 1)], axis=1) ** 2
        bodies: np.ndarray = np.einsum("nab,na,nac->nbc", frames, squares, frames)
        return bodies

    def _colours(self, colour: Any) -> np.ndarray:
        """The colour of each particle, (n, 3): from a colour map, or a tint by size, with rattlers in grey."""
        from matplotlib import colormaps

        radii, d = self.system.radii, self.system.dimension
        if colour is not None and not isinstance(colour, str | tuple):
            values = np.asarray(colour, dtype=np.float64)
            require(
                values.shape == radii.shape,
                "the shape of colour",
                values.shape,
                f"{radii.shape}, or a colour",
            )
            require_finite(values, "colour")
            mapped: np.ndarray = colormaps["viridis"](Normalize()(values))[:, :3]
            return mapped
        if colour is not None:
            self.base = np.array(to_rgb(colour))
        if self.mode is not None and self.system.orientations == 1:
            turns = self.mode[2 * self.system.n :]
            scaled = turns / (np.abs(turns).max() or 1.0)
            return 0.25 + 0.75 * colormaps["RdBu_r"](0.5 + 0.5 * scaled)[:, :3]
        spread = np.ptp(radii)
        size = (radii - radii.min()) / spread if spread > 0 else np.full(len(radii), 0.5)
        faint = self.mode is not None and d == 2
        strength = ((0.14 + 0.14 * size) if faint else (0.30 + 0.28 * size) * (1.0 if d == 2 else 1.5))[
            :, None
        ]
        tinted = 1.0 - strength * (1.0 - self.base)
        return np.where(self.held[:, None], tinted, to_rgb(RATTLER))

    def segments(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Links as lines from both centres to the contact: starts and ends, (2m, d), and widths, (2m,)."""
        i, j = self.links.T
        starts = self.centres[np.concatenate([i, j])]
        apart = folded_separations(self.centres[j] - self.centres[i], self.edges)
        ends = starts + np.concatenate([self.contacts, self.contacts - apart])
        return starts, ends, np.tile(self.widths, 2)

    def moves(self) -> np.ndarray:
        """The arrows of the mode, (n, d), of which the longest has 1.6 mean diameters.

        Where turns dominate the mode, arrows are shorter: turns count as the motion of the rim.
        """
        assert self.mode is not None
        moves = self.system.positions(self.mode)
        turns = self.mode[self.system.n * self.system.dimension :]
        rim = np.abs(turns).max(initial=0.0) * float(self.long.mean())
        longest = max(float(np.linalg.norm(moves, axis=1).max()), 0.5 * rim) or 1.0
        arrows: np.ndarray = moves * (LONGEST_ARROW * self.system.scale / longest)
        return arrows


def _contact_points(system: Packing, scene: Scene, c: Constraints, touching: np.ndarray) -> np.ndarray:
    """The contact point of each pair relative to the centre of its first particle, (m, d).

    For ellipses and ellipsoids the point at which the contact function is largest: (1 − t) A [(1 − t) A + t B]⁻¹ r.
    """
    i, j = c.members[touching].T
    apart = folded_separations(scene.centres[j] - scene.centres[i], scene.edges)
    points: np.ndarray
    if not isinstance(c, EllipseConstraints | EllipsoidConstraints):
        points = apart * (system.radii[i] / (system.radii[i] + system.radii[j]))[:, None]
        return points
    t, bodies = c.t[touching][:, None, None], scene.bodies
    pulled = np.linalg.solve((1 - t) * bodies[i] + t * bodies[j], apart[:, :, None])
    points = ((1 - t) * bodies[i] @ pulled)[:, :, 0]
    return points


def images(centres: np.ndarray, half: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres and their periodic images that reach into the box, (k, 2), and the particle of each, (k,).

    `centres` and `half`, half the width and height of each particle, are (n, 2); `edges` is (2, 2), one edge a row.
    """
    shifts = np.array([(a, b) for a in (0, -1, 1) for b in (0, -1, 1)]) @ edges
    at = centres[None] + shifts[:, None]
    low, high = extent(edges)
    seen = ((at + half > low) & (at - half < high)).all(axis=2)
    return at[seen], np.nonzero(seen)[1]


def capsules(start: np.ndarray, end: np.ndarray, radii: np.ndarray, vertices: int = ROUND) -> np.ndarray:
    """Polygons, (m, 2 × vertices, 2), around lines from start to end, (m, 2), with round ends of `radii`, (m,).

    Where start and end are equal they are circles.
    """
    along = np.arctan2(*(end - start).T[::-1])[:, None]
    turn = along + np.linspace(-0.5 * np.pi, 0.5 * np.pi, vertices)
    arc = radii[:, None, None] * np.stack([np.cos(turn), np.sin(turn)], axis=2)
    return np.concatenate([end[:, None] + arc, start[:, None] - arc], axis=1)


def arrows(start: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Polygons, (m, 7, 2), of arrows from `start` along vectors `along`, (m, 2); all have one shape, scaled."""
    shape = np.array(
        [[0, 0.045], [0.6, 0.045], [0.6, 0.155], [1, 0], [0.6, -0.155], [0.6, -0.045], [0, -0.045]]
    )
    across = np.column_stack([-along[:, 1], along[:, 0]])
    corners: np.ndarray = start[:, None] + shape[:, :1] * along[:, None] + shape[:, 1:] * across[:, None]
    return corners


def polygons(vertices: np.ndarray, **style: Any) -> PolyCollection:
    """A matplotlib collection of polygons, (m, vertices, 2)."""
    return PolyCollection(vertices, **style)  # type: ignore[arg-type]


def corners(edges: np.ndarray) -> np.ndarray:
    """The corners of a box, (2^d, d), in the order of `np.ndindex`."""
    found: np.ndarray = np.array(list(np.ndindex(*(2,) * len(edges)))) @ edges
    return found


def extent(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest coordinate of a box along each axis, two (d,) arrays."""
    at = corners(edges)
    return at.min(axis=0), at.max(axis=0)

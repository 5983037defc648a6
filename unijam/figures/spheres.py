"""Spheres and ellipsoids in perspective: shaded outlines, links and arrows; the farthest are drawn first."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from .scene import ARROW, INK, Scene, arrows, capsules, corners, polygons

VIEW = (np.radians(28.0), np.radians(20.0))  # azimuth and elevation from which spheres are seen
DISTANCE = 3.2  # of the eye from the middle of the box, in box sides
CORNERS = 36  # vertices of each polygon
LIGHT = np.array([-0.30, 0.40])  # where the highlight of a sphere is, in radii
SHRUNK = 0.36  # factor of the radii where forces or a mode must be seen inside
LINK = 0.5  # width of a link over the width of a force chain in the plane


def draw_deep(ax: Axes, scene: Scene, forces: bool) -> None:
    """Draw bodies, each shaded by outlines from its rim to its highlight, links of contacts, and a mode's arrows."""
    see = _Camera(scene.edges)
    inside = forces or scene.mode is not None
    bodies = scene.bodies * (SHRUNK if inside else 1.0) ** 2
    at, near = see(scene.centres)
    spheres, paints = _shaded(at, *see.outlines(bodies, near), scene.colours, see.fog(near))
    order = np.arange(len(spheres)) // len(near)  # from rim to highlight
    shapes, depths, colours = [spheres], [np.tile(near, len(spheres) // len(near)) + 1e-9 * order], [paints]

    def add(drawn: np.ndarray, middle: np.ndarray, colour: str) -> None:
        magnification, ink = see(middle)[1], np.array(to_rgb(colour))
        shapes.append(drawn)
        depths.append(magnification)
        colours.append(ink + (1.0 - ink) * see.fog(magnification)[:, None])

    if forces and len(scene.links):
        starts, ends, widths = scene.segments()
        (low, _), (high, scale) = see(starts), see(ends)
        add(capsules(low, high, 0.5 * LINK * widths * scale, CORNERS // 2), 0.5 * (starts + ends), INK)
    if scene.mode is not None:
        moves = scene.moves()
        darts = arrows(at, see(scene.centres + moves)[0] - at)
        last = np.repeat(darts[:, -1:], CORNERS - darts.shape[1], axis=1)
        add(np.concatenate([darts, last], axis=1), scene.centres + 0.6 * moves, ARROW)

    order = np.argsort(np.concatenate(depths), kind="stable")
    drawn, paint = np.concatenate(shapes)[order], np.concatenate(colours)[order]
    behind, before = see.edges()
    lines: dict[str, Any] = {"closed": False, "facecolors": "none", "edgecolors": INK, "linewidths": 0.7}
    ax.add_collection(polygons(behind, zorder=1, **lines), autolim=False)
    ax.add_collection(polygons(drawn, facecolors=paint, linewidths=0, zorder=2), autolim=False)
    ax.add_collection(polygons(before, zorder=4, alpha=0.5, **lines), autolim=False)
    places = np.concatenate([drawn.reshape(-1, 2), behind.reshape(-1, 2), before.reshape(-1, 2)])
    low, high = places.min(axis=0), places.max(axis=0)
    room = 0.01 * (high - low).max()
    ax.set_xlim(low[0] - room, high[0] + room)
    ax.set_ylim(low[1] - room, high[1] + room)


def _shaded(
    at: np.ndarray, shapes: np.ndarray, highlights: np.ndarray, colours: np.ndarray, fog: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Polygons, (shades × n, CORNERS, 2), and colours, (shades × n, 3), of the outlines of n bodies, rims first.

    shapes, (n, 2, 2), take the unit circle to a body's rim, and highlights, (n, 2), are seen from its centre.
    """
    shades = int(np.clip(16000 // len(at), 14, 26))  # fewer outlines for each where there are many bodies
    steps = np.linspace(0.0, 1.0, shades)[:, None]
    turn = np.linspace(0.0, 2.0 * np.pi, CORNERS, endpoint=False)
    rims = np.column_stack([np.cos(turn), np.sin(turn)]) @ shapes.transpose(0, 2, 1)
    centres = at + highlights * steps[:, :, None]
    outlines = (centres[:, :, None] + (1.0 - 0.96 * steps)[:, :, None, None] * rims).reshape(-1, CORNERS, 2)
    height = np.sqrt(1.0 - (1.0 - steps) ** 2)[:, :, None]  # of a sphere at a circle's rim: its brightness
    faces = colours * (0.42 + 0.58 * height)
    faces = faces + (1.0 - faces) * 0.8 * np.clip((steps[:, :, None] - 0.45) / 0.55, 0, 1) ** 2
    faces = faces + (1.0 - faces) * fog[:, None]
    return outlines, faces.reshape(-1, 3)


class _Camera:
    """Perspective from `VIEW`: points, (n, 3), -> places in the picture, (n, 2), and magnification there, (n,)."""

    def __init__(self, edges: np.ndarray) -> None:
        (azimuth, elevation), self.corners = VIEW, corners(edges)
        (s, c), (t, u) = (np.sin(azimuth), np.cos(azimuth)), (np.sin(elevation), np.cos(elevation))
        self.eye = np.array([u * c, u * s, t])
        self.plane = np.array([[-s, c, 0.0], [-t * c, -t * s, u]])
        self.distance = DISTANCE * float(np.ptp(self.corners, axis=0).max())

    def __call__(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        relative = points - self.corners.mean(axis=0)
        near = self.distance / (self.distance - relative @ self.eye)
        return relative @ self.plane.T * near[:, None], near

    def outlines(self, bodies: np.ndarray, near: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What takes the unit circle to the outline of each body, (n, 2, 2), and the place of its highlight, (n, 2).

        `bodies`, (n, 3, 3), are matrices A of squared half axes: the outline has the matrix P A Pᵀ, and the normal is
        n at A n/√(nᵀ A n).
        """
        shapes = np.linalg.cholesky(self.plane @ bodies @ self.plane.T) * near[:, None, None]
        normal = LIGHT @ self.plane + np.sqrt(1.0 - LIGHT @ LIGHT) * self.eye
        bright = bodies @ normal / np.sqrt(normal @ bodies @ normal)[:, None]
        return shapes, bright @ self.plane.T * near[:, None]

    def fog(self, near: np.ndarray) -> np.ndarray:
        """The share of the colour that is lost with distance, (n,), for magnifications `near`, (n,)."""
        return np.clip(0.22 - 0.95 * (near - 1.0), 0.0, 0.6)

    def edges(self) -> tuple[np.ndarray, np.ndarray]:
        """The box: the nine edges behind its contents, (9, 2, 2), and the three that meet nearest the eye."""
        ends = np.array(list(np.ndindex(2, 2, 2)))
        pairs = [(a, b) for a in range(8) for b in range(a) if np.abs(ends[a] - ends[b]).sum() == 1]
        places, near = self(self.corners)
        first = int(near.argmax())
        return (
            np.array([places[list(pair)] for pair in pairs if first not in pair]),
            np.array([places[list(pair)] for pair in pairs if first in pair]),
        )

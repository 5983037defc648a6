"""Pictures of packings: discs and ellipses in their periodic box, force chains, modes; spheres in perspective.

Everything is drawn in the units of the box, so that a picture can be zoomed. Particles, links and arrows are one
collection each, so that a thousand particles take well under a second.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.patches import Polygon

from ..core.border import require_positions
from ..particles.packing import Packing
from ..support.arrays import Array
from ..support.validation import require, require_finite
from .scene import ARROW, INK, Scene, arrows, capsules, corners, extent, images, polygons
from .spheres import draw_deep


def plot_packing(
    system: Packing,
    x: Array,
    ax: Axes | None = None,
    *,
    forces: bool | None = None,
    mode: Array | None = None,
    colour: Any = None,
) -> Axes:
    """Draw a packing to scale: particles, force chains, rattlers in grey, and a mode.

    Discs and ellipses are cut off at the box, where the other half of each appears at the opposite side. Spheres and
    ellipsoids are drawn whole, shaded, in perspective; with forces or a mode they are shrunk, so that one sees inside.

    Parameters
    ----------
    system : SoftSpheres, Ellipses, Ellipsoids or PairSystem
        In two or three dimensions.
    x : (n_dof,) array
    ax : Axes, optional
        Where to draw; a new figure by default.
    forces : bool, optional
        Whether to draw each overlap as a line from centre to centre through the contact, of a width proportional to its
        force (the mean force has the same width in every picture). By default yes for discs and ellipses, no for
        spheres and for pictures of a mode.
    mode : (n_dof,) array, optional
        A displacement, as a column of `vibrational_modes(...).vectors`: its positions are drawn as arrows, the
        longest about 1.6 diameters, its rotations as colours (red: anticlockwise, blue: clockwise).
    colour : optional
        One colour, from which small particles get a lighter tint; or n numbers, one a particle, for a colour map.
        By default the colour that this kind of system has in all figures.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        Where the system is no packing of two or three dimensions, or x, mode or colour has a wrong shape or holds
        NaN.

    Examples
    --------
    >>> import unijam as uj
    >>> from unijam.figures import plot_packing
    >>> state = uj.minimize(uj.SoftSpheres.random(n=64, packing_fraction=0.9))
    >>> ax = plot_packing(state.system, state.x)
    >>> ax.get_aspect()
    1.0
    """
    require(
        isinstance(system, Packing),
        "system",
        type(system).__name__,
        "a packing: SoftSpheres, Ellipses or a PairSystem",
    )
    require(system.dimension in (2, 3), "dimension", system.dimension, "2 or 3 for a picture")
    x = np.asarray(require_positions(system, x), dtype=np.float64)
    if mode is not None:
        mode = np.asarray(mode, dtype=np.float64)
        require(mode.shape == x.shape, "the shape of mode", mode.shape, f"{x.shape}, that of x")
        require_finite(mode, "mode")
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots(figsize=tuple(6 * proportions(system)), layout="constrained")[1]
    if forces is None:
        forces = system.dimension == 2 and mode is None
    scene = Scene(system, x, mode, colour)
    if system.dimension == 2:
        _draw_flat(ax, scene, forces)
    else:
        draw_deep(ax, scene, forces)
    ax.set_aspect("equal")
    ax.set_axis_off()
    return ax


def proportions(system: Packing) -> np.ndarray:
    """Width and height of a picture, (2,), the longer of them one: those of the box; a square in perspective."""
    if system.dimension == 3:
        return np.ones(2)
    low, high = extent(system.edges)
    shares: np.ndarray = (high - low) / (high - low).max()
    return shares


def _draw_flat(ax: Axes, scene: Scene, forces: bool) -> None:
    """Discs, ellipses or polygons, with their images, cut off at the box."""
    outline = Polygon(corners(scene.edges)[[0, 1, 3, 2]], fill=False, ec=INK, lw=1.0, zorder=5)
    ax.add_patch(outline)
    cos, sin = np.cos(scene.angles), np.sin(scene.angles)
    wide, high = np.hypot(scene.long * cos, scene.short * sin), np.hypot(scene.long * sin, scene.short * cos)
    half = np.column_stack([wide, high]) if scene.outlines is None else np.abs(scene.outlines).max(axis=1)
    at, whose = images(scene.centres, half, scene.edges)
    thin = float(np.clip(9.0 / np.sqrt(len(at)), 0.15, 0.6))
    style: dict[str, Any] = {
        "facecolors": scene.colours[whose],
        "edgecolors": 0.55 * np.where(scene.held[whose, None], scene.base, 0.9),
        "linewidths": thin,
        "zorder": 2,
    }
    particles: Any
    if scene.outlines is not None:
        particles = polygons(at[:, None, :] + scene.outlines[whose], **style)
    else:
        particles = EllipseCollection(
            2 * scene.long[whose],
            2 * scene.short[whose],
            np.degrees(scene.angles[whose]),
            units="xy",
            offsets=at,
            offset_transform=ax.transData,
            **style,
        )
    shown: list[Any] = [particles]
    ax.add_collection(particles, autolim=False)
    if forces and len(scene.links):
        starts, ends, widths = scene.segments()
        middle, along = 0.5 * (starts + ends), 0.5 * (ends - starts)
        at, which = images(middle, np.abs(along) + widths[:, None], scene.edges)
        chains = polygons(
            capsules(at - along[which], at + along[which], 0.5 * widths[which]),
            facecolors=INK,
            alpha=1.0 if scene.mode is None else 0.2,
            linewidths=0,
            zorder=3,
        )
        shown.append(ax.add_collection(chains, autolim=False))
    if scene.mode is not None:
        moves = scene.moves()
        at, whose = images(scene.centres, np.abs(moves), scene.edges)
        shapes = arrows(at - 0.5 * moves[whose], moves[whose])
        darts = polygons(shapes, facecolors=INK if scene.ellipses else ARROW, linewidths=0, zorder=4)
        shown.append(ax.add_collection(darts, autolim=False))
    for artist in shown:
        artist.set_clip_path(outline)
    low, high = extent(scene.edges)
    margin = 0.012 * (high - low)
    ax.set_xlim(low[0] - margin[0], high[0] + margin[0])
    ax.set_ylim(low[1] - margin[1], high[1] + margin[1])

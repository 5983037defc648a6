"""GSD frames of other programs, HOOMD's above all, read as discs, spheres or ellipses.

Sizes come from the shapes of the particle types (HPMC), or from the diameters (molecular dynamics). The default
diameter of 1 says nothing where there are particles of several types.
"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...core.potentials import Potential
from ...support.validation import is_positive, require
from ..packing import Packing, strained_edges
from .common import packing

ALIKE = 1e-5  # relative difference up to which two numbers in single precision count as the same
OURS = "contact"  # bonds of this type are what `write_gsd` shows: no forces of their own
LINKED = ("angles", "dihedrals", "impropers", "constraints")


def read_foreign(
    path: str | os.PathLike[str],
    frame: Any,
    potential: Potential | None,
    diameters: Mapping[str, float] | None,
) -> tuple[Packing, np.ndarray]:
    """(system, x) of a frame in single precision; x, (n_dof,), is unwrapped by the images.

    `potential` is harmonic by default. `diameters` gives the diameter of each particle type where the file does not.

    Raises
    ------
    ValueError
        One sentence: no particle, molecules or rigid bodies, shapes of several kinds, sizes that the file
        does not say or says twice, discs of a 2D box at several heights, ellipses turned out of the plane.
    """
    d, p = int(frame.configuration.dimensions), frame.particles
    require(d in (2, 3), f"{path}: dimensions", d, "2 or 3")
    box = np.asarray(frame.configuration.box, dtype=np.float64)
    strain = box[3:4] if d == 2 else box[3:]
    require(bool(np.isfinite(strain).all()), f"{path}: box tilt", strain.tolist(), "finite")
    require(p.N > 0, f"{path}: particles/N", int(p.N), "at least 1")
    _require_free(path, frame)
    sides, position = box[:d], np.asarray(p.position, dtype=np.float64)
    heights = position[:, d:]
    level = not heights.size or bool(np.ptp(heights) <= ALIKE * max(1.0, float(np.abs(heights).max())))
    require(
        level, f"{path}: the z of positions in a box of two dimensions", "several", "the same for all discs"
    )
    edges = strained_edges(sides, strain)
    places = position[:, :d] + 0.5 * edges.sum(axis=0)
    x = (places + np.asarray(p.image, dtype=np.float64)[:, :d] @ edges).ravel()
    shapes, kind = _shapes(path, p)
    if kind == "Ellipsoid":
        require(d == 2, f"{path}: dimensions", d, "2 where particles are ellipses")
        require(
            diameters is None, f"{path}: diameters", diameters, "left out: the file has the axes of ellipses"
        )
        radii, ratio, angles = _ellipses(path, p, shapes)
        x = np.concatenate([x, angles])
        return packing(path, x, radii, sides, aspect_ratio=ratio, potential=potential, strain=strain)
    radii = 0.5 * _diameters(path, p, shapes, diameters)
    return packing(path, x, radii, sides, potential=potential, strain=strain)


def _require_free(path: str | os.PathLike[str], frame: Any) -> None:
    """Raise a `ValueError` where particles are joined: in `unijam` only overlaps exert forces."""
    kinds = [frame.bonds.types[k] for k in np.unique(frame.bonds.typeid)] if frame.bonds.N else []
    require(set(kinds) <= {OURS}, f"{path}: bonds", kinds, "none: particles must be free of bonds")
    for name in LINKED:
        count = int(getattr(frame, name).N)
        require(not count, f"{path}: {name}/N", count, "0: particles must be free of each other")
    bodies = np.asarray(frame.particles.body)
    rigid = int((bodies >= 0).sum())
    require(
        not rigid,
        f"{path}: particles/body",
        f"{rigid} particles of rigid bodies",
        "−1: particles must be free",
    )


def _shapes(path: str | os.PathLike[str], p: Any) -> tuple[list[dict[str, Any]], str]:
    """The shape of each type ({} where the file names none), and the kind that all of them are of."""
    used = np.unique(np.asarray(p.typeid)).tolist()
    known = f"one of the {len(p.types)} types {', '.join(p.types)}"
    require(used[-1] < len(p.types), f"{path}: particles/typeid", used[-1], known)
    given = list(p.type_shapes or [])
    shapes = [dict(given[k]) if k < len(given) else {} for k in range(len(p.types))]
    kinds = {shapes[k].get("type", "Sphere") for k in used}
    require(kinds <= {"Sphere", "Ellipsoid"}, f"{path}: type_shapes", sorted(kinds), "Sphere or Ellipsoid")
    require(len(kinds) == 1, f"{path}: type_shapes", sorted(kinds), "all alike")
    kind = kinds.pop()
    names = ("a", "b") if kind == "Ellipsoid" else ("diameter",)
    for k in used:
        for name in names:
            needed = kind == "Ellipsoid" or name in shapes[k]
            field, value = f"{path}: {name} of the type {p.types[k]} in type_shapes", shapes[k].get(name)
            require(not needed or is_positive(value), field, value, "positive and finite")
    return shapes, kind


def _diameters(
    path: str | os.PathLike[str], p: Any, shapes: list[dict[str, Any]], given: Mapping[str, float] | None
) -> np.ndarray:
    """The diameter of each particle: as given by type, of the shape of its type, or its own."""
    own, typeid = np.asarray(p.diameter, dtype=np.float64), np.asarray(p.typeid)
    used = np.unique(typeid).tolist()
    names = ", ".join(p.types[k] for k in used)
    if given is not None:
        require(isinstance(given, Mapping), f"{path}: diameters", given, f"a diameter by type, of {names}")
        for k in used:
            value = given.get(p.types[k])
            require(is_positive(value), f"{path}: diameters of {p.types[k]}", value, "positive and finite")
        sizes: np.ndarray = np.array([given.get(name, np.nan) for name in p.types], dtype=np.float64)[typeid]
        return sizes
    default = bool((own == 1.0).all())  # the library fills in ones, and does not write them
    told = [k for k in used if "diameter" in shapes[k]]
    if not told:
        wanted = (
            "given by read_gsd(…, diameters={type: diameter}): the file does not say how large the types are"
        )
        require(len(used) == 1 or not default, f"{path}: the diameters of {names}", None, wanted)
        return own
    untold = ", ".join(p.types[k] for k in used if k not in told)
    require(
        not untold, f"{path}: diameter of {untold} in type_shapes", None, "there, as that of the other types"
    )
    sizes = np.array([shape.get("diameter", np.nan) for shape in shapes], dtype=np.float64)[typeid]
    worst = int(np.abs(own - sizes).argmax())
    agree = default or abs(own[worst] - sizes[worst]) <= ALIKE * sizes[worst]
    wanted = f"{sizes[worst]:g}, as its type_shapes has it"
    require(agree, f"{path}: particles/diameter of particle {worst}", float(own[worst]), wanted)
    return sizes


def _ellipses(
    path: str | os.PathLike[str], p: Any, shapes: list[dict[str, Any]]
) -> tuple[np.ndarray, float, np.ndarray]:
    """Radii, aspect ratio and angles of ellipses."""
    axes = np.array([[shape.get("a", np.nan), shape.get("b", np.nan)] for shape in shapes], dtype=np.float64)
    axes = axes[np.asarray(p.typeid)]
    ratios = axes.max(axis=1) / axes.min(axis=1)
    ratio, spread = float(np.median(ratios)), float(np.ptp(ratios))
    alike = spread <= ALIKE * ratio
    require(alike, f"{path}: the spread of aspect ratios", spread, "0: ellipses of one shape")
    turn = np.asarray(p.orientation, dtype=np.float64)
    size, out = np.linalg.norm(turn, axis=1), np.abs(turn[:, 1:3]).max(axis=1)
    worst = int((out - ALIKE * size).argmax())
    about = bool(size.all()) and out[worst] <= ALIKE * size[worst]
    field = f"{path}: orientation of particle {worst}"
    require(about, field, turn[worst].tolist(), "a turn about z, (cos, 0, 0, sin) of half its angle")
    angles = 2.0 * np.arctan2(turn[:, 3], turn[:, 0]) + np.where(axes[:, 1] > axes[:, 0], 0.5 * np.pi, 0.0)
    return np.sqrt(axes.prod(axis=1)), ratio, angles

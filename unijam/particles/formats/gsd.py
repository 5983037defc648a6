"""GSD trajectories: the packing in single precision, as OVITO and HOOMD read it, and beside it in double precision.

Chunks log/unijam/* hold x, radii, box and aspect ratio in double precision; log/bonds/force and log/bonds/overlap
belong to the contacts, which are bonds.
"""

import os
import struct
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ...core.potentials import Harmonic, Hertzian, Potential
from ...support.validation import is_whole, require
from ..ellipses import Ellipses
from ..packing import Packing
from .common import equal_discs, existing, packing, require_frame, wrapped, written_whole
from .gsd_foreign import OURS, read_foreign

# Chunks that only unijam reads (OVITO shows log/name, log/particles/name, log/bonds/name).
OWN = "log/unijam/"
MANY_CLASSES = 16  # distinct radii up to which each is a particle type of its own


def write_gsd(path: str | os.PathLike[str], packings: Any) -> None:
    """Write packings to a GSD trajectory, one frame each, that OVITO opens and `read_gsd` returns bit by bit.

    Particle types are classes of equal radius (one type for continuous distributions of discs); diameters are
    those of the circles of equal area; ellipses have orientations and the shape "Ellipsoid". Contacts are bonds,
    with their forces and overlaps. The box [0, L) of unijam is [−L/2, L/2) in the file.

    Parameters
    ----------
    path : path
        Written whole or not at all: an error, as a full disk, leaves the file that was there.
    packings : (system, x), a sequence of them, or JamResult
        Anything with a `system` and an `x` counts as a pair. A `JamResult` gives a frame for each of its states, and
        last the state that it reached.

    Raises
    ------
    ValueError
        Where there is no packing, a dimension other than 2 or 3, a shape of x wrong, or an entry not finite.
    OSError
        Where the file system refuses.

    Examples
    --------
    >>> import unijam as uj
    >>> from unijam.particles.formats.gsd import read_gsd, write_gsd
    >>> packing = uj.jam(uj.SoftSpheres.random(n=64, radii="uniform", packing_fraction=0.9))
    >>> write_gsd("packing.gsd", packing)  # doctest: +SKIP
    >>> system, x = read_gsd("packing.gsd")  # doctest: +SKIP
    """
    import gsd.hoomd

    pairs = [(system, require_frame(system, x)) for system, x in _pairs(packings)]
    require(len(pairs) > 0, "packings", packings, "at least one (system, x)")
    with written_whole(path) as partial, gsd.hoomd.open(str(partial), "w") as file:
        for step, (system, x) in enumerate(pairs):
            file.append(_frame(system, x, step))


def read_gsd(
    path: str | os.PathLike[str],
    frame: int = -1,
    potential: Potential | None = None,
    diameters: Mapping[str, float] | None = None,
) -> tuple[Packing, np.ndarray]:
    """One packing of a GSD file: exactly the packing given to `write_gsd`, or one that another program wrote.

    Parameters
    ----------
    path : path
    frame : int
        The number of the frame, from 0, or from −1 backwards.
    potential : Potential, optional
        The potential of the particles; by default the potential in the file, harmonic where it names none.
    diameters : mapping of str to float, optional
        The diameter of each particle type, for discs and spheres of another program whose sizes the file does not
        hold (HOOMD's molecular dynamics keeps them in its force field).

    Returns
    -------
    system : SoftSpheres or Ellipses
        Ellipses where the file says so: by unijam's chunks, or by the shape "Ellipsoid" of its particle types.
    x : (n_dof,) array
        Bit by bit as it was written; from other programs in single precision, unwrapped by the images.

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ValueError
        One sentence: the file, the field, its value. Not a GSD file, truncated, no such frame, NaN, a box with a
        tilt, ellipses in 3D or turned out of their plane, different shapes, several types without sizes, sizes that
        contradict each other, bonds or rigid bodies.

    Examples
    --------
    >>> import unijam as uj
    >>> system = uj.SoftSpheres.random(n=16)
    >>> uj.write_gsd("packing.gsd", (system, system.initial))
    >>> same, x = uj.read_gsd("packing.gsd")
    >>> bool((x == system.initial).all())
    True
    """
    import gsd.fl
    import gsd.hoomd

    found = existing(path)
    _require_whole(path)
    try:
        file = gsd.hoomd.open(str(found), "r")
    except (RuntimeError, OSError, ValueError, KeyError) as error:
        raise ValueError(f"{path}: not a whole GSD file of particles ({_plain(error)}).") from None
    with file:
        count = len(file)
        require(count > 0, f"{path}: the number of frames", count, "at least 1")
        require(
            is_whole(frame) and -count <= frame < count,
            f"{path}: frame",
            frame,
            f"an integer from {-count} to {count - 1}",
        )
        at = int(frame) % count
        try:
            own = _own_chunks(file.file, at)
            if own:
                require(
                    diameters is None, "diameters", diameters, "left out: the file has the radii themselves"
                )
                return _read_own(path, own, potential)
            return read_foreign(path, file[at], potential, diameters)
        except (RuntimeError, OSError, LookupError, ValueError, TypeError, MemoryError) as error:
            if str(error).startswith(f"{path}: "):
                raise
            raise ValueError(
                f"{path}: frame {at} cannot be read, the file is damaged ({_plain(error)})."
            ) from None


def _require_whole(path: str | os.PathLike[str]) -> None:
    """Raise a `ValueError` where the header points beyond the end of the file: the library would crash there."""
    with open(path, "rb") as file:
        head = file.read(40)
        size = file.seek(0, os.SEEK_END)
    # Five 64-bit numbers: magic number; place and number of rows of the index, 32 bytes each; place and number of
    # names, 64 bytes each.
    if len(head) == 40:
        _, index, rows, names, entries = struct.unpack("<5Q", head)
        if index + 32 * rows > size or names + 64 * entries > size:
            raise ValueError(f"{path}: not a whole GSD file (its header points beyond its end).")


def _pairs(packings: Any) -> list[tuple[Any, Any]]:
    """(system, x) of each frame."""
    if hasattr(packings, "states"):
        before = [(s.system, s.x) for s in packings.states if s.x is not packings.x]
        return [*before, (packings.system, packings.x)]
    if hasattr(packings, "system"):
        return [(packings.system, packings.x)]
    if isinstance(packings, tuple) and len(packings) == 2 and isinstance(packings[0], Packing):
        return [packings]
    require(isinstance(packings, Iterable), "packings", packings, "a (system, x) or a sequence of them")
    return [pair for entry in packings for pair in _pairs(entry)]


def _frame(system: Packing, x: np.ndarray, step: int) -> Any:
    import gsd.hoomd

    n, d, sides = system.n, system.dimension, system.sides
    frame = gsd.hoomd.Frame()
    frame.configuration.step = step
    frame.configuration.dimensions = d
    box = np.array([*sides, 1.0][:3], dtype=np.float32)
    edges = system.edges
    tilts = [edges[row, column] / edges[row, row] for row, column in ((1, 0), (2, 0), (2, 1)) if row < d]
    frame.configuration.box = [*box, *[*tilts, 0.0, 0.0][:3]]

    folded, image = wrapped(system.positions(x), edges)
    shown = (folded - 0.5 * edges.sum(axis=0)).astype(np.float32)
    inverse = np.linalg.inv(edges.astype(np.float32).astype(np.float64))
    over = shown @ inverse >= 0.5 if system.tilted else shown >= 0.5 * box[:d]  # rounded up to the upper face
    particles, p = np.zeros((n, 3), dtype=np.float32), frame.particles
    particles[:, :d] = shown - over @ edges.astype(np.float32)
    p.N, p.position, p.image = n, particles, np.zeros((n, 3), dtype=np.int32)
    p.image[:, :d] = image + over
    p.diameter = 2.0 * system.radii

    ellipses = isinstance(system, Ellipses)
    sizes, p.typeid = equal_discs(system.radii, n if ellipses else MANY_CLASSES)
    p.types = [chr(65 + k) if len(sizes) <= 26 else f"T{k:05d}" for k in range(len(sizes))]
    if isinstance(system, Ellipses):
        half = 0.5 * system.angles(x)
        p.orientation = np.column_stack([np.cos(half), 0 * half, 0 * half, np.sin(half)])
        root = system.aspect_ratio**0.5
        p.type_shapes = [
            {"type": "Ellipsoid", "a": R * root, "b": R / root, "c": R / root} for R in sizes.tolist()
        ]
        frame.log[OWN[4:] + "aspect_ratio"] = np.array([system.aspect_ratio])

    c = system.constraints(x)
    touching = np.asarray(c.overlaps)
    bonds = frame.bonds
    bonds.N, bonds.types = int(touching.sum()), [OURS]
    bonds.typeid, bonds.group = np.zeros(bonds.N, dtype=np.uint32), c.members[touching].astype(np.uint32)
    if bonds.N:
        frame.log["bonds/force"] = system.potential.force(c.delta[touching])
        frame.log["bonds/overlap"] = c.delta[touching]
    frame.log["energy"] = np.array([system.potential.energy(c.delta).sum()])
    frame.log["packing_fraction"] = np.array([system.packing_fraction])
    for name, value in _own(system, x).items():
        frame.log[OWN[4:] + name] = value
    return frame


def _own(system: Packing, x: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays from which `_read_own` makes exactly this packing, by name."""
    held = {"x": x, "radii": system.radii, "box": system.sides}
    if np.any(system.strain):
        held["strain"] = np.atleast_1d(system.strain)
    if system.initial.tobytes() != x.tobytes():
        held["initial"] = system.initial
    if type(system.potential) is not Harmonic:
        known = type(system.potential) is Hertzian
        held["exponent"] = np.array([system.potential.exponent if known else np.nan])
    return held


def _own_chunks(file: Any, at: int) -> dict[str, np.ndarray]:
    names = ("x", "radii", "box", "initial", "exponent", "aspect_ratio", "strain")
    return {
        name: file.read_chunk(frame=at, name=OWN + name)
        for name in names
        if file.chunk_exists(frame=at, name=OWN + name)
    }


def _read_own(
    path: str | os.PathLike[str], held: dict[str, np.ndarray], potential: Potential | None
) -> tuple[Packing, np.ndarray]:
    for name in ("x", "radii", "box"):
        require(name in held, f"{path}: {OWN}{name}", None, "there with the others of unijam")
    if potential is None and "exponent" in held:
        exponent = float(held["exponent"][0])
        if np.isnan(exponent):
            raise ValueError(
                f"{path}: potential = None is not valid: the file was written with a potential of the user's own, "
                "which must be given to read_gsd."
            )
        potential = Hertzian(exponent)
    ratio = float(held["aspect_ratio"][0]) if "aspect_ratio" in held else None
    require(ratio is None or len(held["box"]) == 2, f"{path}: dimension", len(held["box"]), "2 for ellipses")
    return packing(
        path,
        held["x"],
        held["radii"],
        held["box"],
        initial=held.get("initial"),
        aspect_ratio=ratio,
        potential=potential,
        strain=held.get("strain", 0.0),
    )


def _plain(error: Exception) -> str:
    """The message of an error without a full stop, or its name."""
    return str(error).strip().rstrip(".") or type(error).__name__

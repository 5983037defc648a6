"""Packings on disk: GSD trajectories and LAMMPS data files; each is written whole or not at all.

A file that cannot be read is answered by one sentence: the file, the field, its value and what it must be.
"""

import math
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ...core.border import require_positions
from ...core.potentials import Harmonic, Potential
from ...support.arrays import Array
from ...support.validation import require
from ..ellipses import Ellipses
from ..ellipsoids import Ellipsoids
from ..packing import Outlined, Packing, require_packing
from ..spheres import SoftSpheres


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Context manager: yields a temporary path to write to, which replaces `path` at the end.

    A failure leaves the old file as it was. A `ValueError` is raised where `path` is a folder or its folder is missing.
    """
    target = Path(path).resolve()
    if target.is_dir():
        raise ValueError(f"path = {str(path)!r} is not valid: it must be a file, and this is a folder.")
    if not target.parent.is_dir():
        raise ValueError(
            f"path = {str(path)!r} is not valid: its folder {str(target.parent)!r} does not exist."
        )
    partial = target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}.part")
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())  # a disk that is full may say so only now
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def existing(path: str | os.PathLike[str]) -> Path:
    """The path of an existing file; a `ValueError` where it is a folder, a `FileNotFoundError` where there is none."""
    found = Path(path)
    if found.is_dir():
        raise ValueError(f"path = {str(path)!r} is not valid: it must be a file, and this is a folder.")
    if not found.exists():
        raise FileNotFoundError(f"path = {str(path)!r} is not valid: there is no such file.")
    return found


def require_frame(system: Any, x: Array) -> np.ndarray:
    """x as a float64 array, (n_dof,).

    Raises
    ------
    ValueError
        Where system is no packing in two or three dimensions, or x not its degrees of freedom.
    """
    require_packing(system)
    require(system.dimension in (2, 3), "dimension", system.dimension, "2 or 3 for a file of particles")
    written = "SoftSpheres or Ellipses to be written into a file of particles; uj.save takes any system"
    require(not isinstance(system, Outlined | Ellipsoids), "system", type(system).__name__, written)
    return np.ascontiguousarray(require_positions(system, x), dtype=np.float64)


def wrapped(positions: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions folded into the box, (n, d), and their integer images, (n, d): positions = folded + image @ edges.

    `edges`, (d, d), are the edges of the box, one a row. Positions in the box stay as they are, bit by bit.
    """
    sides = np.diag(edges)
    if (edges != np.diag(sides)).any():
        inverse = np.linalg.inv(edges)
        number: np.ndarray = np.floor(positions @ inverse)
        inner = positions - number @ edges
        number += np.floor(inner @ inverse)  # rounded up to a face
        return positions - number @ edges, number.astype(np.int64)
    image = np.floor(positions / sides)
    inside = (positions >= 0) & (positions < sides)
    folded = np.where(inside, positions, positions - image * sides)
    beyond = folded >= sides  # rounded up to the edge
    folded = np.where(beyond | (folded < 0), 0.0, folded)
    return folded, np.where(inside, 0, image + beyond).astype(np.int64)


def packing(
    path: str | os.PathLike[str],
    x: np.ndarray,
    radii: np.ndarray,
    sides: np.ndarray,
    *,
    initial: np.ndarray | None = None,
    aspect_ratio: float | None = None,
    potential: Potential | None = None,
    strain: Any = 0.0,
) -> tuple[Packing, np.ndarray]:
    """(system, x) from the arrays in a file.

    Parameters
    ----------
    path
        Path of the file, for error messages.
    x : (n_dof,) array
    radii : (n,) array
    sides : (d,) array
        Sides of the box.
    initial : (n_dof,) array, optional
        The system's own start; x by default.
    aspect_ratio : float, optional
        Makes the particles ellipses.
    potential : Potential, optional
        Harmonic by default.
    strain : float or (d (d − 1)/2,) array
        Of the box.

    Raises
    ------
    ValueError
        Where a value is not finite or out of range; the message names the file.
    """
    d = len(sides)
    for name, array in (("x", x), ("radii", radii), ("box", sides)):
        bad = ~np.isfinite(array)
        if bad.any():
            value = float(array.ravel()[np.flatnonzero(bad.ravel())[0]])
            raise ValueError(
                f"{path}: {name} = {value} at {int(bad.sum())} of {array.size} entries is not valid: "
                "all must be finite numbers."
            )
    shared: Any = {"radii": radii, "box_length": sides, "dimension": d, "strain": strain}
    shared["potential"] = potential or Harmonic()
    try:
        system: Packing
        if aspect_ratio is None:
            system = SoftSpheres(initial=x if initial is None else initial, **shared)
        else:
            system = Ellipses(initial=x if initial is None else initial, aspect_ratio=aspect_ratio, **shared)
        return system, require_positions(system, x)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def equal_discs(radii: np.ndarray, largest: int) -> tuple[np.ndarray, np.ndarray]:
    """Distinct radii, ascending, and the class of each particle, (n,).

    Where there are more than `largest` distinct radii, there is one class, of the mean radius.
    """
    sizes, classes = np.unique(radii, return_inverse=True)
    if len(sizes) > largest:
        return np.array([radii.mean()]), np.zeros(len(radii), dtype=np.int64)
    return sizes, classes.reshape(-1)


def unit_density(radii: np.ndarray) -> np.ndarray:
    """The density at which each ball has mass one, (n,)."""
    return 3.0 / (4.0 * math.pi * radii**3)

"""LAMMPS data files of discs and spheres, and the input lines under which such a packing is at rest in LAMMPS.

`pair_style lepton/sphere` evaluates u(R_i + R_j − r) with the radius of each atom, so any sizes are exact.
"""

import math
import os
from collections import Counter
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np

from ...core.potentials import Harmonic, Hertzian, Potential
from ...support.validation import require
from ..ellipses import Ellipses
from ..packing import Packing, strained_edges
from .common import equal_discs, existing, packing, require_frame, unit_density, wrapped, written_whole
from .lammps_data import AXES, FLOAT, WHOLE, DataFile, parse

MANY_CLASSES = 16  # distinct radii up to which each is an atom type of its own
HALF_SLAB = 0.5  # half the height of the periodic slab in which LAMMPS holds a packing of discs


def write_lammps(path: str | os.PathLike[str], system: Packing, x: np.ndarray) -> None:
    """Write discs or spheres to a LAMMPS data file (`atom_style sphere`), at rest under `lammps_input(system)`.

    Numbers have as many digits as double precision needs; every particle has mass one. Positions are folded into
    the box, with image flags; discs lie in a slab −0.5 < z < 0.5.

    Parameters
    ----------
    path : path
        Written whole or not at all.
    system : SoftSpheres
        Of two or three dimensions.
    x : (n_dof,) array

    Raises
    ------
    ValueError
        For ellipses (LAMMPS has no potential of Perram and Wertheim's contact function; `write_gsd` takes them),
        a dimension other than 2 or 3, a shape of x wrong, or an entry not finite.

    Examples
    --------
    >>> import unijam as uj
    >>> packing = uj.jam(uj.SoftSpheres.random(n=16, packing_fraction=0.9))
    >>> uj.write_lammps("packing.data", packing.system, packing.x)
    """
    _require_spheres(system)
    x = require_frame(system, x)
    n, d, sides = system.n, system.dimension, system.sides
    sizes, classes = equal_discs(system.radii, MANY_CLASSES)
    folded, image = wrapped(system.positions(x), system.edges)
    at, images = np.zeros((n, 3)), np.zeros((n, 3), dtype=np.int64)
    at[:, :d], images[:, :d] = folded, image
    ends = [(0.0, float(side)) for side in sides] + [(-HALF_SLAB, HALF_SLAB)] * (3 - d)
    kind = "discs" if d == 2 else "spheres"
    head = [f"{n} {kind} at a packing fraction of {system.packing_fraction:.6f}, written by unijam", ""]
    head += [f"{n} atoms", f"{len(sizes)} atom types", ""]
    head += [f"{low!r} {high!r} {a}lo {a}hi" for (low, high), a in zip(ends, AXES, strict=True)]
    if system.tilted:
        edges = np.zeros((3, 3))
        edges[:d, :d] = system.edges
        head += [f"{float(edges[1, 0])!r} {float(edges[2, 0])!r} {float(edges[2, 1])!r} xy xz yz"]
    head += ["", "Atoms # sphere  (id type diameter density x y z images)", ""]
    columns = (classes + 1, 2.0 * system.radii, unit_density(system.radii), *at.T, *images.T)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    lines = (" ".join([str(k), *map(repr, row)]) for k, row in enumerate(rows, 1))
    with written_whole(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in chain(head, lines))


def lammps_input(system: Packing, data: str = "packing.data") -> str:
    """The input lines that set up LAMMPS with a packing's box, sizes and repulsion; `run` or `minimize` may follow.

    Parameters
    ----------
    system : SoftSpheres
        With the potential `Harmonic` or `Hertzian`.
    data : str
        The data file that `write_lammps` wrote.

    Returns
    -------
    str
        Lines for LAMMPS with its packages GRANULAR and LEPTON.

    Raises
    ------
    ValueError
        For ellipses, a dimension other than 2 or 3, or a potential of the user's own.

    Notes
    -----
    Without LEPTON, `pair_style gran/hooke 1.0 NULL 0.0 NULL 0.0 0` with `pair_coeff * *` and `comm_modify vel yes`
    has the same harmonic forces, but reports no energy.

    Examples
    --------
    >>> import unijam as uj
    >>> "read_data packing.data" in uj.lammps_input(uj.SoftSpheres.random(n=16))
    True
    """
    _require_spheres(system)
    require(system.dimension in (2, 3), "dimension", system.dimension, "2 or 3 for LAMMPS")
    name = type(system.potential).__name__
    require(
        type(system.potential) in (Harmonic, Hertzian), "potential", name, "Harmonic or Hertzian for LAMMPS"
    )
    exponent = float(system.potential.exponent)
    power = str(int(exponent)) if exponent.is_integer() else repr(exponent)
    cutoff = float(2.0 * system.radii.max()) * (1.0 + 1e-12)  # rounding must not lose the largest pairs
    return "\n".join(
        (
            "units lj",
            f"dimension {system.dimension}",
            "boundary p p p",
            "atom_style sphere",
            f"pair_style lepton/sphere {cutoff!r}",
            f"read_data {data}",
            f'pair_coeff * * "max(0,radi+radj-r)^{power}/{power}"',
            f"neighbor {0.3 * system.scale:.6g} bin",
            "thermo_modify norm no",
            "",
        )
    )


def read_lammps(
    path: str | os.PathLike[str], potential: Potential | None = None
) -> tuple[Packing, np.ndarray]:
    """Discs or spheres from a LAMMPS data file of `atom_style sphere`, in the order of their ids.

    Parameters
    ----------
    path : path
    potential : Potential, optional
        The potential of the particles; harmonic by default, since data files name none.

    Returns
    -------
    system : SoftSpheres
        Discs where all z are equal, else spheres.
    x : (n_dof,) array
        Measured from the lower corner of the box, unwrapped by the image flags. Where x lies in the box it is,
        bit by bit, what `write_lammps` was given.

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ValueError
        One sentence: the file, the line, the field, its value. No data file, truncated, another atom style (by its
        comment, or by counts and sections that spheres do not have), a type, id or image flag that is not whole, a
        diameter or density that is not positive, NaN, a box of three arbitrary edges (`avec`, `bvec`, `cvec`).

    Examples
    --------
    >>> import unijam as uj
    >>> system = uj.SoftSpheres.random(n=16)
    >>> uj.write_lammps("packing.data", system, system.initial)
    >>> same, x = uj.read_lammps("packing.data")
    >>> bool((x == system.initial).all())
    True
    """
    data = parse(path, existing(path))
    n, types, ends = data.count("atoms"), data.types(), data.ends()
    require(n >= 1, f"{path}: atoms", n, "at least 1")
    values, images = _atoms(data, n, types)
    flat = n > 1 and bool(np.all(values[:, 4] == values[0, 4]))
    flat = flat or (n == 1 and bool(np.all(ends[2] == (-HALF_SLAB, HALF_SLAB))))
    d = 2 if flat else 3
    sides, (xy, xz, yz) = (ends[:, 1] - ends[:, 0])[:d], data.tilts()
    require(d == 3 or xz == yz == 0, f"{path}: xy xz yz", f"{xy:g} {xz:g} {yz:g}", "xy 0 0 for discs")
    strain = np.array([xy / sides[1], xz / sides[-1], yz / sides[-1]])[: d * (d - 1) // 2]
    x = (values[:, 2 : 2 + d] - ends[:d, 0] + images[:, :d] @ strained_edges(sides, strain)).ravel()
    return packing(path, x, 0.5 * values[:, 0], sides, potential=potential, strain=strain)


def _require_spheres(system: Any) -> None:
    if isinstance(system, Ellipses):
        raise ValueError(
            "system = Ellipses is not valid: LAMMPS has no potential of Perram and Wertheim's contact function, so "
            "ellipses would not be at rest there; write_gsd keeps them."
        )
    require(isinstance(system, Packing), "system", type(system).__name__, "SoftSpheres")


def _atoms(data: DataFile, n: int, types: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Diameter, density and position of each atom in the order of ids, (n, 5), and its image flags, (n, 3)."""
    rows, place = data.sections["Atoms"], f"{data.path}: line {{}} under Atoms: {{}}"
    whole = sum(len(words) in (7, 10) for _, words in rows)
    if len(rows) != n:
        field = f"{data.path}: the number of whole lines under Atoms"
        require(whole == n, field, whole, f"{n}, of 7 or 10 numbers")
        require(
            False, f"{data.path}: the number of lines under Atoms", len(rows), f"{n}, as many as its atoms"
        )
    width = len(rows[0][1])
    wanted = "7 or 10, as in the other lines: id type diameter density x y z, and images"
    for line, words in rows:
        if len(words) not in (7, 10) or len(words) != width:
            require(False, place.format(line, "the number of values"), len(words), wanted)
    columns = list(zip(*(words for _, words in rows), strict=True))

    def check(column: int, name: str, fits: Callable[[str], Any], wanted: str) -> None:
        bad = next((k for k, word in enumerate(columns[column]) if not fits(word)), None)
        if bad is not None:
            require(False, place.format(rows[bad][0], name), columns[column][bad], wanted)

    check(0, "id", lambda word: WHOLE.fullmatch(word) and int(word) >= 1, "a whole number from 1")
    ids = [int(word) for word in columns[0]]
    times = Counter(ids)
    check(
        0,
        "id",
        lambda word: times[int(word)] == 1,
        "another one for each: the ids of atoms are all different",
    )
    wanted = f"a whole number from 1 to {data.count('atom types')}, the atom types, or a type label"
    check(1, "type", lambda word: word in types or word.lstrip("+0") in types, wanted)
    for k, name in enumerate(("diameter", "density", *AXES), 2):
        check(k, name, FLOAT.fullmatch, "a number")
    for k, name in ((2, "diameter"), (3, "density")):
        wanted = "positive and finite in the atom style sphere"
        check(k, name, lambda word: 0 < float(word) < math.inf, wanted)
    for k, axis in enumerate(AXES[: width - 7], 7):
        check(k, f"image flag n{axis}", WHOLE.fullmatch, "a whole number")
    order = sorted(range(n), key=ids.__getitem__)
    values = np.array(columns[2:], dtype=np.float64).T[order]
    return values[:, :5], values[:, 5:] if width == 10 else np.zeros((n, 3))

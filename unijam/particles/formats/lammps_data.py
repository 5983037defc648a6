"""The grammar of a LAMMPS data file: counts and box at its head, then sections; only the atom style sphere is accepted.

Comments and blank lines may stand anywhere. Each value keeps the number of its line, for error messages.
"""

import codecs
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...support.validation import require

AXES = "xyz"
ENDS = tuple(f"{a}lo {a}hi" for a in AXES)
TILTS = ("xy xz yz", "avec", "bvec", "cvec", "abc origin")
COUNTS = ("atoms", "atom types")
LINKS = ("bond", "angle", "dihedral", "improper")
FOREIGN_COUNTS = (  # of particles with inner parts, and of molecules: `atom_style sphere` has none of them
    *("ellipsoids", "lines", "triangles", "bodies"),
    *(f"{link}s" for link in LINKS),
    *(f"{link} types" for link in LINKS),
    *(f"extra {link} per atom" for link in LINKS),
    "extra special per atom",
)
HEADERS = sorted(
    (*COUNTS, *ENDS, *TILTS, *FOREIGN_COUNTS), key=len, reverse=True
)  # the longest name fits first
KNOWN = ("Atoms", "Atom Type Labels", "Masses", "Velocities", "Pair Coeffs", "PairIJ Coeffs")
FOREIGN = (
    *("Ellipsoids", "Lines", "Triangles", "Bodies", "Bonds", "Angles", "Dihedrals", "Impropers"),
    *(f"{link.title()} {what}" for link in LINKS for what in ("Coeffs", "Type Labels")),
    *("BondBond Coeffs", "BondAngle Coeffs", "MiddleBondTorsion Coeffs", "EndBondTorsion Coeffs"),
    *("AngleTorsion Coeffs", "AngleAngleTorsion Coeffs", "BondBond13 Coeffs", "AngleAngle Coeffs"),
)
WHOLE = re.compile(r"[+-]?[0-9]+")
FLOAT = re.compile(
    r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE
)
UTF = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"}  # before UTF-16, whose mark begins alike
UTF |= {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16", codecs.BOM_UTF8: "utf-8-sig"}

Row = tuple[int, list[str]]  # the number of a line, from 1, and its words


@dataclass(frozen=True)
class DataFile:
    """The content of a data file, word by word.

    Attributes
    ----------
    path : path
        For error messages.
    header : dict of str to Row
        The words before each name.
    sections : dict of str to list of Row
        The lines of each section, without comments.
    style : str
        The atom style: the first word of the comment beside "Atoms"; "" where there is none.
    """

    path: str | os.PathLike[str]
    header: dict[str, Row]
    sections: dict[str, list[Row]]
    style: str

    def count(self, name: str) -> int:
        """A whole number of the header, as an int; a `ValueError` where it is missing or not whole."""
        text = " ".join(self.header.get(name, (0, []))[1])
        require(
            WHOLE.fullmatch(text), f"{self.path}: {name}", text, "one of the numbers at its head, and whole"
        )
        return int(text)

    def ends(self) -> np.ndarray:
        """The lower and upper end of the box along each axis, (3, 2), without what a tilt adds."""
        found = []
        for name in ENDS:
            words = self.header.get(name, (0, []))[1]
            fits = len(words) == 2 and all(map(FLOAT.fullmatch, words))
            require(fits, f"{self.path}: {name}", " ".join(words), "two numbers")
            found.append([float(word) for word in words])
        return np.array(found)

    def tilts(self) -> np.ndarray:
        """xy, xz and yz, (3,): by how much the second and third edge lean along the axes before them."""
        for name in TILTS[1:]:
            words = self.header.get(name, (0, []))[1]
            wanted = "left out: a box is given by its ends and xy xz yz"
            require(not words, f"{self.path}: {name}", " ".join(words), wanted)
        words = self.header.get(TILTS[0], (0, ["0", "0", "0"]))[1]
        fits = len(words) == 3 and all(map(FLOAT.fullmatch, words))
        require(fits, f"{self.path}: {TILTS[0]}", " ".join(words), "three numbers")
        return np.array([float(word) for word in words])

    def types(self) -> dict[str, int]:
        """The number of each atom type by its two names: the number itself as a string, and its label.

        A `ValueError` where a label is malformed or names two types.
        """
        n_types = self.count("atom types")
        found = {str(k): k for k in range(1, n_types + 1)}
        for line, words in self.sections.get("Atom Type Labels", []):
            field, text = f"{self.path}: line {line}: the type label", " ".join(words)
            known = len(words) == 2 and WHOLE.fullmatch(words[0]) and words[0] in found
            require(known, field, text, f"a type from 1 to {n_types} and its label")
            number = found.setdefault(words[1], int(words[0]))
            require(number == int(words[0]), field, text, "the label of one type alone")
        return found


def parse(path: str | os.PathLike[str], found: Path) -> DataFile:
    """Header and sections of a data file, a `DataFile`.

    `path` is the path that the user gave, for error messages; `found` is the same path, known to exist.

    Raises
    ------
    ValueError
        One sentence where it is not text, a line is no header and no section, a name stands twice, or the atom style
        is not sphere.
    """
    header: dict[str, Row] = {}
    sections: dict[str, list[Row]] = {}
    unknown: list[Row] = []
    rows: list[Row] | None = None
    style = ""
    for k, line in enumerate(_lines(path, found)[1:], 2):  # the first is a title
        text, _, comment = line.partition("#")
        words = text.split()
        name = " ".join(words)
        if name in KNOWN or name in FOREIGN:
            require(name not in sections, f"{path}: line {k}", name, "a section that has not been before")
            rows = sections[name] = []
            style = (comment.split() or [""])[0] if name == "Atoms" else style
        elif not words:
            continue
        elif rows is not None:
            rows.append((k, words))
        else:
            known = next((h for h in HEADERS if name == h or name.endswith(f" {h}")), None)
            if known is None:
                unknown.append((k, words))
                continue
            require(known not in header, f"{path}: line {k}", name, f"the only line about {known}")
            header[known] = (k, words[: len(words) - len(known.split())])
    data = DataFile(path, header, sections, style)
    _require_spheres(data)
    data.ends()
    data.tilts()
    for k, words in unknown:
        require(
            False,
            f"{path}: line {k}",
            " ".join(words),
            "a number of a data file's head, or one of its sections",
        )
    return data


def _require_spheres(data: DataFile) -> None:
    """Raise a `ValueError` where a file is not of `atom_style sphere`, by its comment, its counts or its sections."""
    path, wanted = data.path, "sphere, which has diameters"
    if "Atoms" not in data.sections:
        raise ValueError(f"{path}: Atoms = None is not valid: a LAMMPS data file has a section of this name.")
    require(data.style in ("", "sphere"), f"{path}: the atom style", data.style, wanted)
    for name in FOREIGN_COUNTS:
        line, words = data.header.get(name, (0, []))
        none = not words or (len(words) == 1 and words[0].strip("+-0") == "")
        wanted = f"0: atoms of the style sphere have no {name}"
        require(none, f"{path}: line {line}: {name}", " ".join(words), wanted)
    for name in FOREIGN:
        require(name not in data.sections, f"{path}: section", name, "one of the atom style sphere")
    if not data.style and "Masses" in data.sections:
        raise ValueError(
            f"{path}: section = 'Masses' is not valid: atoms of the style sphere have densities instead, and the file "
            "does not say '# sphere' beside Atoms."
        )


def _lines(path: str | os.PathLike[str], found: Path) -> list[str]:
    raw = found.read_bytes()
    marked = next((name for mark, name in UTF.items() if raw.startswith(mark)), None)
    try:
        text = raw.decode(marked or "utf-8")
    except UnicodeDecodeError:
        text = "\0" if marked else raw.decode("latin-1")  # a comment in an older encoding: numbers are ASCII
    if "\0" in text:
        raise ValueError(f"{path}: not a LAMMPS data file (it is not text).") from None
    return re.split(r"\r\n|\r|\n", text)

"""Where data sets lie: in the folder (or file) given, or in that of the environment variable UNIJAM_DATA.

Whether a file is compressed is read off its first two bytes: names lie, since browsers and scripts unpack at will.
"""

import gzip
import os
import zlib
from collections.abc import Iterable
from pathlib import Path

VARIABLE = "UNIJAM_DATA"
GZIP = b"\x1f\x8b"


def place_of(data: str | os.PathLike[str] | None, wanted: str) -> Path:
    """The path given, or that of the variable, or a sentence that says what to put where."""
    path = data if data is not None else os.environ.get(VARIABLE)
    if not path or not Path(path).exists():
        raise missing(data, wanted)
    return Path(path)


def missing(data: str | os.PathLike[str] | None, wanted: str) -> FileNotFoundError:
    """One sentence that says where to put which file."""
    given = f"data = {None if data is None else str(data)!r}"
    if data is None:
        given += f" with {VARIABLE} = {os.environ.get(VARIABLE)!r}"
    where = f"into a folder, and name it by data= or the environment variable {VARIABLE}"
    return FileNotFoundError(f"{given} is not valid: put {wanted} {where}.")


def first(folder: Path, subfolders: Iterable[str], names: Iterable[str]) -> Path | None:
    """The first file of these names (which may hold a *) in a folder or its subfolders."""
    for place in (folder, *(folder / sub for sub in subfolders)):
        for name in names:
            for found in sorted(place.glob(name)):
                if found.is_file():
                    return found
    return None


def contents(file: Path) -> bytes:
    """The bytes of a file, unpacked where gzip packed them, whatever its name ends with.

    Raises
    ------
    ValueError
        Where gzip's bytes are truncated or corrupt.
    """
    raw = file.read_bytes()
    if not raw.startswith(GZIP):
        return raw
    try:
        return gzip.decompress(raw)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise ValueError(
            f"file = {str(file)!r} is not valid: it must be a whole gzip file; it is truncated or corrupt."
        ) from None

"""Where data sets lie: in the folder (or file) given, or in the one that the environment variable UNIJAM_DATA names.

The first two bytes of a file tell whether it is compressed. Its name does not: browsers and scripts unpack files and
keep their names.
"""

import gzip
import os
import zlib
from collections.abc import Iterable
from pathlib import Path

VARIABLE = "UNIJAM_DATA"
GZIP = b"\x1f\x8b"


def place_of(data: str | os.PathLike[str] | None, wanted: str) -> Path:
    """The path given, or that of the variable; a `FileNotFoundError` that says what to put where if there is none."""
    path = data if data is not None else os.environ.get(VARIABLE)
    if not path or not Path(path).exists():
        raise missing(data, wanted)
    return Path(path)


def missing(data: str | os.PathLike[str] | None, wanted: str) -> FileNotFoundError:
    """An error whose sentence says where to put the `wanted` files; the caller raises it."""
    given = f"data = {None if data is None else str(data)!r}"
    if data is None:
        given += f" with {VARIABLE} = {os.environ.get(VARIABLE)!r}"
    where = f"into a folder, and name it by data= or the environment variable {VARIABLE}"
    return FileNotFoundError(f"{given} is not valid: put {wanted} {where}.")


def first(folder: Path, subfolders: Iterable[str], names: Iterable[str]) -> Path | None:
    """The first file with one of these names (which may hold a *) in a folder or its subfolders; None without one."""
    for place in (folder, *(folder / sub for sub in subfolders)):
        for name in names:
            for found in sorted(place.glob(name)):
                if found.is_file():
                    return found
    return None


def contents(file: Path) -> bytes:
    """The bytes of a file, unpacked where they are in gzip's format, whatever its name.

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

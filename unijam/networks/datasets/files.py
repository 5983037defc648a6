"""Where data sets lie: in the folder (or file) given, or in that of the environment variable UNIJAM_DATA."""

import os
from collections.abc import Iterable
from pathlib import Path

VARIABLE = "UNIJAM_DATA"


def place_of(data: str | os.PathLike | None, wanted: str) -> Path:
    """The path given, or that of the variable, or a sentence that says what to put where."""
    path = data if data is not None else os.environ.get(VARIABLE)
    if not path or not Path(path).exists():
        raise missing(data, wanted)
    return Path(path)


def missing(data: str | os.PathLike | None, wanted: str) -> FileNotFoundError:
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

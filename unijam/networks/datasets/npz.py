"""Images kept as one NumPy archive: x_train, y_train, x_test, y_test of bytes, (P, …) and (P,)."""

import io
import os
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ...support.validation import checked, require
from .arrays import arrays
from .data_set import DataSet
from .files import GZIP, contents

FIELDS = ("x_train", "y_train", "x_test", "y_test")


@checked
def npz(path: str | os.PathLike[str], *, n_classes: int | None = None, name: str | None = None) -> DataSet:
    """A data set from an .npz file of x_train, y_train, x_test, y_test.

    Parameters
    ----------
    path : path of a file
    n_classes : int, optional
        By default as in `arrays`.
    name : str, optional
        By default the name of the file.

    Returns
    -------
    DataSet

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ValueError
        Where it is truncated or corrupt, or holds other arrays.

    Examples
    --------
    >>> import numpy as np
    >>> import unijam as uj
    >>> images, labels = np.zeros((2, 4), dtype=np.uint8), np.array([3, 5], dtype=np.uint8)
    >>> np.savez("images.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    >>> uj.datasets.npz("images.npz").classes
    (3, 5)
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"path = {str(path)!r} is not valid: there is no such file.")
    with file.open("rb") as opened:
        packed = opened.read(2) == GZIP
    raw = contents(file) if packed else b""
    tar = tarfile.is_tarfile(io.BytesIO(raw) if packed else file)
    require(not tar, "file", str(file), "unpacked: it is a tar archive of other files")
    try:
        with _opened(file, raw) as stream, np.load(stream, allow_pickle=False) as archive:
            missing = [field for field in FIELDS if field not in archive.files]
            require(
                not missing, "file", str(file), f"an archive of {', '.join(FIELDS)}; {missing[:1]} is missing"
            )
            found = {field: archive[field] for field in FIELDS}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, AttributeError, TypeError) as error:
        raise _corrupt(file) from error
    except ValueError as error:
        if str(error).startswith("file = "):
            raise
        raise _corrupt(file) from error
    for field, array in found.items():
        require(array.dtype == np.uint8, f"the type of {field} in {str(file)!r}", str(array.dtype), "uint8")
    return arrays(**found, n_classes=n_classes, name=name or file.stem)


def _opened(file: Path, unpacked: bytes) -> BinaryIO:
    """The archive as a stream that is closed whatever happens: NumPy leaves a damaged one open."""
    return io.BytesIO(unpacked) if unpacked else file.open("rb")


def _corrupt(file: Path) -> ValueError:
    return ValueError(
        f"file = {str(file)!r} is not valid: it must be a whole .npz archive; it is truncated or corrupt."
    )

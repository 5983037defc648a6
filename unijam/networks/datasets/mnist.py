"""MNIST, and other data in its format (IDX): http://yann.lecun.com/exdb/mnist.

An IDX file: two zero bytes, the type (8: bytes), the number of dimensions, each as a big-endian 32-bit integer,
then the entries.
"""

import math
import os
from pathlib import Path

import numpy as np

from ...support.validation import checked, require
from .data_set import DataSet
from .files import contents
from .images import Images

PARTS = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
_FILES = {
    name: (name, other, f"{name}.gz", f"{other}.gz")
    for name in PARTS.values()
    for other in [name.replace("-idx", ".idx")]  # some copies write the last dash as a dot
}
_MNIST = Images(
    name="MNIST",
    n_pixels=784,
    files=_FILES,
    folders=("mnist", "MNIST", "MNIST/raw"),
    archive="mnist*.npz",
    wanted=f"{', '.join(PARTS.values())} (also as .gz), or mnist.npz (x_train, y_train, x_test, y_test)",
)


@checked
def mnist(data: str | os.PathLike[str] | None = None) -> DataSet:
    """The handwritten digits: 28 × 28 bytes, ten classes, from the original IDX files or an .npz.

    Parameters
    ----------
    data : path, optional
        A folder that holds the files (itself, or in mnist/ or MNIST/raw/), or an .npz file; by default the value of
        the environment variable UNIJAM_DATA.

    Returns
    -------
    DataSet
        Inputs are bytes, (P, 784); labels are 0 … 9.

    Raises
    ------
    FileNotFoundError
        Where a file is missing; the message says which file to put where.
    ValueError
        Where a file is truncated or corrupt.

    Examples
    --------
    >>> import unijam as uj
    >>> data = uj.datasets.mnist("data").binary("even-odd")  # doctest: +SKIP
    """
    return _MNIST.load(data, lambda files: {field: read_idx(files[name]) for field, name in PARTS.items()})


def read_idx(file: Path) -> np.ndarray:
    """The array of bytes, of the shape in its header, from an IDX file, packed by gzip or not, whatever its name.

    A `ValueError` is raised where it is no IDX file of bytes, or has another length than its header says.
    """
    raw = contents(file)
    dimensions = raw[3] if len(raw) >= 4 else 0
    header = 4 + 4 * dimensions
    valid = raw[:3] == b"\0\0\x08" and dimensions in (1, 2, 3) and len(raw) >= header
    require(
        valid,
        "file",
        str(file),
        "an IDX file of bytes, which begins with 0, 0, 8 and its number of dimensions",
    )
    shape = tuple(np.frombuffer(raw[4:header], dtype=">u4").tolist())
    promised = header + math.prod(shape)
    require(
        len(raw) == promised, "file", str(file), f"{promised} bytes long, as its header says, not {len(raw)}"
    )
    return np.frombuffer(raw, dtype=np.uint8, offset=header).reshape(shape)

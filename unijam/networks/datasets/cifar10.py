"""CIFAR-10 from its binary version: https://www.cs.toronto.edu/~kriz/cifar.html.

A batch is a sequence of records of 3073 bytes: the label, then 32 × 32 bytes of red, of green and of blue.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...support.validation import checked, require
from .data_set import DataSet
from .files import contents
from .images import Images

TRAIN = tuple(f"data_batch_{k}.bin" for k in range(1, 6))
TEST = "test_batch.bin"
RECORD = 1 + 3 * 32 * 32
_CIFAR10 = Images(
    name="CIFAR-10",
    n_pixels=3072,
    files={name: (name, f"{name}.gz") for name in (*TRAIN, TEST)},
    folders=("cifar-10-batches-bin", "cifar10", "cifar10/cifar-10-batches-bin"),
    archive="cifar10*.npz",
    wanted="cifar-10-batches-bin, unpacked from the binary version (data_batch_1.bin to data_batch_5.bin, "
    "test_batch.bin), or cifar10.npz (x_train, y_train, x_test, y_test)",
)


@checked
def cifar10(data: str | os.PathLike[str] | None = None) -> DataSet:
    """Photographs in ten classes: 32 × 32 × 3 bytes, from the original binary batches or an .npz.

    Parameters
    ----------
    data : path, optional
        A folder that holds the batches (itself, or in cifar-10-batches-bin/), or an .npz file; by default the value of
        the environment variable UNIJAM_DATA.

    Returns
    -------
    DataSet
        Inputs are bytes, (P, 3072); labels are 0 … 9.

    Raises
    ------
    FileNotFoundError
        Where a file is missing; the message says which file to put where.
    ValueError
        Where a file is truncated or corrupt.

    Examples
    --------
    >>> import unijam as uj
    >>> data = uj.datasets.cifar10("data").binary("even-odd")  # doctest: +SKIP
    """
    return _CIFAR10.load(data, _read)


def _read(files: Mapping[str, Path]) -> dict[str, np.ndarray]:
    pixels, labels = zip(*(read_batch(files[name]) for name in TRAIN), strict=True)
    test_pixels, test_labels = read_batch(files[TEST])
    return {
        "x_train": np.concatenate(pixels),
        "y_train": np.concatenate(labels),
        "x_test": test_pixels,
        "y_test": test_labels,
    }


def read_batch(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images, (P, 32, 32, 3), and labels, (P,), of one binary batch, packed by gzip or not.

    A `ValueError` is raised where the file is no whole number of records, or holds a label above 9.
    """
    raw = np.frombuffer(contents(file), dtype=np.uint8)
    whole = raw.size > 0 and raw.size % RECORD == 0
    require(
        whole, "file", str(file), f"records of {RECORD} bytes and nothing else, and it has {raw.size} bytes"
    )
    records = raw.reshape(-1, RECORD)
    labels = records[:, 0]
    largest = int(labels.max())
    require(
        largest <= 9,
        "file",
        str(file),
        f"a batch of CIFAR-10, with labels from 0 to 9, and it holds {largest}",
    )
    return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels

"""CIFAR-10 from its binary version: https://www.cs.toronto.edu/~kriz/cifar.html.

A batch is a sequence of records of 3073 bytes: the label, then 32 × 32 bytes of red, of green and of blue.
"""

import os
from pathlib import Path

import numpy as np

from ...validation import checked, require
from ..data_set import DataSet
from .arrays import arrays
from .files import first, missing, place_of
from .npz import images

TRAIN = tuple(f"data_batch_{k}.bin" for k in range(1, 6))
TEST = "test_batch.bin"
FOLDERS = ("cifar-10-batches-bin", "cifar10", "cifar10/cifar-10-batches-bin")
WANTED = (
    "cifar-10-batches-bin (data_batch_1.bin to data_batch_5.bin, test_batch.bin), or cifar10.npz "
    "(x_train, y_train, x_test, y_test)"
)
RECORD = 1 + 3 * 32 * 32


@checked
def cifar10(data: str | os.PathLike | None = None) -> DataSet:
    """Photographs in ten classes: 32 × 32 × 3 bytes, from the original binary batches or an .npz.

    Parameters
    ----------
    data : path, optional
        A folder that holds the batches (itself, or in cifar-10-batches-bin/), or an .npz file; by default that of the
        environment variable UNIJAM_DATA.

    Raises
    ------
    FileNotFoundError
        Where a file is missing: says where to put which.
    ValueError
        Where a file is truncated or corrupt.
    """
    place = place_of(data, WANTED)
    if place.is_file():
        return images(place, 3072, "CIFAR-10")
    files = {name: first(place, FOLDERS, (name,)) for name in (*TRAIN, TEST)}
    if not any(files.values()):
        archive = first(place, FOLDERS, ("cifar10*.npz",))
        if archive is None:
            raise missing(data, WANTED)
        return images(archive, 3072, "CIFAR-10")
    batches = []
    for name, file in files.items():
        if file is None:
            raise missing(data, name)
        batches.append(read_batch(file))
    (pixels, labels), (test_pixels, test_labels) = zip(*batches[:-1], strict=True), batches[-1]
    return arrays(
        np.concatenate(pixels),
        np.concatenate(labels),
        test_pixels,
        test_labels,
        n_classes=10,
        name="CIFAR-10",
    )


def read_batch(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images (P, 32, 32, 3) and labels (P,) of one binary batch."""
    raw = np.frombuffer(file.read_bytes(), dtype=np.uint8)
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

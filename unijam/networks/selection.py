"""The choice of data that a network keeps: a number, a slice, a mask or indices, checked before torch sees them."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..support.arrays import to_numpy
from ..support.printing import brief
from ..support.validation import is_whole, require


def chosen_data(select: Any, n_data: int, device: torch.device) -> slice | Tensor:
    """The index with which the tensors of a network keep some of P data.

    Parameters
    ----------
    select : int, slice, (P,) mask, or (k,) array of whole numbers
        The number of first data to keep; or which data: from 0, or from −1 backwards. A datum named twice counts twice.
    n_data : int
        P.
    device : torch.device
        The device of the network.

    Returns
    -------
    slice with a positive step, or (k,) tensor of indices

    Raises
    ------
    ValueError
        One sentence: no datum is left, a mask of another length, an index out of range or no whole number.
    """
    field = "select"
    if isinstance(select, slice):
        start, stop, step = _ends(select, n_data)
        count = len(range(start, stop, step))
        require(count > 0, field, select, f"a slice that keeps at least one of {n_data} data")
        return slice(start, stop, step) if step > 0 else torch.arange(start, stop, step, device=device)
    if getattr(select, "ndim", None) == 0:
        select = select.item()
    if is_whole(select):
        require(
            1 <= select <= n_data, field, select, f"from 1 to {n_data}, how many of the first data are kept"
        )
        return slice(0, int(select))
    found = _indices(select, n_data)
    return torch.as_tensor(found, device=device)


def _ends(select: slice, n_data: int) -> tuple[int, int, int]:
    try:
        return select.indices(n_data)
    except (TypeError, ValueError) as error:
        raise ValueError(f"select = {select} is not valid: {error}.") from None


def _indices(select: Any, n_data: int) -> Tensor | np.ndarray:
    """Indices, (k,), from a mask or from whole numbers; a torch tensor where one was given."""
    wanted = f"a number, a slice, a mask of {n_data} data, or whole numbers from {-n_data} to {n_data - 1}"
    if isinstance(select, Tensor) and select.dtype == torch.int64 and select.ndim == 1:
        found: Any = select  # no conversion: a mini-batch gives such a tensor at every step
    else:
        try:
            found = np.asarray(to_numpy(select))
        except (TypeError, ValueError):
            raise ValueError(f"select = {brief(select)} is not valid: it must be {wanted}.") from None
        require(found.ndim == 1 and found.size, "the shape of select", found.shape, "(k,), with k at least 1")
        if found.dtype == bool:
            require(
                len(found) == n_data, "the length of the mask select", len(found), f"{n_data}, one a datum"
            )
            found = np.flatnonzero(found)
        require(found.dtype.kind in "iu", "select", select, wanted)
        found = found.astype(np.int64)
    require(len(found) > 0, "select", "no datum", f"at least one of {n_data} data")
    low, high = int(found.min()), int(found.max())
    outside = low if low < -n_data else high
    require(low >= -n_data and high < n_data, "select", outside, wanted)
    indices: Tensor | np.ndarray = found if low >= 0 else found % n_data
    return indices

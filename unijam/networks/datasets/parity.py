"""Parity: the product of some of the signs of an input, which no small change of it reveals."""

import numpy as np

from ...support.validation import Count, Seed, checked, require
from .data_set import Amount, DataSet


@checked
def parity(
    n_data: Count = 420,
    dimension: Count = 10,
    n_test: Amount = 0,
    *,
    bits: Count | None = None,
    seed: Seed = 0,
) -> DataSet:
    """Different inputs with entries ±1 (so of length √d), labelled by the product of their first `bits` entries.

    Parameters
    ----------
    n_data, n_test, dimension : int
        P, P' and d, with P + P' at most 2^d.
    bits : int, optional
        The number of entries that count; all d by default.
    seed : int
        Seed of the draw of inputs.

    Returns
    -------
    DataSet
        Labels ±1.

    Raises
    ------
    ValueError
        Where bits or data are more than there are, or d is above 62.

    Examples
    --------
    >>> import unijam as uj
    >>> data = uj.datasets.parity(n_data=8, dimension=3)
    >>> bool((data.labels == data.inputs.prod(axis=1)).all())
    True
    """
    bits = dimension if bits is None else bits
    require(bits <= dimension, "bits", bits, f"at most {dimension}, the dimension")
    require(dimension <= 62, "dimension", dimension, "at most 62")  # an input is the bits of one int64
    total = n_data + n_test
    require(total <= 2**dimension, "n_data + n_test", total, f"at most {2**dimension}, all inputs there are")
    rng = np.random.default_rng(seed)
    if dimension <= 20:
        codes = rng.permutation(2**dimension)[:total]
    else:  # too many to shuffle: draw until enough different ones are found
        codes = np.empty(0, dtype=np.int64)
        while len(codes) < total:
            more = np.concatenate([codes, rng.integers(2**dimension, size=total)])
            codes = more[np.sort(np.unique(more, return_index=True)[1])][:total]
    inputs = 1.0 - 2.0 * ((codes[:, None] >> np.arange(dimension)) & 1)
    labels = inputs[:, :bits].prod(axis=1)
    name = f"parity of {bits} of {dimension} bits"
    return DataSet(inputs[:n_data], labels[:n_data], inputs[n_data:], labels[n_data:], name)

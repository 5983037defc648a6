"""Random data: Gaussian inputs on the sphere, random labels. They can be fitted, but hold nothing to learn."""

import numpy as np

from ...support.validation import Count, Seed, checked
from ..layered.initial import generators, random_data
from .data_set import DataSet


@checked
def random(n_data: Count = 420, dimension: Count = 9, *, seed: Seed = 0) -> DataSet:
    """The data of `FullyConnected.random`: centred Gaussian inputs on the sphere of radius √d, balanced labels ±1.

    Parameters
    ----------
    n_data, dimension : int
        P and d.
    seed : int

    Returns
    -------
    DataSet
        Without test data.

    Examples
    --------
    >>> import unijam as uj
    >>> data = uj.datasets.random(n_data=30, dimension=4)
    >>> data.inputs.shape, data.labels.sum().item()
    ((30, 4), 0.0)
    """
    inputs, labels = random_data(n_data, dimension, generators(seed)[0])
    return DataSet(inputs, labels, np.empty((0, dimension)), np.empty(0), "random")

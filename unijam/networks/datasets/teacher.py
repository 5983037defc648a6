"""A teacher: random inputs on the sphere, labelled by a random network, so that a student can fit and generalise."""

from typing import Annotated

import numpy as np
from pydantic import Field

from ...support.memory import require_matrices
from ...support.validation import Count, Seed, Whole, checked
from ..fully_connected import FullyConnected
from ..layered.validity import ActivationName
from .data_set import Amount, DataSet


@checked
def teacher(
    n_data: Count = 420,
    dimension: Count = 9,
    n_test: Amount = 0,
    *,
    depth: Annotated[Whole, Field(ge=0)] = 1,
    width: Count = 9,
    activation: ActivationName = "relu",
    seed: Seed = 0,
) -> DataSet:
    """Labels sign(f − median f) of a fully connected network with Gaussian weights of variance 1/fan-in.

    Parameters
    ----------
    n_data, n_test, dimension : int
        P, P' and d: Gaussian inputs on the sphere of radius √d.
    depth, width, activation
        Hidden layers of the teacher (0: a linear teacher), units in each, and σ.
    seed : int
        Seed of inputs and teacher.

    Returns
    -------
    DataSet
        Labels ±1.

    Raises
    ------
    ValueError
        Where a value is out of range.

    Examples
    --------
    >>> import unijam as uj
    >>> data = uj.datasets.teacher(n_data=60, dimension=4, n_test=20, seed=1)
    >>> data.inputs.shape, data.test_inputs.shape
    ((60, 4), (20, 4))
    """
    inputs_rng, weights_rng = np.random.default_rng(seed).spawn(2)
    count = n_data + n_test
    require_matrices([(3 * count, dimension)], f"{count} random data of {dimension} dimensions")
    inputs = inputs_rng.standard_normal((count, dimension))
    inputs *= np.sqrt(dimension) / np.linalg.norm(inputs, axis=1, keepdims=True)
    labels = np.where(np.arange(count) % 2, -1.0, 1.0)  # placeholders: the teacher's labels replace them
    network = FullyConnected.from_data(inputs, labels, depth, width, activation, weights="free")
    weights = [weights_rng.standard_normal(shape) / np.sqrt(shape[1]) for shape in network.shapes]
    f = network.output(np.concatenate([w.ravel() for w in weights]), inputs).numpy()
    labels = np.where(f > np.median(f), 1.0, -1.0)
    name = f"teacher of depth {depth} and width {width}"
    return DataSet(inputs[:n_data], labels[:n_data], inputs[n_data:], labels[n_data:], name)

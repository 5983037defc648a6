"""The fraction of data that a network classifies correctly."""

from typing import Any

from ..core.border import require_positions
from ..support.arrays import Array
from ..support.validation import require
from .datasets.data_set import DataSet
from .fully_connected import FullyConnected
from .network import Network


def accuracy(
    network: FullyConnected | Network, x: Array, inputs: Any | None = None, labels: Any | None = None
) -> float:
    """The fraction of data that a network classifies correctly.

    Parameters
    ----------
    network : FullyConnected or Network
    x : (N,) array
        Its weights.
    inputs, labels : (M, …), (M,) arrays, optional
        Data to classify; by default those of the network.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    ValueError
        Where only one of the two is given, or the network cannot take them.

    Examples
    --------
    >>> import unijam as uj
    >>> network = uj.FullyConnected.random(depth=1, width=8, input_dimension=8, n_data=30, weights="free")
    >>> uj.accuracy(network, uj.minimize(network).x)
    1.0
    """
    both = (inputs is None) == (labels is None)
    require(both, "inputs and labels", "one of them", "given together, or neither")
    if inputs is not None:
        network = network.at(inputs=inputs, labels=labels)
    outputs = network.constraints(require_positions(network, x)).outputs
    return float(network.targets.correct(outputs).sum()) / len(network.labels)


def test_error(network: FullyConnected | Network, x: Array, data_set: DataSet) -> float:
    """The fraction of the test data of a data set that are classified wrongly.

    Parameters
    ----------
    network : FullyConnected or Network
    x : (N,) array
        Its weights.
    data_set : DataSet
        One with test data.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    ValueError
        Where the data set has no test data, or the network cannot take them.

    Examples
    --------
    >>> import unijam as uj
    >>> data = uj.datasets.teacher(n_data=200, dimension=5, n_test=500, depth=0, seed=1)
    >>> student = uj.FullyConnected.from_data(data, depth=0, weights="free")
    >>> uj.test_error(student, uj.minimize(student).x, data) < 0.1
    True
    """
    require(
        len(data_set.test_labels) > 0, "test data", len(data_set.test_labels), f"some, of {data_set.name}"
    )
    return 1 - accuracy(network, x, data_set.test_inputs, data_set.test_labels)


test_error.__test__ = False  # type: ignore[attr-defined]  # not a test, whatever pytest thinks of its name

"""A data set from arrays that the user has."""

from typing import Any

import numpy as np

from ...support.printing import brief
from ...support.validation import Count, checked, require
from .data_set import DataSet


@checked
def arrays(
    x_train: Any,
    y_train: Any,
    x_test: Any = None,
    y_test: Any = None,
    *,
    n_classes: Count | None = None,
    name: str = "arrays",
) -> DataSet:
    """Inputs of any shape (P, …), flattened, and their labels.

    Parameters
    ----------
    x_train, x_test : (P, …), (P', …) arrays
        Test data may be missing (`DataSet.split` sets some aside).
    y_train, y_test : (P,), (P',) arrays
        ±1, or whole numbers from 0.
    n_classes : int, optional
        By default 2 where labels are ±1, else the largest label and one.
    """
    given = [(x_train, y_train), (x_test, y_test)]
    require(
        (x_test is None) == (y_test is None), "x_test and y_test", "one of them", "given together, or neither"
    )
    parts: list[np.ndarray] = []
    for (x, y), suffix in zip(given, ("train", "test"), strict=True):
        if x is None:
            x, y = np.asarray(x_train)[:0], np.empty(0)
        inputs, labels = _numbers(x, f"x_{suffix}"), _numbers(y, f"y_{suffix}")
        require(inputs.ndim >= 2, f"the shape of x_{suffix}", inputs.shape, "(P, …), one row a datum")
        one = (len(inputs),)  # labels as a column are common
        column = labels.reshape(-1) if labels.shape[1:] in ((), (1,)) else labels
        require(column.shape == one, f"the shape of y_{suffix}", labels.shape, f"{one}, one label a datum")
        parts += [inputs.reshape(len(inputs), int(np.prod(inputs.shape[1:]))), column]
    if n_classes is None:
        labels = np.concatenate([parts[1], parts[3]])
        signs = set(np.unique(labels).tolist()) <= {-1, 1}
        n_classes = 2 if signs else int(labels.max()) + 1
    if n_classes > 2:
        whole = (parts[1] == np.round(parts[1])).all() and (parts[3] == np.round(parts[3])).all()
        require(whole, "y_train and y_test", "fractions", "whole numbers from 0, or ±1")
        parts[1], parts[3] = parts[1].astype(np.int64), parts[3].astype(np.int64)
    else:
        parts[1], parts[3] = parts[1].astype(float), parts[3].astype(float)
    inputs, labels, test_inputs, test_labels = parts
    return DataSet(inputs, labels, test_inputs, test_labels, name, n_classes)


def _numbers(value: Any, field: str) -> np.ndarray:
    try:
        array = np.asarray(value)
        return array if array.dtype == np.uint8 else array.astype(float)
    except (TypeError, ValueError):
        raise ValueError(f"{field} = {brief(value)} is not valid: it must be an array of numbers.") from None

"""A data set from the user's own arrays."""

from typing import Any

import numpy as np

from ...support.arrays import to_numpy
from ...support.printing import brief
from ...support.validation import Count, checked, require, require_finite
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
    """Inputs of any shape (P, …), flattened, and their labels; both are copied.

    Parameters
    ----------
    x_train, x_test : (P, …), (P', …) arrays
        Test data may be missing (`DataSet.split` sets some aside).
    y_train, y_test : (P,), (P',) arrays
        ±1, or whole numbers from 0.
    n_classes : int, optional
        C, of labels 0 … C − 1, some of which may have no data; 2 for labels ±1.

        Without it every label in the data is a class: two labels become −1 and +1 in ascending order, C > 2 labels
        become 0 … C − 1, and `name` and `classes` of the data set say so.

    Returns
    -------
    DataSet

    Raises
    ------
    ValueError
        Where shapes do not fit; where inputs are complex, NaN or no numbers; where labels are fractions, negative, or
        all the same but not ±1; where test data have labels that no training datum has.

    Examples
    --------
    >>> import unijam as uj
    >>> letters = uj.datasets.arrays([[0.1, 0.2], [0.3, 0.1], [0.5, 0.5]], [1, 3, 26])
    >>> letters.n_classes, letters.labels.tolist(), letters.classes
    (3, [0, 1, 2], (1, 3, 26))
    """
    given = [(x_train, y_train), (x_test, y_test)]
    require(
        (x_test is None) == (y_test is None), "x_test and y_test", "one of them", "given together, or neither"
    )
    parts: list[np.ndarray] = []
    for (x, y), suffix in zip(given, ("train", "test"), strict=True):
        if x is None:
            x, y = to_numpy(x_train)[:0], np.empty(0)
        inputs, labels = _numbers(x, f"x_{suffix}"), _numbers(y, f"y_{suffix}")
        require(inputs.ndim >= 2, f"the shape of x_{suffix}", inputs.shape, "(P, …), one row a datum")
        one = (len(inputs),)  # labels as a column are common
        column = labels.reshape(-1) if labels.shape[1:] in ((), (1,)) else labels
        require(column.shape == one, f"the shape of y_{suffix}", labels.shape, f"{one}, one label a datum")
        parts += [inputs.reshape(len(inputs), int(np.prod(inputs.shape[1:]))), column]
    for k, suffix in ((1, "train"), (3, "test")):
        require_finite(parts[k], f"y_{suffix}")
    require(n_classes != 1, "n_classes", n_classes, "at least 2: one class leaves nothing to tell apart")
    classes: tuple[int, ...] = ()
    if n_classes is None:
        n_classes, classes = _classes(parts[1], parts[3])
        if classes:
            signs = np.array([-1, 1]) if n_classes == 2 else np.arange(n_classes)
            parts[1], parts[3] = (signs[np.searchsorted(classes, part)] for part in (parts[1], parts[3]))
            name = f"{name}, labels {_listed(classes)} as {'−1 and 1' if n_classes == 2 else f'0 to {n_classes - 1}'}"
    if n_classes > 2:
        whole = (parts[1] == np.round(parts[1])).all() and (parts[3] == np.round(parts[3])).all()
        require(whole, "y_train and y_test", "fractions", "whole numbers from 0, or ±1")
    kind = np.int64 if n_classes > 2 else np.float64
    return DataSet(parts[0], parts[1].astype(kind), parts[2], parts[3].astype(kind), name, n_classes, classes)


def _classes(train: np.ndarray, test: np.ndarray) -> tuple[int, tuple[int, ...]]:
    """The number of classes, and their labels, ascending; no labels where these are ±1 or 0 … C − 1 already."""
    found, tests = np.unique(train), np.unique(test)
    if not len(found) or np.isin([*found, *tests], (-1, 1)).all():
        return 2, ()
    both = np.union1d(found, tests)
    wrong = both[(both != np.round(both)) | (both < 0)]
    require(
        not wrong.size, "y_train and y_test", wrong[:1].tolist(), "whole numbers from 0, or ±1, not fractions"
    )
    unknown = np.setdiff1d(tests, found)
    wanted = "among the labels of y_train, unless n_classes is given"
    require(not unknown.size, "y_test", unknown[:1].tolist(), wanted)
    require(len(found) > 1, "y_train", found.tolist(), "at least two different labels, or ±1")
    known = len(found) > 2 and found[0] == 0 and found[-1] == len(found) - 1
    return len(found), () if known else tuple(int(label) for label in found)


def _listed(classes: tuple[int, ...]) -> str:
    """Labels as words: all of them up to four, else the first two and the last."""
    if len(classes) <= 4:
        return ", ".join(map(str, classes))
    return f"{classes[0]}, {classes[1]}, …, {classes[-1]}"


def _numbers(value: Any, field: str) -> np.ndarray:
    """A copy of an array of numbers, of any kind, as bytes (uint8) or floats."""
    try:
        array = to_numpy(value)
        require(not np.iscomplexobj(array), field, "complex numbers", "real")
        return array.astype(np.uint8 if array.dtype == np.uint8 else float)
    except (TypeError, ValueError, RuntimeError) as error:
        if str(error).startswith(field):
            raise
        raise ValueError(f"{field} = {brief(value)} is not valid: it must be an array of numbers.") from None

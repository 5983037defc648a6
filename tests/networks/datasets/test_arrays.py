"""Labels as people have them: every label is a class that has data, or one sentence; and nobody's array is shared."""

import numpy as np
import pytest
import torch

import unijam as uj

X = np.random.default_rng(0).random((52, 9))


@pytest.mark.parametrize(
    ("y", "labels", "classes"),
    [
        (np.arange(52) % 26 + 1, np.arange(52) % 26, tuple(range(1, 27))),
        (np.array([0, 2, 5, 2])[np.arange(52) % 4], np.array([0, 1, 2, 1])[np.arange(52) % 4], (0, 2, 5)),
        (np.arange(52) % 2, 2 * (np.arange(52) % 2) - 1, (0, 1)),
        (np.where(np.arange(52) % 2, 3, 8), np.where(np.arange(52) % 2, -1, 1), (3, 8)),
        (np.arange(52) % 2 > 0, 2 * (np.arange(52) % 2) - 1, (0, 1)),
        (np.arange(52) % 3, np.arange(52) % 3, ()),
        ((np.arange(52) % 3).astype(np.uint8), np.arange(52) % 3, ()),
        (np.arange(52) % 3 + 1.0, np.arange(52) % 3, (1, 2, 3)),
        (np.where(np.arange(52) % 2, -1, 1), np.where(np.arange(52) % 2, -1, 1), ()),
        (np.ones(52), np.ones(52), ()),
    ],
)
def test_every_label_is_a_class_and_the_data_set_says_which(y, labels, classes):
    for given in (y, torch.tensor(y), y.tolist(), y[:, None]):
        data = uj.datasets.arrays(X, given)
        np.testing.assert_array_equal(data.labels, labels)
        assert data.classes == classes and data.n_classes == max(2, len(np.unique(labels)))
        assert ("labels" in data.name) == bool(classes)
    if len(np.unique(labels)) > 1:
        network = uj.FullyConnected.from_data(data, depth=0, weights="free")
        assert network.n_classes == data.n_classes


@pytest.mark.parametrize(
    ("y", "tests", "says"),
    [
        (np.arange(52) % 3 - 1, None, r"\[-1\.0\] .* whole numbers from 0"),
        (np.arange(52) % 3 + 0.5, None, r"\[0\.5\] .* not fractions"),
        (np.full(52, 5), None, r"y_train = \[5\.0\] .* two different labels"),
        (np.zeros(52), None, r"y_train = \[0\.0\] .* two different labels"),
        (np.where(np.arange(52), 1.0, np.nan), None, "y_train has 1 entries that are NaN"),
        (np.arange(52) % 3, np.arange(52) % 4, r"y_test = \[3\.0\] .* among the labels of y_train"),
        (np.array(["a", "b"])[np.arange(52) % 2], None, "y_train .* an array of numbers"),
        (np.arange(52) % 3 + 0j, None, "y_train = 'complex numbers' .* real"),
        (np.eye(52)[:, :4], None, "shape of y_train"),
    ],
)
def test_labels_that_no_class_fits(y, tests, says):
    with pytest.raises(ValueError, match=says) as error:
        uj.datasets.arrays(X, y, None if tests is None else X, tests)
    assert "\n" not in str(error.value)


def test_a_number_of_classes_that_is_given_is_kept():
    data = uj.datasets.arrays(X, np.arange(52) % 3, n_classes=27)
    assert data.n_classes == 27 and data.classes == ()
    with pytest.raises(ValueError, match=r"n_classes = 1 .* at least 2"):
        uj.datasets.arrays(X, np.ones(52), n_classes=1)
    with pytest.raises(ValueError, match=r"labels = \[26\] .* 0 to 25"):
        uj.datasets.arrays(X, np.arange(52) % 26 + 1, n_classes=26)


def test_two_labels_of_renumbered_classes_go_by_the_labels_that_they_came_with():
    y = np.arange(52) % 26 + 1
    data = uj.datasets.arrays(X, y)
    np.testing.assert_array_equal(data.binary().labels, np.where(y % 2, -1, 1))
    np.testing.assert_array_equal(data.binary("halves").labels, np.where(y <= 13, 1, -1))
    np.testing.assert_array_equal(data.binary((26, 1)).labels, np.where(y[np.isin(y, (1, 26))] == 26, 1, -1))
    with pytest.raises(ValueError, match=r"rule = .0, 1. .* from 1 to 26"):
        data.binary((0, 1))


@pytest.mark.parametrize("kind", [np.float64, np.uint8])
def test_the_users_arrays_are_copied(kind):
    x, y = np.arange(12, dtype=kind).reshape(4, 3), np.array([1.0, -1.0, 1.0, -1.0])
    view = x[:]
    view.flags.writeable = False
    made = [
        uj.datasets.arrays(x, y),
        uj.DataSet(x, y, x[:0], y[:0]),
        uj.DataSet(view, y, x[:0], y[:0]),
        uj.datasets.arrays(torch.from_numpy(x), torch.from_numpy(y)),
    ]
    kept = x.copy()
    x *= 2
    y[:] = 1
    for data in made:
        np.testing.assert_array_equal(data.inputs, kept)
        np.testing.assert_array_equal(data.labels, [1, -1, 1, -1])
        with pytest.raises(ValueError, match="read-only"):
            data.inputs[0] = 0

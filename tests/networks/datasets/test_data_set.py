"""Subsets, splits, two labels, principal components, and the data sets made by a rule."""

import os

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import unijam as uj

IMAGES = os.environ.get("UNIJAM_DATA")
needs_images = pytest.mark.skipif(not IMAGES, reason="the variable UNIJAM_DATA names no folder of images")


def made(n=200, d=8, classes=10, n_test=60, seed=0):
    random = np.random.default_rng(seed)
    x = random.standard_normal((n + n_test, d)) @ random.standard_normal((d, d)) + 3.0
    y = random.permutation(np.arange(n + n_test) % classes)
    return uj.datasets.arrays(x[:n], y[:n], x[n:], y[n:])


@given(n=st.integers(1, 150), seed=st.integers(0, 100))
def test_a_balanced_subset_has_as_many_of_each_label(n, seed):
    data = made()
    part = data.subset(n, 20, seed=seed)
    counts = np.bincount(part.labels, minlength=10)
    assert len(part.labels) == n and counts.max() - counts.min() <= 1 and len(part.test_labels) == 20
    assert {tuple(row) for row in part.inputs} <= {tuple(row) for row in data.inputs}
    assert len(np.unique(part.inputs, axis=0)) == n
    again = data.subset(n, 20, seed=seed)
    assert (again.inputs == part.inputs).all() and (again.test_labels == part.test_labels).all()
    pairs = {(*row, y) for row, y in zip(data.inputs, data.labels, strict=True)}
    assert {(*row, y) for row, y in zip(part.inputs, part.labels, strict=True)} <= pairs


def test_data_set_aside_to_test_on_are_no_longer_learnt():
    data = made(n_test=0)
    parted = data.split(30, seed=1)
    assert len(parted.inputs) == 170 and len(parted.test_labels) == 30
    assert set(np.bincount(parted.test_labels)) == {3}
    both = np.concatenate([parted.inputs, parted.test_inputs])
    assert len(np.unique(both, axis=0)) == 200


def test_two_labels():
    data = made()
    even, halves, pair = (data.binary(rule) for rule in ("even-odd", "halves", (3, 7)))
    assert (even.labels == np.where(data.labels % 2, -1, 1)).all() and even.n_classes == 2
    assert (halves.test_labels == np.where(data.test_labels < 5, 1, -1)).all()
    assert (pair.labels == np.where(data.labels[np.isin(data.labels, [3, 7])] == 3, 1, -1)).all()
    assert (pair.inputs == data.inputs[np.isin(data.labels, [3, 7])]).all()


@pytest.mark.parametrize("n", [40, 5])  # more data than inputs, and fewer
def test_principal_components_are_those_of_a_singular_value_decomposition(n):
    data = made(n=n, classes=3)
    d = min(n, 8) - 2
    found = data.principal_components(d, "variance")
    centred = data.inputs - data.inputs.mean(axis=0)
    u, sigma, v = np.linalg.svd(centred, full_matrices=False)
    expected, tests = u[:, :d] * sigma[:d], (data.test_inputs - data.inputs.mean(axis=0)) @ v[:d].T
    scale = np.sqrt((expected**2).mean())
    np.testing.assert_allclose(np.abs(found.inputs), np.abs(expected) / scale, atol=1e-10)
    np.testing.assert_allclose(np.abs(found.test_inputs), np.abs(tests) / scale, atol=1e-10)
    assert (found.inputs**2).mean() == pytest.approx(1) and abs(found.inputs.mean(axis=0)).max() < 1e-12
    on_sphere = data.principal_components(d)
    for inputs in (on_sphere.inputs, on_sphere.test_inputs):
        np.testing.assert_allclose(np.linalg.norm(inputs, axis=1), np.sqrt(d))


def test_random_data_are_those_of_random_networks():
    data = uj.datasets.random(50, 6, seed=3)
    net = uj.FullyConnected.random(depth=1, width=4, input_dimension=6, n_data=50, seed=3)
    same = uj.FullyConnected.from_data(data, depth=1, width=4, seed=3)
    for field in ("inputs", "labels", "initial"):
        assert torch.equal(getattr(net, field), getattr(same, field))


def test_a_students_test_error_falls_with_the_data():
    data = uj.datasets.teacher(2000, 6, 500, depth=0, seed=2)
    assert abs(data.labels.sum() + data.test_labels.sum()) <= 1
    errors = []
    for n in (20, 400):
        few = data.subset(n, balanced=False)
        student = uj.FullyConnected.from_data(few, depth=0, weights="free")
        fit = uj.minimize(student, solver=uj.LevenbergMarquardt(max_steps=50))
        errors.append(uj.test_error(student, fit.x, few))
        assert uj.accuracy(student, fit.x) > 0.95
    assert errors[1] < 0.05 < errors[0]


def test_parity():
    data = uj.datasets.parity(200, 8, 56, bits=3)
    every = np.concatenate([data.inputs, data.test_inputs])
    assert len(np.unique(every, axis=0)) == 256 and (np.abs(every) == 1).all()
    assert (data.labels == data.inputs[:, 0] * data.inputs[:, 1] * data.inputs[:, 2]).all()
    many = uj.datasets.parity(1000, 40, 10)
    assert (many.labels == many.inputs.prod(axis=1)).all() and len(np.unique(many.inputs, axis=0)) == 1000


def test_a_network_takes_the_classes_of_its_data_set():
    net = uj.FullyConnected.from_data(made(), depth=1, width=4, weights="free")
    assert (
        net.n_classes == 10
        and net.n_dof == 4 * 9 + 10 * 5
        and len(net.constraints(net.initial).delta) == 1800
    )


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: made().subset(201), "n_data = 201 is not valid: it must be at most"),
        (lambda: made().subset(201, balanced=False), "n_data = 201 is not valid: it must be at most 200"),
        (lambda: made().subset(0), "n_data = 0"),
        (lambda: made().split(200), "n_test = 200 is not valid: it must be below 200"),
        (lambda: made().binary("odd"), "rule = 'odd' is not valid: it must be 'even-odd', 'halves', or two"),
        (lambda: made().binary((1, 1)), "rule = .1, 1. is not valid: .* 0 to 9"),
        (lambda: made().binary().binary(), "n_classes = 2"),
        (lambda: made().principal_components(9), "d = 9 is not valid: it must be at most 8"),
        (lambda: uj.datasets.arrays(np.ones((5, 3)), np.arange(5)).principal_components(2), "d = 2"),
        (lambda: uj.datasets.arrays(np.ones((3, 2)), [1, -1]), "shape of y_train"),
        (lambda: uj.datasets.arrays(np.ones(3), [1, -1, 1]), "shape of x_train"),
        (lambda: uj.datasets.arrays([["a"]], [1]), "x_train"),
        (lambda: uj.datasets.arrays(np.ones((3, 2)), [0, 1, 0.5], n_classes=3), "fractions"),
        (lambda: uj.datasets.arrays(np.ones((3, 2)), [0, 1, 3], n_classes=3), "labels = .3. .* 0 to 2"),
        (lambda: uj.datasets.arrays(np.ones((3, 2)), [1, -1, 2], n_classes=2), r"labels = \[2.0\] .*\+1 or −1"),
        (lambda: uj.datasets.arrays([[1.0, np.nan]], [1]), "inputs has 1 entries that are NaN"),
        (lambda: uj.datasets.arrays(np.ones((0, 2)), []), "n_data = 0"),
        (lambda: uj.datasets.arrays(np.ones((2, 2)), [1, -1], np.ones((2, 3)), [1, 1]), "shape of test_inputs"),
        (lambda: uj.datasets.arrays(np.ones((2, 2)), [1, -1]).normalised(), "2 at their mean"),
        (lambda: uj.datasets.parity(300, 8), r"n_data \+ n_test = 300 is not valid: it must be at most 256"),
        (lambda: uj.datasets.parity(10, 8, bits=9), "bits = 9"),
        (lambda: uj.FullyConnected.from_data(made(), n_classes=3), "labels and n_classes"),
        (lambda: uj.test_error(net := uj.FullyConnected.random(), net, uj.datasets.random()), "test data = 0"),
    ],
)  # fmt: skip
def test_bad_input_is_answered_by_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)


@needs_images
def test_ten_classes_of_photographs_are_fitted():
    """Cross-entropy, 2000 images of CIFAR-10, 50 principal components: 98 % of them."""
    data = uj.datasets.cifar10().subset(2000, 500).principal_components(50)
    net = uj.FullyConnected.from_data(
        data, depth=1, width=50, activation="relu", weights="free", potential=uj.CrossEntropy(10)
    )
    fit = uj.minimize(net, solver=uj.Adam(learning_rate=1e-2, max_steps=300))
    assert uj.accuracy(net, fit.x) >= 0.98 and uj.test_error(net, fit.x, data) < 0.75


@needs_images
def test_a_network_learns_digits():
    """Even against odd digits in 10 principal components: far better than chance on images not seen."""
    data = uj.datasets.mnist().binary("even-odd").subset(500, 500).principal_components(10)
    net = uj.FullyConnected.from_data(data, depth=1, width=20, activation="relu", weights="free")
    fit = uj.minimize(net, solver=uj.LevenbergMarquardt(max_steps=30))
    assert uj.accuracy(net, fit.x) > 0.95 and uj.test_error(net, fit.x, data) < 0.2

"""Networks and the perceptron as systems: data, parameters, evaluators, precision, devices, bad input."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks.points import moved
from unijam.core.derivatives import energy, gradient, hessian
from unijam.networks import FullyConnected, Perceptron

SMALL = {"depth": 2, "width": 5, "input_dimension": 4, "n_data": 23, "seed": 3}


def test_random_data_and_weights():
    system = FullyConnected.random(depth=3, width=9, input_dimension=7, n_data=421, seed=2)
    torch.testing.assert_close(system.inputs.norm(dim=1), torch.full((421,), 7**0.5, dtype=torch.float64))
    assert abs(float(system.labels.sum())) == 1 and set(system.labels.tolist()) == {-1.0, 1.0}
    assert system.n_dof == 9 * 8 + 2 * 9 * 10 + 10 and system.widths == (9, 9, 9) and system.depth == 3
    start = 0
    for rows, columns in system.shapes:
        theta = system.initial[start : start + rows * columns].reshape(rows, columns)
        start += rows * columns
        w = theta[:, :-1] if rows >= columns - 1 else theta[:, :-1].T
        torch.testing.assert_close(w.T @ w, torch.eye(w.shape[1], dtype=w.dtype))
        assert not theta[:, -1].any()
    again = FullyConnected.random(depth=3, width=9, input_dimension=7, n_data=421, seed=2)
    assert torch.equal(again.initial, system.initial) and torch.equal(again.inputs, system.inputs)
    given_data = FullyConnected.from_data(
        system.inputs.numpy(), system.labels.numpy().astype(int), 3, 9, seed=2
    )
    assert torch.equal(given_data.initial, system.initial)
    assert not torch.equal(FullyConnected.random(seed=1).inputs, FullyConnected.random(seed=0).inputs)


def test_delta_is_margin_minus_label_times_output():
    system = FullyConnected.random(**SMALL, margin=0.4)
    x = moved(system)
    c = system.constraints(x)
    torch.testing.assert_close(c.delta, 0.4 - system.labels * system.output(x, system.inputs))
    torch.testing.assert_close(
        system.output(x.numpy(), system.inputs.numpy()[:3]), system.output(x, system.inputs)[:3]
    )
    assert c.members.tolist() == [[k] for k in range(23)]


def test_control_and_changes():
    free = FullyConnected.random(**SMALL, weights="free")
    assert free.control is None and free.scale is None
    system = FullyConnected.random(**SMALL)
    x = moved(system)
    delta = system.constraints(x).delta
    assert system.control == "margin" and system.scale == 1.0
    torch.testing.assert_close(system.at(scale=0.25).constraints(x).delta, delta - 0.75)
    torch.testing.assert_close(system.constraints(x).loading(), torch.ones(23, dtype=torch.float64))
    assert system.at(margin=np.float64(0.5)).margin == 0.5 and system.margin == 1.0
    fewer = system.at(inputs=system.inputs.numpy()[::2], labels=system.labels[::2])
    torch.testing.assert_close(fewer.constraints(x).delta, delta[::2])
    torch.testing.assert_close(fewer.evaluator()(x)[1], gradient(fewer, fewer.constraints(x)))
    soft = system.at(activation="softplus", beta=4.0)
    torch.testing.assert_close(
        soft.at(activation="relu").constraints(x).delta, soft.at(beta=1e9).constraints(x).delta
    )
    assert torch.equal(system.at(initial=x).initial, x) and system.at(initial=x).radii is system.radii
    with pytest.raises(dataclasses.FrozenInstanceError):
        system.margin = 2.0


@pytest.mark.parametrize("weights", ["spherical", "free"])
@pytest.mark.parametrize("depth", [0, 3])
def test_evaluators_agree_with_constraints(weights, depth):
    system = FullyConnected.random(**{**SMALL, "depth": depth}, weights=weights, margin=0.3)
    x = moved(system)
    for scale in (0.3, 0.1):
        there = system.at(margin=scale)
        c = there.constraints(x)
        force = there.potential.force(c.delta)
        values = system.scaled_evaluator()(x, scale)
        assert [type(v) for v in values] == [float, torch.Tensor, float, int, float]
        assert values[0] == pytest.approx(energy(there, c), rel=1e-13)
        torch.testing.assert_close(values[1], gradient(there, c), atol=1e-13, rtol=1e-13)
        assert values[2:] == pytest.approx((float(force @ force), int(c.overlaps.sum()), float(force.sum())))
        assert 0 < values[3] < 23
        again = there.evaluator()(x)
        assert (again[0], *again[2:]) == (values[0], *values[2:4]) and torch.equal(again[1], values[1])


def test_perceptron_is_the_textbook_formula():
    system = Perceptron.random(n=20, load=2.5, margin=-0.3, seed=1)
    w = moved(system)
    expected = -0.3 - system.labels * (system.inputs @ w) / w.norm() * 20**0.5
    torch.testing.assert_close(system.constraints(w).delta, expected)
    assert system.inputs.shape == (50, 20) and system.n_dof == 20 and system.control == "margin"
    torch.testing.assert_close(system.initial.norm() ** 2, torch.tensor(20.0, dtype=torch.float64))
    assert system.canonical(system.initial) is system.initial
    torch.testing.assert_close(system.symmetries(w), (w / w.norm())[None])
    assert float(Perceptron.random(n=200, seed=0).inputs.var()) == pytest.approx(1 / 200, rel=0.02)


@pytest.mark.parametrize("weights", ["spherical", "free"])
def test_single_precision(weights):
    double = FullyConnected.random(**SMALL, weights=weights)
    single = FullyConnected.random(**SMALL, weights=weights, dtype="float32")
    x = moved(double)
    a, b = double.constraints(x), single.constraints(x.float())
    near = {"atol": 2e-5, "rtol": 2e-5, "check_dtype": False}
    assert b.delta.dtype == b.jacobian().dtype == torch.float32
    torch.testing.assert_close(b.delta, a.delta, **near)
    torch.testing.assert_close(b.jacobian(), a.jacobian(), **near)
    torch.testing.assert_close(hessian(single, b)[1], hessian(double, a)[1], **near)
    error = float((b.delta - a.delta).abs().max())  # rounding of x, of the data and of the arithmetic
    assert error < 15 * single.resolution(x.float()) and single.resolution(x.float()) < 1e-5


def test_resolution_bounds_the_rounding_error():
    """Against the same Δ at the same single-precision x and data, in double precision."""
    single = FullyConnected.random(n_data=500, dtype="float32", seed=4)
    x = moved(single)
    double = FullyConnected.random(n_data=500, seed=4)
    double = double.at(inputs=single.inputs.double(), radii=single.radii.double())
    error = (single.constraints(x).delta - double.constraints(x.double()).delta).norm() / 500**0.5
    assert 0.02 < float(error) / single.resolution(x) < 1.0


def everything(system, x):
    c = system.constraints(x)
    h0, hp = hessian(system, c)
    return c.delta, c.jacobian(c.overlaps), h0, hp, system.symmetries(x), system.canonical(x)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("weights", ["spherical", "free"])
def test_nothing_becomes_a_numpy_array_on_the_way(activation, weights, monkeypatch):
    system = FullyConnected.random(**SMALL, activation=activation, weights=weights)
    x = moved(system)

    def refuse(*args, **kwargs):
        raise AssertionError("a tensor left its device")

    for name in ("numpy", "__array__", "cpu"):
        monkeypatch.setattr(torch.Tensor, name, refuse)
    found = everything(system, x)
    assert all(isinstance(value, torch.Tensor) and value.dtype == x.dtype for value in found)
    value, gradient, *_ = system.evaluator()(x)
    assert isinstance(gradient, torch.Tensor) and value == pytest.approx(
        float(energy(system, system.constraints(x)))
    )


def test_an_evaluation_leaves_the_device_once(monkeypatch):
    """One transfer for all scalars: each further one would wait for the device."""
    system = FullyConnected.random(**SMALL)
    x, calls = moved(system), []
    evaluate = system.evaluator()
    for name in ("tolist", "item", "__float__", "__int__", "__bool__"):
        original = getattr(torch.Tensor, name)
        monkeypatch.setattr(
            torch.Tensor, name, lambda self, original=original: calls.append(1) or original(self)
        )
    evaluate(x)
    assert len(calls) == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("activation", ["tanh", "softplus", "gelu", "relu"])
@pytest.mark.parametrize("weights", ["spherical", "free"])
def test_cuda_agrees_with_the_cpu(activation, weights):
    options = {**SMALL, "activation": activation, "weights": weights}
    here, there = FullyConnected.random(**options), FullyConnected.random(**options, device="cuda")
    x = moved(here)
    for a, b in zip(everything(here, x), everything(there, x.cuda()), strict=True):
        assert b.is_cuda
        if a.shape != (0, here.n_dof):
            torch.testing.assert_close(b.T @ b if a.ndim == 2 else b, (a.T @ a if a.ndim == 2 else a).cuda())
    assert there.evaluator()(x.cuda())[0] == pytest.approx(here.evaluator()(x)[0])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"activation": "sine"}, "activation = 'sine' is not valid: .*'tanh', 'softplus', 'gelu' or 'relu'"),
        ({"device": "tpu"}, "device = 'tpu'"),
        ({"dtype": "float16"}, "dtype = 'float16'"),
        ({"weights": "fixed"}, "weights = 'fixed'"),
        ({"n_data": 0}, "n_data = 0"),
        ({"width": -1}, "width = -1"),
        ({"depth": -1}, "depth = -1"),
        ({"depth": 1.5}, "depth = 1.5"),
        ({"beta": 0.0}, r"beta = 0\.0"),
        ({"margin": float("nan")}, "margin = nan"),
        ({"seed": -1}, "seed = -1"),
    ],
)
def test_bad_parameters_are_answered_by_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        FullyConnected.random(**options)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_missing_device_is_named():
    with pytest.raises(ValueError, match="device = 'cuda' is not valid: it must be 'cpu'"):
        FullyConnected.random(device="cuda")


@pytest.mark.parametrize(
    ("inputs", "labels", "sentence"),
    [
        (np.ones((3, 2)), [1, -1, 0], "labels"),
        (np.ones((3, 2)), [1, -1], "shape of labels"),
        (np.ones(3), [1, -1, 1], "shape of inputs"),
        (np.ones((0, 2)), [], "n_data = 0"),
        (np.array([[1.0, np.nan]]), [1], "inputs has 1 entries that are NaN"),
        ([["a"]], [1], "inputs"),
    ],
)
def test_bad_data_are_answered_by_one_sentence(inputs, labels, sentence):
    with pytest.raises(ValueError, match=sentence):
        FullyConnected.from_data(inputs, labels)


def test_bad_changes_are_answered_by_one_sentence():
    system = FullyConnected.random(**SMALL)
    for changes in ({"margin": float("inf")}, {"beta": -1.0}, {"activation": "sine"}, {"depth": 3},
                    {"initial": torch.zeros(3)}, {"labels": torch.zeros(23)}):  # fmt: skip
        with pytest.raises(ValueError):
            system.at(**changes)
    with pytest.raises(ValueError, match="load"):
        Perceptron.random(n=2, load=0.01)


@settings(max_examples=40, deadline=None)
@given(bad=st.sampled_from([float("nan"), float("inf"), -float("inf")]), place=st.integers(0, 7))
def test_no_constructor_accepts_nan_or_infinity(bad, place):
    inputs = np.arange(8.0).reshape(4, 2)
    inputs[place // 2, place % 2] = bad
    labels = np.array([1.0, -1.0, 1.0, -1.0])
    wrong = labels.copy()
    wrong[place // 2] = bad
    system = FullyConnected.from_data(np.ones((4, 2)), labels, depth=1, width=2)
    attempts = [
        lambda: FullyConnected.from_data(inputs, labels, depth=1, width=2),
        lambda: FullyConnected.from_data(np.ones((4, 2)), wrong, depth=1, width=2),
        lambda: FullyConnected.random(margin=bad),
        lambda: FullyConnected.random(beta=bad),
        lambda: Perceptron.random(margin=bad),
        lambda: Perceptron.random(load=bad),
        lambda: system.at(scale=bad),
        lambda: dataclasses.replace(system, initial=system.initial * bad),
        lambda: dataclasses.replace(system, margin=bad),
    ]
    for attempt in attempts:
        with pytest.raises(ValueError):
            attempt()


def test_importing_the_package_does_not_import_torch():
    check = "import sys, unijam; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0

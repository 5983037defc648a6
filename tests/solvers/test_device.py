"""Solvers where tensors live: nothing but scalars leaves the device, and single precision finds the same."""

import numpy as np
import pytest
import torch

import unijam as uj

SMALL = {"depth": 2, "width": 5, "input_dimension": 4, "seed": 1}
SOLVERS = {
    "Adam": uj.Adam(max_steps=30),
    "Adam, mini-batches": uj.Adam(learning_rate=0.01, batch_size=10, max_steps=30),
    "GradientDescent": uj.GradientDescent(max_steps=30),
    "Fire": uj.Fire(max_steps=30),
    "ConjugateGradient": uj.ConjugateGradient(max_steps=30),
    "LevenbergMarquardt": uj.LevenbergMarquardt(max_steps=30),
    "TrustRegionNewton": uj.TrustRegionNewton(max_steps=30),
    "ProximalNewton": uj.ProximalNewton(max_steps=30),
}
NETWORKS = {
    "tanh spherical": {"n_data": 150, "activation": "tanh"},
    "tanh free": {"n_data": 60, "activation": "tanh", "weights": "free"},
    "relu free": {"n_data": 150, "activation": "relu", "weights": "free"},
}
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture
def stay(monkeypatch):
    """Tensors that cannot become NumPy arrays or go to the CPU."""

    def refuse(*args, **kwargs):
        raise AssertionError("a tensor left its device")

    for name in ("numpy", "__array__", "cpu"):
        monkeypatch.setattr(torch.Tensor, name, refuse)


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("name", SOLVERS)
def test_only_scalars_leave_the_device(kind, name, stay):
    system = uj.FullyConnected.random(**SMALL, **NETWORKS[kind])
    result = uj.minimize(system, None, SOLVERS[name])
    assert result.energy < uj.energy(system, system.constraints(system.initial))


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("name", ["Adam", "Fire"])
def test_only_scalars_of_replicas_leave_the_device(kind, name, stay):
    system = uj.FullyConnected.random(**SMALL, **NETWORKS[kind])
    x0 = torch.stack([system.initial, -system.initial])
    assert (uj.minimize(system, x0, SOLVERS[name]).n_steps == 30).all()


def test_only_scalars_leave_the_device_when_saddles_are_left(stay):
    """A saddle: all weights nearly zero, where Newton's method asks for negative modes; moving scales have a border."""
    system = uj.FullyConnected.random(**SMALL, n_data=30, activation="tanh", weights="free", bias=False)
    assert uj.minimize(system, 0 * system.initial + 1e-9, uj.TrustRegionNewton(max_steps=60)).energy < 14
    assert (
        uj.jam(uj.FullyConnected.random(depth=1, width=5, input_dimension=5, n_data=40)).status == "converged"
    )


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize(
    "name", ["Adam", "GradientDescent", "Fire", "LevenbergMarquardt", "TrustRegionNewton"]
)
def test_single_precision_goes_the_same_way(kind, name):
    """U after a few steps to 1e-3: 1e-7 of rounding a step, grown by at most 1e4."""
    double, single = (
        uj.FullyConnected.random(**SMALL, **NETWORKS[kind], dtype=t) for t in ("float64", "float32")
    )
    solver = type(SOLVERS[name])(max_steps=4 if "Newton" in name or "Lev" in name else 20)
    a, b = uj.minimize(double, None, solver), uj.minimize(single, None, solver)
    assert b.x.dtype == torch.float32
    assert b.energy == pytest.approx(a.energy, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("name", ["default", "LevenbergMarquardt", "TrustRegionNewton"])
def test_single_precision_converges_to_its_rounding(name):
    """Of a convex problem: U of the minimum to 1e-5, a status that says so."""
    options = {"depth": 0, "input_dimension": 20, "n_data": 80, "weights": "free", "seed": 2}
    double, single = (uj.FullyConnected.random(**options, dtype=t) for t in ("float64", "float32"))
    solver = SOLVERS.get(name)
    a, b = uj.minimize(double, None, solver), uj.minimize(single, None, solver)
    assert a.status == b.status == "converged"
    assert b.energy == pytest.approx(a.energy, rel=1e-5)


@CUDA
@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("name", SOLVERS)
def test_cuda_goes_the_way_of_the_cpu(kind, name):
    solver = type(SOLVERS[name])(**(vars(SOLVERS[name]) | {"max_steps": 5}))
    here = uj.minimize(uj.FullyConnected.random(**SMALL, **NETWORKS[kind]), None, solver)
    there = uj.minimize(uj.FullyConnected.random(**SMALL, **NETWORKS[kind], device="cuda"), None, solver)
    assert there.x.is_cuda
    torch.testing.assert_close(there.x.cpu(), here.x, atol=1e-8, rtol=0)


@CUDA
@pytest.mark.parametrize("name", ["Adam", "Fire", "LevenbergMarquardt"])
def test_replicas_on_cuda(name):
    networks = [uj.FullyConnected.random(n_data=100, seed=k, device="cuda") for k in range(4)]
    solver = type(SOLVERS[name])(max_steps=5)
    result = uj.minimize(uj.FullyConnected.stack(networks), None, solver)
    alone = [uj.minimize(network, None, solver).energy for network in networks]
    np.testing.assert_allclose(result.energy, alone, rtol=1e-9)

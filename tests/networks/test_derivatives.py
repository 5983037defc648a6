"""∇U, J, H0 and Hp of networks against torch.func and finite differences, at raw x that is in no gauge."""

import itertools

import pytest
import torch

from unijam.core.derivatives import energy, gradient, hessian
from unijam.networks import FullyConnected

ACTIVATIONS = ("tanh", "softplus", "gelu", "relu")
KINDS = list(itertools.product(ACTIVATIONS, ("spherical", "free"), (True, False), range(4)))


def network(activation="tanh", weights="spherical", bias=True, depth=2, **more):
    options = {"width": 5, "input_dimension": 4, "n_data": 23, "beta": 2.0, "seed": 3, **more}
    return FullyConnected.random(activation=activation, weights=weights, bias=bias, depth=depth, **options)


def draw(system, seed=1, noise=0.3):
    """A raw x off every sphere, weights of both signs, and a direction."""
    random = torch.Generator().manual_seed(seed)
    normal = [
        torch.randn(n, generator=random, dtype=torch.float64) for n in (system.n_dof, len(system.labels))
    ]
    return system.initial + noise * normal[0], normal[1], normal[0].flip(0)


def reference(system):
    """Δ(x) by plain torch operations, differentiable."""
    sigma = {
        "tanh": torch.tanh,
        "softplus": lambda z: torch.logaddexp(torch.zeros_like(z), system.beta * z) / system.beta,
        "gelu": lambda z: 0.5 * z * (1 + torch.erf(z / 2**0.5)),
        "relu": lambda z: z.clamp_min(0),
    }[system.activation]

    def delta(x):
        h, start = system.inputs, 0
        for l, units in enumerate((*system.widths, 1)):
            columns = h.shape[1] + system.bias
            theta = x[start : start + units * columns].reshape(units, columns)
            start += units * columns
            if system.weights == "spherical":
                theta = system.radii[l] * theta / (theta * theta).sum().sqrt()
            z = h @ theta[:, : h.shape[1]].T + (theta[:, -1] if system.bias else 0.0)
            h = sigma(z)
        return system.margin - system.labels * z[:, 0]

    return delta


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_first_and_second_derivatives_against_torch_func(kind):
    system = network(*kind)
    x, w, v = draw(system)
    delta, c = reference(system), system.constraints(x)
    exact = {"atol": 1e-10, "rtol": 1e-10}
    torch.testing.assert_close(c.delta, delta(x), **exact)
    jacobian = torch.func.jacrev(delta)(x)
    torch.testing.assert_close(c.jacobian(), jacobian, **exact)
    torch.testing.assert_close(c.jacobian(w > 0), jacobian[w > 0], **exact)
    torch.testing.assert_close(c.vjp(w), jacobian.T @ w, **exact)
    torch.testing.assert_close(c.jvp(v), jacobian @ v, **exact)
    sparse = w * (w > 0)
    expected = torch.func.hessian(lambda y: w @ delta(y))(x)
    torch.testing.assert_close(c.curvature(w), expected, **exact)
    expected = torch.func.hessian(lambda y: sparse @ delta(y))(x)
    torch.testing.assert_close(c.curvature(sparse), expected, **exact)
    expected = torch.func.hessian(lambda y: system.potential.energy(delta(y)).sum())(x)
    torch.testing.assert_close(sum(hessian(system, c)), expected, **exact)


@pytest.mark.parametrize("kind", [("tanh", "spherical", True, 2), ("gelu", "free", False, 1)], ids=str)
def test_finite_differences(kind):
    system = network(*kind)
    x, _, _ = draw(system)
    steps = 1e-5 * torch.eye(system.n_dof, dtype=x.dtype)

    def difference(function):
        return torch.stack([(function(x + e) - function(x - e)) / 2e-5 for e in steps])

    def total(y):
        return torch.tensor(energy(system, system.constraints(y)), dtype=x.dtype)

    c = system.constraints(x)
    torch.testing.assert_close(gradient(system, c), difference(total), atol=1e-7, rtol=1e-7)
    curvature = difference(lambda y: gradient(system, system.constraints(y)))
    torch.testing.assert_close(sum(hessian(system, c)), curvature, atol=1e-6, rtol=1e-6)


def test_curvature_in_parts_of_the_batch_is_the_same(monkeypatch):
    system = network()
    x, w, _ = draw(system)
    whole = system.constraints(x).curvature(w)
    monkeypatch.setattr("unijam.networks.layered.passes.CHUNK", 100)
    torch.testing.assert_close(system.constraints(x).curvature(w), whole, atol=1e-13, rtol=0)


def test_no_weights_no_curvature():
    system = network()
    assert not system.constraints(system.initial).curvature(torch.zeros(23, dtype=torch.float64)).any()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_relu_prestress_has_no_trace(depth):
    system = network("relu", "free", depth=depth)
    c = system.constraints(draw(system)[0])
    _, hp = hessian(system, c)
    assert abs(float(hp.trace())) < 1e-12 and float(hp.abs().max()) > 1e-3


def test_relu_prestress_of_one_hidden_layer_has_a_symmetric_spectrum():
    system = network("relu", "free", depth=1)
    _, hp = hessian(system, system.constraints(draw(system)[0]))
    spectrum = torch.linalg.eigvalsh(hp)
    torch.testing.assert_close(spectrum, -spectrum.flip(0), atol=1e-12, rtol=0)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_rescaling_identities_of_relu(depth):
    """J G x = 0 and H G x + Gᵀ∇U = 0 for the generator G of each hidden unit."""
    system = network("relu", "free", depth=depth)
    x, _, _ = draw(system)
    c = system.constraints(x)
    total, force = sum(hessian(system, c)), gradient(system, c)
    moves = system.symmetries(x)
    assert len(moves) == 5 * depth
    for move in moves:
        generator = torch.where(move == x, 1.0, -1.0) * (move != 0)  # G is diagonal, of entries 1, −1, 0
        torch.testing.assert_close(generator * x, move)
        assert float(c.jvp(move).abs().max()) < 1e-10
        assert float((total @ move + generator * force).abs().max()) < 1e-10

"""The evaluator against the constraints, autograd and itself with leading axes."""

import numpy as np
import pytest
import torch

import unijam as uj

KINDS = {
    "relu free": {"activation": "relu", "weights": "free"},
    "tanh spherical": {"activation": "tanh"},
    "softplus free": {"activation": "softplus", "beta": 3.0, "weights": "free"},
    "gelu spherical, no bias": {"activation": "gelu", "bias": False},
    "linear": {"depth": 0},
}


def network(kind, seed=0):
    shape = {"depth": 2, "width": 5, "input_dimension": 4, "n_data": 30}
    return uj.FullyConnected.random(**(shape | KINDS[kind]), seed=seed)


def classes(potential=None):
    system = network("relu free")
    labels = torch.arange(30) % 4
    return uj.FullyConnected.from_data(
        system.inputs, labels, 2, 5, "relu", weights="free", n_classes=4, potential=potential
    )


SYSTEMS = {kind: (lambda kind=kind: network(kind)) for kind in KINDS} | {
    "classes": classes,
    "cross-entropy": lambda: classes(uj.CrossEntropy(4)),
    "Hertzian": lambda: network("tanh spherical").at(potential=uj.Hertzian()),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_energy_and_gradient_are_those_of_autograd(name):
    """U of `output` alone, differentiated by torch."""
    system = SYSTEMS[name]()
    evaluate = system.evaluator()
    for seed in range(2):  # buffers hold nothing over
        x = system.initial + 0.3 * torch.randn(system.n_dof, generator=torch.Generator().manual_seed(seed))
        leaf = x.clone().requires_grad_()
        z = system.output(leaf, system.inputs)
        if system.n_classes == 2:
            delta = system.margin - system.labels * z
        else:
            y = system.labels.long()
            wrong = [[c for c in range(4) if c != label] for label in y.tolist()]
            delta = (system.margin + z.gather(1, torch.tensor(wrong)) - z.gather(1, y[:, None])).reshape(-1)
        loss = system.potential.energy(delta).sum()
        (expected,) = torch.autograd.grad(loss, leaf)
        energy, gradient, square, n_overlaps = evaluate(x)
        assert energy == pytest.approx(loss.item(), rel=1e-12)
        torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-11)
        assert square == pytest.approx(float((system.potential.force(delta.detach()) ** 2).sum()), rel=1e-12)
        assert n_overlaps == int((delta > 0).sum())


@pytest.mark.parametrize("name", SYSTEMS)
def test_leading_axes_are_one_network_after_the_other(name):
    system = SYSTEMS[name]()
    x = system.initial + 0.3 * torch.randn(2, 3, system.n_dof, generator=torch.Generator().manual_seed(0))
    found = system.evaluator()(x)
    for k in np.ndindex(2, 3):
        energy, gradient, square, n_overlaps = system.evaluator()(x[k])
        assert [found[0][k], found[2][k]] == pytest.approx([energy, square], rel=1e-12)
        torch.testing.assert_close(found[1][k], gradient, rtol=1e-11, atol=1e-12)
        assert found[3][k] == n_overlaps
    if system.scale is not None:
        loads = system.scaled_evaluator()(x, 0.7)[4]
        assert loads[1, 2] == pytest.approx(system.scaled_evaluator()(x[1, 2], 0.7)[4], rel=1e-12)

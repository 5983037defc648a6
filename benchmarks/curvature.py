"""Second derivatives of networks: H0 and Hp as matrices against curvlinops, products with H against a gradient.

`hessian_vs_curvlinops`: seconds of curvlinops' operators made dense (GGN, and Hessian, from which Hp follows) over ours
for H0 and Hp, depth 2, tanh, N = 951, P = 2400, in the same run. `hp_product_overhead`: seconds of one H v over one
gradient of the loss, of any module by forward over reverse mode, and of a fully connected network by its own formula.
"""

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from unijam.core.derivatives import hessian
from unijam.networks import FullyConnected, Network


class Hinge(nn.Module):
    """½ Σ max(0, 1 − y f)², as a loss of torch."""

    reduction = "sum"

    def forward(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return 0.5 * (1 - labels * outputs).clamp_min(0).square().sum()


def hessian_vs_curvlinops(peer_repeats: int = 1) -> dict[str, float]:
    """Its key; H0, Hp and H are compared. ImportError where curvlinops is not installed."""
    from curvlinops import GGNLinearOperator, HessianLinearOperator

    system = FullyConnected.random(depth=2, width=25, input_dimension=10, n_data=2400, weights="free")
    noise = torch.randn(system.n_dof, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x = system.initial + 0.1 * noise
    module = nn.Sequential(
        nn.Linear(10, 25), nn.Tanh(), nn.Linear(25, 25), nn.Tanh(), nn.Linear(25, 1)
    ).double()
    places = []  # where in x curvlinops' parameters (W, then b of each layer) lie
    parts = torch.arange(system.n_dof).split(system.sizes)
    for layer, part, shape in zip(module[::2], parts, system.shapes, strict=True):
        place = part.view(shape)
        layer.weight.data, layer.bias.data = x[place[:, :-1]].clone(), x[place[:, -1]].clone()
        places += [place[:, :-1].reshape(-1), place[:, -1].reshape(-1)]
    order = torch.cat(places)
    parameters = list(module.parameters())
    data = [(system.inputs, system.labels[:, None])]

    def peer() -> list[np.ndarray]:
        eye = torch.eye(system.n_dof, dtype=torch.float64)
        made = []
        for kind in (GGNLinearOperator, HessianLinearOperator):
            operator = kind(module, Hinge(), parameters, data, check_deterministic=False)
            made.append(operator @ eye)
        return made

    def ours() -> tuple[torch.Tensor, torch.Tensor]:
        return hessian(system, system.constraints(x))

    h0, hp = ours()
    ggn, total = peer()
    torch.testing.assert_close(h0[order][:, order], ggn, atol=1e-8, rtol=1e-8)
    torch.testing.assert_close((h0 + hp)[order][:, order], total, atol=1e-8, rtol=1e-8)
    own, theirs = _least(ours, 5), _least(peer, peer_repeats)
    print(f"H0 and Hp at N = {system.n_dof}: {own:.4f} s, curvlinops {theirs:.2f} s")
    return {"hessian_vs_curvlinops": theirs / own}


def hp_product_overhead() -> dict[str, float]:
    """Its key, the largest of a multilayer perceptron as any module, a convolutional one, and the closed form."""
    torch.manual_seed(0)
    dense = nn.Sequential(
        nn.Linear(50, 200),
        nn.ReLU(),
        nn.Linear(200, 200),
        nn.ReLU(),
        nn.Linear(200, 200),
        nn.ReLU(),
        nn.Linear(200, 1),
    )
    images = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2), nn.ReLU(), nn.Flatten(),
        nn.Linear(32 * 49, 1),
    )  # fmt: skip
    labels = np.where(np.arange(2000) % 2, 1.0, -1.0)
    systems = {
        "module": Network(dense, torch.randn(2000, 50), labels, dense_limit=0),
        "convolutions": Network(images, torch.randn(200, 3, 16, 16), labels[:200], dense_limit=0),
        "formula": FullyConnected.random(
            depth=3, width=200, input_dimension=50, n_data=2000, activation="relu", weights="free"
        ),
    }
    overheads = {name: _overhead(system) for name, system in systems.items()}
    for name, value in overheads.items():
        print(f"one H v over one gradient, {name:14s} {value:6.2f}")
    return {"hp_product_overhead": max(overheads.values())}


def _least(call: Callable[[], object], repeats: int) -> float:
    """The least processor time of several calls."""
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        call()
        times.append(time.process_time() - begin)
    return min(times)


def _overhead(system: FullyConnected | Network, repeats: int = 7) -> float:
    """Processor time of one product over that of one evaluation, each the least of several, interleaved."""
    evaluate, x = system.evaluator(), system.initial
    h0, hp = hessian(system, system.constraints(x))
    total, v = h0 + hp, torch.randn(system.n_dof, dtype=torch.float64)
    total @ v  # the first also makes what the next ones share
    pairs = [(_least(lambda: total @ v, 1), _least(lambda: evaluate(x), 1)) for _ in range(repeats)]
    return min(p for p, _ in pairs) / min(g for _, g in pairs)

"""Per-sample Jacobians and Hp of networks against torch's own differentiation.

Run as python -m benchmarks.networks_core. One thread, float64. The peers are a loop over the data, one
forward pass and one torch.autograd.grad each, and torch.func.hessian.
"""

import json

import torch

from unijam.core.derivatives import hessian
from unijam.networks import FullyConnected

from .timing import shortest

LOOPED = 300  # data of the loop that are timed; its time is scaled to all of them


def moved(system: FullyConnected) -> torch.Tensor:
    """Weights off their start."""
    random = torch.Generator().manual_seed(1)
    return system.initial + 0.1 * torch.randn(system.n_dof, generator=random, dtype=torch.float64)


def jacobian_vs_loop() -> dict[str, float]:
    """J of 6000 data, depth 3, N = 2006: against one torch.autograd.grad a datum."""
    system = FullyConnected.random(depth=3, width=25, input_dimension=25, n_data=6000, weights="free")
    x = moved(system)

    def loop() -> torch.Tensor:
        leaf = x.clone().requires_grad_()
        rows = []
        for y, datum in zip(system.labels[:LOOPED], system.inputs[:LOOPED].split(1), strict=True):
            delta = system.margin - y * system.output(leaf, datum)
            rows.append(torch.autograd.grad(delta, leaf)[0])
        return torch.stack(rows)

    ours = system.constraints(x).jacobian()
    torch.testing.assert_close(ours[:LOOPED], loop())
    here = shortest(lambda: system.constraints(x).jacobian(), 5)
    return {"ours": here, "peer": shortest(loop, 2) * 6000 / LOOPED, "n_dof": system.n_dof}


def hp_vs_autograd() -> dict[str, float]:
    """Hp of 2400 data, depth 2, tanh, N = 951: against torch.func.hessian of Σ u' Δ."""
    system = FullyConnected.random(depth=2, width=25, input_dimension=10, n_data=2400, weights="free")
    x = moved(system)
    c = system.constraints(x)
    force = system.potential.force(c.delta)

    def total(y: torch.Tensor) -> torch.Tensor:
        return force @ (system.margin - system.labels * system.output(y, system.inputs))

    torch.testing.assert_close(c.curvature(force), torch.func.hessian(total)(x))
    here = shortest(lambda: system.constraints(x).curvature(force), 5)
    return {"ours": here, "peer": shortest(lambda: torch.func.hessian(total)(x), 1), "n_dof": system.n_dof}


def per_evaluation() -> dict[str, float]:
    """Seconds of one evaluation, J, and H0 with Hp, at N = 280, P = 420, tanh, spherical."""
    system = FullyConnected.random()
    x = moved(system)
    evaluate, c = system.evaluator(), system.constraints(x)
    return {
        "evaluator_280_seconds": shortest(lambda: evaluate(x), 100),
        "jacobian_280_seconds": shortest(lambda: system.constraints(x).jacobian(), 50),
        "hessian_280_seconds": shortest(lambda: hessian(system, c), 20),
    }


def main() -> None:
    torch.set_num_threads(1)
    ratios = per_evaluation()
    for name, seconds in ratios.items():
        print(f"{name:28s} {1e3 * seconds:9.3f} ms")
    for name, benchmark in (("jacobian_vs_loop", jacobian_vs_loop), ("hp_vs_autograd", hp_vs_autograd)):
        times = benchmark()
        ratios[name] = times["peer"] / times["ours"]
        print(f"{name:28s} {times['ours']:9.4f} s, peer {times['peer']:9.4f} s: {ratios[name]:.1f}")
    print(f"(the loop over the data is timed on {LOOPED} of them and scaled)")
    print(json.dumps({name: float(f"{value:.4g}") for name, value in ratios.items()}))


if __name__ == "__main__":
    main()

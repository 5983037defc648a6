"""Networks that fit their data, and what it costs: seconds to U/P < 1e-20 at N = 325, against Adam, growth with N.

One thread, float64; CPU seconds, because other work on the machine lengthens wall times.
"""

import time
from collections.abc import Iterator

import numpy as np
import torch

import unijam as uj

SEEDS = range(5)
ADAM_STEPS = 30_000
WIDTHS = (9, 14, 20, 30)  # depth 2, d = h: N = 190, 434, 861, 1891


def network(n_data: int, seed: int, width: int = 12) -> uj.FullyConnected:
    """Depth 2, d = h, ReLU, free weights, random data."""
    return uj.FullyConnected.random(
        depth=2,
        width=width,
        input_dimension=width,
        n_data=n_data,
        activation="relu",
        weights="free",
        seed=seed,
    )


def fit_seconds(n_data: int) -> dict[str, float]:
    """Median CPU seconds over five seeds of a `FitSearch`, and from how many U/P ≤ 1e-20 was reached."""
    times, fitted = [], 0
    for seed in SEEDS:
        system = network(n_data, seed)
        begin = time.process_time()
        result = uj.minimize(system, solver=uj.FitSearch())
        times.append(time.process_time() - begin)
        fitted += result.energy <= 1e-20 * n_data
    print(
        f"P = {n_data}: seconds {', '.join(f'{t:.2f}' for t in times)}; fitted from {fitted} of {len(times)} seeds"
    )
    name = f"relu_p{n_data}"
    return {f"{name}_seconds": float(np.median(times)), f"{name}_fitted_of_5": fitted}


def adam_over_ours(ours: float) -> dict[str, float]:
    """CPU time of Adam's 30 000 steps at P = 900 over ours, and the U/P where it stops: torch's Adam, and our own."""
    system = network(900, 0)
    leaf = system.initial.clone().requires_grad_()
    optimizer = torch.optim.Adam([leaf], lr=1e-3)
    begin = time.process_time()
    for _ in range(ADAM_STEPS):
        optimizer.zero_grad()
        delta = system.margin - system.labels * system.output(leaf, system.inputs)
        energy = 0.5 * torch.relu(delta).square().sum()
        energy.backward()
        optimizer.step()
    middle = time.process_time()
    result = uj.minimize(system, solver=uj.Adam(learning_rate=1e-3, max_steps=ADAM_STEPS))
    torchs, own = middle - begin, time.process_time() - middle
    print(
        f"P = 900: {ADAM_STEPS} steps of torch's Adam take {torchs:.1f} s, to U/P = {float(energy.detach()) / 900:.3g};"
    )
    print(f"         our own {own:.1f} s, to U/P = {result.energy / 900:.3g}")
    return {
        "relu_p900_adam_over_ours": torchs / ours,
        "relu_p900_own_adam_over_ours": own / ours,
        "relu_p900_adam_energy": float(energy.detach()) / 900,
    }


def growth_exponent() -> dict[str, float]:
    """Of the CPU time of a fit by Levenberg-Marquardt with N, at P/N = 2, tanh."""
    sizes, times = zip(*_growth(), strict=True)
    return {"growth_exponent": float(np.polyfit(np.log(sizes), np.log(times), 1)[0])}


def _growth() -> Iterator[tuple[int, float]]:
    for width in WIDTHS:
        size = network(2, 0, width).n_dof
        system = network(2 * size, 0, width).at(activation="tanh")
        begin = time.process_time()
        result = uj.minimize(system, solver=uj.LevenbergMarquardt(max_steps=200))
        seconds = time.process_time() - begin
        print(f"N = {size}: {seconds:.2f} s, {result.n_steps} steps, {result.status}")
        yield size, seconds


def relu_fits() -> dict[str, float]:
    """All keys of fits of ReLU networks."""
    torch.set_num_threads(1)
    found = fit_seconds(900)
    return found | adam_over_ours(found["relu_p900_seconds"]) | fit_seconds(1000)

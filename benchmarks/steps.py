"""What a step of a solver costs on networks: Adam against torch.optim.Adam with autograd, Newton, Levenberg-Marquardt.

Run as python -m benchmarks.steps. One thread, float64, depth 2, free ReLU networks, N = 325 at P = 1000 and N = 946
at P = 3887. Each number is the tenth percentile of single steps, so that other work on the machine does not count.
"""

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice, pairwise

import numpy as np
import torch

import unijam as uj
from unijam.solvers.loop import Solver
from unijam.solvers.objective import Objective

SIZES = {
    "n325": {"width": 12, "input_dimension": 12, "n_data": 1000},
    "n946": {"width": 21, "input_dimension": 21, "n_data": 3887},
}


def percentile(step: Callable[[], object], repeats: int) -> float:
    """CPU seconds of one step."""
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        step()
        times.append(time.process_time() - begin)
    return float(np.percentile(times, 10))


def torchs_adam(system: uj.FullyConnected, fused: bool) -> Callable[[], object]:
    """A step of torch.optim.Adam on the same network as a torch module."""
    widths = [system.inputs.shape[1], *system.widths, 1]
    layers: list[torch.nn.Module] = []
    for below, above in pairwise(widths):
        layers += [torch.nn.Linear(below, above), torch.nn.ReLU()]
    module = torch.nn.Sequential(*layers[:-1]).double()
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3, fused=fused)

    def step() -> None:
        optimizer.zero_grad()
        delta = system.margin - system.labels * module(system.inputs)[:, 0]
        (0.5 * torch.relu(delta).square().sum()).backward()
        optimizer.step()

    return step


def ours(system: uj.FullyConnected, solver: Solver) -> Iterator[object]:
    """Steps of a solver, the loop's tests included."""
    objective = Objective(system)
    for point in solver.iterate(objective, objective.first(system.initial)):
        solver.verdict(objective, point)
        yield point


def main() -> None:
    torch.set_num_threads(1)
    found: dict[str, float] = {}
    for name, shape in SIZES.items():
        system = uj.FullyConnected.random(**shape, depth=2, activation="relu", weights="free")
        adam = ours(system, uj.Adam(learning_rate=1e-3))
        peer, fused = torchs_adam(system, False), torchs_adam(system, True)
        list(islice(adam, 5))
        times = {"ours": [], "torch": [], "fused": []}
        for _ in range(5):  # in turn
            times["ours"].append(percentile(partial(next, adam), 60))
            times["torch"].append(percentile(peer, 60))
            times["fused"].append(percentile(fused, 60))
        best = {key: float(np.median(value)) for key, value in times.items()}
        found[f"adam_step_{name}_seconds"] = best["ours"]
        found[f"adam_step_{name}_vs_torch"] = best["torch"] / best["ours"]
        found[f"adam_step_{name}_vs_fused_torch"] = best["fused"] / best["ours"]
        for key, solver in (
            ("levenberg_marquardt", uj.LevenbergMarquardt()),
            ("newton", uj.TrustRegionNewton()),
        ):
            steps = ours(system, solver)
            found[f"{key}_step_{name}_seconds"] = percentile(partial(next, steps), 12)
    for key, value in found.items():
        print(f"{key:36s} {1e3 * value:9.3f} ms" if key.endswith("seconds") else f"{key:36s} {value:9.2f}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()

"""The core against what a script would use instead; run as python -m benchmarks.core (one thread, float64).

Last line: JSON of ratios to peers timed in the same run, and seconds where there is no peer.
"""

import json
import statistics
import subprocess
import sys
import time

import torch
from threadpoolctl import threadpool_limits

import unijam as uj

from . import forces, networks_core
from .timing import shortest

SEEDS = range(3)


def jam_seconds(make) -> float:
    """Median time over seeds to bring a system to jamming; compiled kernels warm, every run must converge."""
    uj.jam(make(len(SEEDS)))
    times = []
    for seed in SEEDS:
        begin = time.perf_counter()
        result = uj.jam(make(seed))
        times.append(time.perf_counter() - begin)
        assert result.status == "converged", result.reason
    return statistics.median(times)


def import_vs_torch() -> float:
    """Time of `import unijam` over that of `import torch`, each in a fresh process."""

    def fresh(name: str) -> float:
        return shortest(lambda: subprocess.run([sys.executable, "-c", f"import {name}"], check=True), 5)

    return fresh("unijam") / fresh("torch")


def discs(seed: int) -> uj.SoftSpheres:
    """256 polydisperse discs."""
    return uj.SoftSpheres.random(n=256, radii="uniform", seed=seed)


def ellipses(seed: int) -> uj.Ellipses:
    """256 bidisperse ellipses of aspect ratio 1.4."""
    return uj.Ellipses.random(n=256, aspect_ratio=1.4, packing_fraction=0.90, seed=seed)


def network(seed: int) -> uj.FullyConnected:
    """Depth 3, tanh, N = 280, P/N = 1.5."""
    return uj.FullyConnected.random(depth=3, width=9, input_dimension=9, n_data=420, seed=seed)


def main() -> None:
    """Print a table and the JSON."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        particles = forces.ratios()
        ratios = {
            "discs_force_vs_kdtree": particles["discs_force_vs_kdtree"],
            "discs_force_vs_numpy_pairs": particles["discs_force_vs_numpy_pairs"],
        }
        for name in ("jacobian_vs_loop", "hp_vs_autograd"):
            times = getattr(networks_core, name)()
            ratios[name] = times["peer"] / times["ours"]
        for name, make in (("discs_256", discs), ("ellipses_256", ellipses), ("network_280", network)):
            ratios[f"jam_{name}_seconds"] = jam_seconds(make)
        ratios["import_vs_torch"] = import_vs_torch()
    for name, value in ratios.items():
        print(f"{name:32s} {value:10.3f}")
    print(json.dumps({name: float(f"{value:.4g}") for name, value in ratios.items()}))


if __name__ == "__main__":
    main()

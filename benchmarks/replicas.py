"""Replicas: 32 networks trained at once against one after the other, by Adam, depth 2, ReLU, N = 325.

Run as python -m benchmarks.replicas. One thread, float64. What batching saves is the cost of starting operations;
the products themselves cost as much as before, so that the gain falls with the number of data P.
"""

import json
import time
from statistics import median

import torch

import unijam as uj

REPLICAS = 32
STEPS = 1000
REPEATS = 3
DATA = (100, 300, 1000)
QUOTED = 100  # P of the key


def networks(n_data: int) -> list[uj.FullyConnected]:
    """32 networks, each with its own data and weights."""
    shape = {"depth": 2, "width": 12, "input_dimension": 12, "activation": "relu", "weights": "free"}
    return [uj.FullyConnected.random(**shape, n_data=n_data, seed=seed) for seed in range(REPLICAS)]


def seconds(n_data: int) -> tuple[float, float]:
    """CPU seconds of a step of all: one after the other, and at once (medians, taken in turn)."""
    singles, solver = networks(n_data), uj.Adam(learning_rate=1e-3, max_steps=STEPS)
    stacked = uj.FullyConnected.stack(singles)
    times: list[tuple[float, float]] = []
    for _ in range(REPEATS):
        begin = time.process_time()
        alone = [uj.minimize(system, None, solver) for system in singles]
        middle = time.process_time()
        together = uj.minimize(stacked, None, solver)
        times.append((middle - begin, time.process_time() - middle))
    torch.testing.assert_close(together.x, torch.stack([result.x for result in alone]), atol=1e-11, rtol=0)
    one, all_ = (median(column) / STEPS for column in zip(*times, strict=True))
    return one, all_


def replicas_32_speedup() -> dict[str, float]:
    """Ratios by P; the key is that at P = 100."""
    found = {}
    for n_data in DATA:
        one, all_ = seconds(n_data)
        found[f"replicas_32_speedup_p{n_data}"] = one / all_
        print(f"P = {n_data:5d}: {1e3 * one:7.3f} ms one after the other, {1e3 * all_:7.3f} ms at once")
    return {"replicas_32_speedup": found[f"replicas_32_speedup_p{QUOTED}"]} | found


def main() -> None:
    torch.set_num_threads(1)
    print(json.dumps(replicas_32_speedup()))


if __name__ == "__main__":
    main()

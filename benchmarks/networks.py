"""Networks at full strength; run as python -m benchmarks.networks (one thread, float64).

Last line: JSON of ratios to peers timed in the same run, and seconds where there is no peer.
"""

import json

import torch
from threadpoolctl import threadpool_limits

from .curvature import curvatures
from .fits import growth_exponent, relu_fits
from .replicas import replicas_32_speedup

BENCHMARKS = (relu_fits, curvatures, growth_exponent, replicas_32_speedup)  # each returns its keys


def main() -> None:
    """Print a table and the JSON."""
    torch.set_num_threads(1)
    found: dict[str, float] = {}
    with threadpool_limits(1):
        for benchmark in BENCHMARKS:
            found |= benchmark()
    for name, value in found.items():
        print(f"{name:32s} {value:10.4g}")
    print(json.dumps({name: float(f"{value:.4g}") for name, value in found.items()}))


if __name__ == "__main__":
    main()

"""Networks at full strength; run as python -m benchmarks.networks (one thread, float64, CPU seconds).

Last line: JSON of ratios to peers timed in the same run, and seconds where there is no peer.
"""

import argparse
import json
from collections.abc import Callable

import torch
from threadpoolctl import threadpool_limits

from .curvature import hessian_vs_curvlinops, hp_product_overhead
from .fits import growth_exponent, relu_fits
from .minima import relu_p1300_certified, spherical_jam
from .replicas import replicas_32_speedup

BENCHMARKS: dict[str, Callable[[], dict[str, float]]] = {  # each returns its keys
    "relu_fits": relu_fits,
    "relu_p1300_certified": relu_p1300_certified,
    "spherical_jam": spherical_jam,
    "hessian_vs_curvlinops": hessian_vs_curvlinops,
    "hp_product_overhead": hp_product_overhead,
    "replicas_32_speedup": replicas_32_speedup,
    "growth_exponent": growth_exponent,
}
LIMITS = {  # floor and aim
    "relu_p900_seconds": (2, 1),
    "relu_p900_adam_over_ours": (12, 30),
    "relu_p1000_seconds": (10, 2),
    "relu_p1300_certified_seconds": (6, 1.5),
    "spherical_jam_seconds": (8, 2),
    "hessian_vs_curvlinops": (20, 100),
    "hp_product_overhead": (4, 3),
    "replicas_32_speedup": (3, 10),
    "growth_exponent": (3.2, 3.2),
}
LARGER = {"relu_p900_adam_over_ours", "hessian_vs_curvlinops", "replicas_32_speedup"}  # is better


def main() -> None:
    """Print a table and the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=list(BENCHMARKS))
    chosen = parser.parse_args().only
    torch.set_num_threads(1)
    found: dict[str, float] = {}
    skipped: list[str] = []
    with threadpool_limits(1):
        for name in chosen:
            try:
                found |= BENCHMARKS[name]()
            except ImportError as missing:
                skipped.append(f"{name}: {missing.name} is not installed")
                print(skipped[-1])
    for name, value in found.items():
        print(f"{name:32s} {value:10.4g}{_verdict(name, value)}")
    rounded = {name: float(f"{value:.4g}") for name, value in found.items()}
    print(json.dumps(rounded | ({"skipped": skipped} if skipped else {})))


def _verdict(name: str, value: float) -> str:
    """Beside the value: floor and aim, and whether they are met."""
    if name not in LIMITS:
        return ""
    met = [value >= limit if name in LARGER else value <= limit for limit in LIMITS[name]]
    word = "meets the aim" if met[1] else "meets the floor" if met[0] else "FAILS"
    return "   floor {:g}, aim {:g}: ".format(*LIMITS[name]) + word


if __name__ == "__main__":
    main()

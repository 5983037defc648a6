"""Energy and gradient of 2D soft discs, list in hand, against the same arithmetic in NumPy; one core.

python -m benchmarks.forces [--particles N] [--output FILE]
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from unijam.particles import SoftSpheres

from .timing import shortest


def packing(n: int = 16384, steps: int = 100) -> tuple[SoftSpheres, np.ndarray]:
    """Discs at φ = 0.86, partly relaxed down the gradient, and their x."""
    system = SoftSpheres.random(n=n, packing_fraction=0.86, seed=0)
    evaluate, x = system.evaluator(), system.initial
    for _ in range(steps):
        x = x - 0.2 * evaluate(x)[1]
    return system, x


def numpy_pairs(system: SoftSpheres, x: np.ndarray) -> np.ndarray:
    """Pairs within the largest diameter, by scipy's periodic tree, (m, 2)."""
    wrapped = system.positions(x) % system.box_length
    return cKDTree(wrapped, boxsize=system.box_length).query_pairs(
        system.largest_diameter, output_type="ndarray"
    )


def numpy_forces(system: SoftSpheres, x: np.ndarray, pairs: np.ndarray) -> tuple[float, np.ndarray]:
    """U and ∇U of the pairs, as one would write it in NumPy."""
    n, d = system.n, system.dimension
    i, j = pairs.T
    positions = system.positions(x)
    separation = positions[i] - positions[j]
    separation -= system.box_length * np.round(separation / system.box_length)
    distance = np.sqrt((separation**2).sum(axis=1))
    delta = system.radii[i] + system.radii[j] - distance
    touching = delta > 0
    i, j, delta = i[touching], j[touching], delta[touching]
    push = (delta / distance[touching])[:, None] * separation[touching]
    gradient = np.empty((n, d))
    for axis in range(d):
        gradient[:, axis] = np.bincount(j, push[:, axis], n) - np.bincount(i, push[:, axis], n)
    return 0.5 * float(delta @ delta), gradient.ravel()


def ratios(n: int = 16384) -> dict[str, float]:
    """How many times faster one evaluator call is than each peer at the same x; the answers must agree."""
    system, x = packing(n)
    evaluate = system.evaluator()
    value, slope, *_ = evaluate(x)
    pairs = numpy_pairs(system, x)
    peer_value, peer_slope = numpy_forces(system, x, pairs)
    np.testing.assert_allclose([value, *slope], [peer_value, *peer_slope], rtol=1e-9, atol=1e-11)
    ours = shortest(lambda: evaluate(x), 200)
    on_pairs = shortest(lambda: numpy_forces(system, x, pairs), 20)
    with_tree = shortest(lambda: numpy_forces(system, x, numpy_pairs(system, x)), 5)
    return {
        "discs_force_vs_kdtree": with_tree / ours,
        "discs_force_vs_numpy_pairs": on_pairs / ours,
        "discs_force_seconds": ours,
    }


def discs_force_vs_kdtree(n: int = 16384) -> float:
    """Time of NumPy with scipy's `cKDTree(boxsize).query_pairs` in the call, over one evaluator call's."""
    return ratios(n)["discs_force_vs_kdtree"]


def discs_force_vs_numpy_pairs(n: int = 16384) -> float:
    """Time of NumPy on ready pairs, over that of one evaluator call."""
    return ratios(n)["discs_force_vs_numpy_pairs"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--particles", type=int, default=16384)
    parser.add_argument("--output", type=Path, help="also write the JSON there")
    options = parser.parse_args()
    found = ratios(options.particles)
    print(f"One evaluation of {options.particles} discs at packing fraction 0.86:")
    print(
        f"  unijam                {1e9 * found['discs_force_seconds'] / options.particles:8.1f} ns a particle"
    )
    print(f"  NumPy, ready pairs    {found['discs_force_vs_numpy_pairs']:8.1f} times as long")
    print(f"  NumPy and cKDTree     {found['discs_force_vs_kdtree']:8.1f} times as long")
    line = json.dumps(found)
    if options.output:
        options.output.write_text(line + "\n")
    print(line)


if __name__ == "__main__":
    main()

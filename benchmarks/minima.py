"""True minima of ReLU networks and jamming of spherical ones: CPU seconds, medians over five seeds (float64)."""

import time

import numpy as np

import unijam as uj

from .fits import SEEDS, network

CERTIFIED_DATA = 1300
LOAD = 2  # P/N of the spherical networks
JAMMED = 1e-14  # U/P


def relu_p1300_certified() -> dict[str, float]:
    """N = 325, P = 1300: the path from softplus to ReLU, and how many of its ends are minima by `certify`."""
    times, minima = [], 0
    for seed in SEEDS:
        begin = time.process_time()
        result = uj.minimize(network(CERTIFIED_DATA, seed), solver=uj.softplus_to_relu())
        times.append(time.process_time() - begin)
        minima += uj.certify(result.system, result.x).minimum
    print(
        f"P = {CERTIFIED_DATA}: seconds {', '.join(f'{t:.2f}' for t in times)}; {minima} of {len(times)} certified"
    )
    return {
        "relu_p1300_certified_seconds": float(np.median(times)),
        "relu_p1300_certified_of_5": minima,
    }


def spherical_jam() -> dict[str, float]:
    """Depth 2, tanh, N = 231, P/N = 2: from random weights to jamming, and from how many seeds U/P ≤ 1e-14."""
    times, jammed = [], 0
    for seed in SEEDS:
        system = uj.FullyConnected.random(depth=2, width=10, input_dimension=10, n_data=LOAD * 231, seed=seed)
        begin = time.process_time()
        packing = uj.jam(system)
        times.append(time.process_time() - begin)
        jammed += packing.status == "converged" and packing.states[-1].energy <= JAMMED * system.n_data
    print(
        f"spherical, N = {system.n_dof}: seconds {', '.join(f'{t:.2f}' for t in times)}; "
        f"{jammed} of {len(times)} jammed at U/P ≤ {JAMMED:.0e}"
    )
    return {"spherical_jam_seconds": float(np.median(times)), "spherical_jam_jammed_of_5": jammed}

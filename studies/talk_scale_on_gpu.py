"""The released example of the talk (depth 3, d = h = 51, ReLU, random data) fitted by a softplus homotopy.

    python studies/talk_scale_on_gpu.py [--device cuda] [--seeds N] [--output results]

Adam's 10⁷ steps place the transition between P = 22 000 and 26 000 (N_eff = 7854, P/N_eff from 2.80 to 3.31). Here
each P is fitted, or not, by Levenberg-Marquardt along softplus of rising β and then ReLU; without a GPU the same
P/N_eff at d = h = 10 (N = 341, N_eff = 311), in less than two minutes on two idle cores.

What a GPU is asked for, worked out, not measured: N = 8008, N_eff = N − 153. A step forms J of the N_Δ ≤ P overlaps
(P N 8 bytes: 1.4 GB at P = 22 000, 1.7 GB at 26 000), weighs it (as much again), forms H0 = JᵀJ (2 P N² = 2.8e12 flops
at P = 22 000) and factors it (N³/3 = 1.7e11 flops; 0.51 GB each for H0, the shifted matrix and its factor): 5 GB in
all. At 67 teraflops (the float64 tensor cores of an H100) that is 0.05 s a step while all data overlap, and less as
they become fewer; say 0.1 s with J and the trial points. Ten stages of at most 100 steps: 100 s a P, ten minutes for
the five P of one seed. Two cores of a CPU, at 50 gigaflops, would need a minute a step, three days for the same.
"""

from argparse import Namespace
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import unijam as uj
from unijam.ensemble import Recipe, Sample, run_ensemble
from unijam.study.reports.talk_scale import TalkScaleReport
from unijam.study.run import run_study, seeds

SHARPNESS = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)
LOADS = {
    "cuda": (2.80, 2.93, 3.06, 3.18, 3.31),  # P/N_eff: 22 000 to 26 000 data at N_eff = 7854
    "cpu": (2.80, 3.06, 3.31, 3.60),  # small nets are fitted somewhat farther
}


@dataclass(frozen=True, eq=False)
class Fit(Sample):
    """Where the homotopy ended."""

    p_over_n: float  # P/N_eff
    loss: float  # U/P
    ratio: float  # N_Δ/N_eff
    n_steps: int
    seconds: float


def measure_fit(system: uj.FullyConnected, max_steps: int) -> Fit:
    """Levenberg-Marquardt along softplus of rising β, then ReLU."""
    solver = uj.LevenbergMarquardt(max_steps=max_steps, matrix_free=False)
    stages = [uj.Stage({"activation": "softplus", "beta": b}, solver) for b in SHARPNESS]
    result = uj.minimize(system, solver=uj.Stages((*stages, uj.Stage({"activation": "relu"}, solver))))
    n_effective, n_data = system.n_dof - sum(system.widths), len(system.labels)
    ratio = 0.0 if result.fitted else result.n_overlaps / n_effective
    return Fit(n_data / n_effective, result.energy / n_data, ratio, result.n_steps, result.seconds)


def configuration(device: str, n_seeds: int | None) -> dict[str, tuple[Recipe, int]]:
    """One recipe a load: the talk's size on a GPU, N_eff = 445 on a CPU."""
    size = 51 if device == "cuda" else 10
    n_effective = 3 * size * size + size + 1  # weights and biases, less one rescaling a hidden unit
    shape = dict(depth=3, width=size, input_dimension=size, activation="relu", weights="free", device=device)
    return {
        f"P/N_eff = {load:.2f}": (
            Recipe(kind="FullyConnected", parameters=shape | {"n_data": round(load * n_effective)}),
            n_seeds or (1 if device == "cuda" else 2),
        )
        for load in LOADS[device]
    }


def study(given: Namespace) -> tuple[TalkScaleReport, dict[str, Any]]:
    """All loads."""
    recipes = configuration(given.device, given.seeds)
    workers = 1 if given.device == "cuda" else None
    measure = partial(measure_fit, max_steps=100)
    samples = run_ensemble(recipes, measure, store=given.output / "samples", n_workers=workers)
    size = next(iter(recipes.values()))[0].parameters["width"]
    title = f"depth 3, d = h = {size}, ReLU, random data, free weights"
    chosen = {name: asdict(recipe) | {"seeds": n} for name, (recipe, n) in recipes.items()}
    return TalkScaleReport(samples, title, finite=given.device == "cpu"), chosen


if __name__ == "__main__":
    where = {"default": "cpu", "choices": LOADS, "help": "cuda: the talk's size; cpu: d = h = 10"}
    run_study(study, __doc__, device=where, seeds=seeds("seeds a load"))

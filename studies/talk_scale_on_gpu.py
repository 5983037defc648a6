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

import argparse
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import unijam as uj
from unijam.ensemble import Recipe, Sample, ensemble
from unijam.plotting import COLOURS, GREY
from unijam.reports.record import check, write_record

SHARPNESS = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)
LOADS = {
    "cuda": (2.80, 2.93, 3.06, 3.18, 3.31),  # P/N_eff: 22 000 to 26 000 data at N_eff = 7854
    "cpu": (2.80, 3.06, 3.31, 3.60),  # small nets are fitted somewhat farther
}
SOURCE = "the talk; example released with arXiv:1809.09349, 1e7 steps of Adam"


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
    ratio = result.n_overlaps / n_effective if result.status != "satisfied" else 0.0
    return Fit(n_data / n_effective, result.energy / n_data, ratio, result.n_steps, result.seconds)


def configuration(device: str, seeds: int | None) -> dict[str, tuple[Recipe, int]]:
    """One recipe a load: the talk's size on a GPU, N_eff = 445 on a CPU."""
    size = 51 if device == "cuda" else 10
    n_effective = 3 * size * size + size + 1  # weights and biases, less one rescaling a hidden unit
    shape = dict(depth=3, width=size, input_dimension=size, activation="relu", weights="free", device=device)
    return {
        f"P/N_eff = {load:.2f}": (
            Recipe(kind="FullyConnected", parameters=shape | {"n_data": round(load * n_effective)}),
            seeds or (1 if device == "cuda" else 2),
        )
        for load in LOADS[device]
    }


def bracket(fits: list[Fit]) -> tuple[float, float]:
    """The largest load up to which every seed was fitted, and the least from which none was; 0 and ∞ where unseen."""
    failed, fitted = (
        [f.p_over_n for f in fits if f.loss > 1e-20],
        [f.p_over_n for f in fits if f.loss <= 1e-20],
    )
    low = max((load for load in fitted if load < min(failed, default=np.inf)), default=0.0)
    high = min((load for load in failed if load > max(fitted, default=0.0)), default=np.inf)
    return low, high


def draw(fits: list[Fit], path: Path, title: str) -> None:
    """U/P and N_Δ/N_eff where the homotopy ended, against P/N_eff."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    load = np.array([f.p_over_n for f in fits])
    for ax, value, label in zip(
        axes,
        ([max(f.loss, 1e-26) for f in fits], [f.ratio for f in fits]),
        ("U/P", r"$N_\Delta/N_\mathrm{eff}$"),
        strict=True,
    ):
        ax.axvspan(2.80, 3.31, color=GREY, alpha=0.12, lw=0, label="transition by Adam (talk)")
        ax.plot(load, value, "o", color=COLOURS["network"], label="softplus homotopy")
        ax.set(xlabel=r"$P/N_\mathrm{eff}$", ylabel=label)
    axes[0].axhline(1e-20, color=GREY, lw=0.8, ls=":")
    axes[0].set_yscale("log")
    axes[1].axhline(0.75, color=GREY, lw=0.8, ls="--", label="jump in the talk")
    axes[1].legend(frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=160)


def main() -> None:
    """Fit what is missing, print the table, write the figure and the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--device", default="cpu", choices=LOADS, help="cuda: the talk's size; cpu: d = h = 10"
    )
    parser.add_argument("--seeds", type=int, help="seeds a load")
    parser.add_argument("--output", type=Path, default=Path("results"))
    given = parser.parse_args()
    if given.seeds is not None and given.seeds < 1:
        parser.error(f"--seeds = {given.seeds} is not valid: it must be at least 1.")
    begin = time.perf_counter()
    try:
        recipes = configuration(given.device, given.seeds)
        workers = 1 if given.device == "cuda" else None
        measure = partial(measure_fit, max_steps=100)
        samples = ensemble(recipes, measure, given.output / "samples", n_workers=workers)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted: the fits that were done are kept; run again to go on")
    for name, found in samples.items():
        text = ", ".join(f"{f.loss:.1e} ({f.n_steps} steps, {f.seconds:.0f} s)" for f in found)
        print(f"{name}: U/P = {text}")
    fits = [fit for found in samples.values() for fit in found]
    low, high = bracket(fits)
    name = "P/N_eff up to which all seeds were fitted, and from which none was: their mean"
    verdict = "" if given.device == "cuda" else "finite-size"
    checks = [check(name, (low + high) / 2, low, high, 3.06, SOURCE, verdict)]
    size = next(iter(recipes.values()))[0].parameters["width"]
    chosen = {name: recipe.model_dump() | {"seeds": n} for name, (recipe, n) in recipes.items()}
    seconds = time.perf_counter() - begin
    write_record(given.output / "talk_scale_on_gpu.json", chosen, seconds, checks)
    figure = given.output / "talk_scale_on_gpu.png"
    draw(fits, figure, f"depth 3, d = h = {size}, ReLU, random data, free weights")
    print(f"fitted up to P/N_eff = {low:.2f} for all seeds; none from {high:.2f}\n{figure} ({seconds:.0f} s)")


if __name__ == "__main__":
    main()

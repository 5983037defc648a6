"""How the time of a descent grows with the number of discs: a figure, and the fitted powers."""

import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import stats

from unijam.figures.comparison import COLOURS, STYLE
from unijam.statistics import Estimate

SIZES = (1000, 3162, 10_000, 31_623, 100_000)
AT_MOST = 100_000  # discs of all starts of one size
STARTS = 5


def fitted(x: np.ndarray, y: np.ndarray) -> tuple[Estimate, float]:
    """Exponent, with a 95 % interval by Student's t of the residuals, and amplitude of the power law of all runs."""
    line = stats.linregress(np.log(x), np.log(y))
    half = line.stderr * stats.t.ppf(0.975, len(x) - 2)
    return Estimate(line.slope, line.slope - half, line.slope + half), float(np.exp(line.intercept))


def growth(
    descend: Callable[[int, int], dict[str, float]], figure: Path, sizes: tuple[int, ...] = SIZES
) -> dict[str, float]:
    """Seconds and evaluations of descents against n, several starts a size, as a figure; powers, and the memory.

    Parameters
    ----------
    descend : function of seed and n
        Follows a descent; its "seconds" and "evaluations".
    """
    runs = []
    for n in sizes:
        for seed in range(max(1, min(STARTS, AT_MOST // n))):
            run = descend(seed, n)
            runs.append((n, run["seconds"], run["evaluations"]))
            each = 1e9 * run["seconds"] / run["evaluations"] / n
            print(f"    n = {n:6d}: {run['seconds']:8.3f} s, {each:5.1f} ns a particle and step", flush=True)
    n, seconds, evaluations = np.array(runs, dtype=float).T
    laws = {"seconds": fitted(n, seconds), "evaluations": fitted(n, evaluations)}
    _draw(figure, n, {"seconds": seconds, "evaluations": evaluations}, laws)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kilobytes on Linux
    print(f"    grows as n^{laws['seconds'][0]}; {memory:.0f} MB at most", flush=True)
    return {"growth_2d_power": laws["seconds"][0].value, f"memory_2d_{max(sizes)}_megabytes": memory}


def _draw(
    figure: Path, n: np.ndarray, found: dict[str, np.ndarray], laws: dict[str, tuple[Estimate, float]]
) -> None:
    import matplotlib.pyplot as plt

    labels = {
        "seconds": "seconds of one core, from random\nto forces of $10^{-10}$ stiffnesses",
        "evaluations": "evaluations of the forces",
    }
    with plt.rc_context(STYLE):
        drawn, axes = plt.subplots(1, 2, figsize=(7.6, 3.4), layout="constrained")
        for ax, (name, values) in zip(axes, found.items(), strict=True):
            power, amplitude = laws[name]
            sizes, half = np.unique(n), (power.high - power.low) / 2
            medians = [np.median(values[n == size]) for size in sizes]
            ax.plot(n, values, "o", ms=3.5, mew=0, color=COLOURS["spheres"], alpha=0.35, label="each start")
            ax.plot(sizes, medians, "o", ms=6, color=COLOURS["spheres"], label="median")
            law = rf"$n^b$, $b={power.value:.2f}\pm{half:.2f}$"
            ax.plot(sizes, amplitude * sizes**power.value, color="black", lw=1.2, zorder=5, label=law)
            ax.set(xscale="log", yscale="log", xlabel="number of discs $n$", ylabel=labels[name])
            ax.legend(loc="upper left")
        drawn.savefig(figure, dpi=200)
        plt.close(drawn)

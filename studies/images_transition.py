"""N*(P) of real images: how many parameters fit P images of CIFAR-10 in ten classes, by the 98 % rule, at two depths.

    UNIJAM_DATA=FOLDER python studies/images_transition.py [--quick] [--seeds N] [--search adam] [--output results]

Cross-entropy, 50 principal components, ReLU, free weights. N* is bisected in the width: the smallest net of which a
search reaches a training accuracy of 98 %. By Adam, as in the talk, or by Newton along softplus of rising sharpness.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import unijam as uj
from unijam.plotting import GREY, STYLE
from unijam.reports.record import check, write_record

RULE, COMPONENTS, DEPTHS = 0.98, 50, (1, 3)
ADAM_STEPS = (500, 1000, 2000, 4000, 7000, 10_000)  # looked at after so many
SHARPNESS = (1.0, 2.0, 4.0, 8.0, 32.0)
TITLES = {"adam": "Adam", "newton": "Newton along softplus"}
TALK = "the talk: the transition of CIFAR-10 is independent of depth"


def adam(network: uj.FullyConnected) -> tuple[float, uj.MinimizeResult]:
    """The accuracy that Adam reaches, looked at now and then, and where it stopped."""
    result, reached = None, 0.0
    for steps in ADAM_STEPS:
        result = uj.minimize(network, result, uj.Adam(learning_rate=0.01, max_steps=steps))
        reached = max(reached, uj.accuracy(network, result.x))
        if reached >= RULE or result.status != "step-limit":
            break
    return reached, result


def newton(network: uj.FullyConnected) -> tuple[float, uj.MinimizeResult]:
    """The accuracy of the ReLU net along softplus β = 1 … 32 and ReLU: 30 steps each, of Newton where β > 4."""
    x, reached = network.initial, 0.0
    for beta in (*SHARPNESS, None):
        soft = network if beta is None else network.at(activation="softplus", beta=beta)
        solver = uj.LevenbergMarquardt if beta and beta <= 4 else uj.TrustRegionNewton
        result = uj.minimize(soft, x, solver(max_steps=30))
        x, reached = result.x, uj.accuracy(network, result.x)
        if reached >= RULE:
            break
    return reached, result


def threshold(data: uj.DataSet, depth: int, seed: int, search: str, store: Path) -> tuple[int, int]:
    """The largest N that misses and the smallest that fits, of neighbouring widths; tries are kept in the store."""

    def n_dof(width: int) -> int:
        return (COMPONENTS + 1) * width + (width + 1) * ((depth - 1) * width + 10)

    def fits(width: int) -> bool:
        file = store / f"{search}_P{len(data.labels)}_depth{depth}_width{width}_seed{seed}.json"
        if not file.exists():
            kind = dict(depth=depth, width=width, activation="relu", weights="free", seed=seed)
            network = uj.FullyConnected.from_data(data, potential=uj.CrossEntropy(10), **kind)
            begin = time.perf_counter()
            reached, result = {"adam": adam, "newton": newton}[search](network)
            found = {"N": network.n_dof, "accuracy": reached, "steps": result.n_steps}
            found |= {"test_error": uj.test_error(network, result.x, data)}
            seconds = time.perf_counter() - begin
            write_record(file, {"search": search}, seconds, [], **found)
            print(f"{file.stem}: N = {network.n_dof}, accuracy {reached:.3f}, {seconds:.0f} s", flush=True)
        return json.loads(file.read_text())["accuracy"] >= RULE

    low, high = 1, 2
    while n_dof(high) < 0.8 * len(data.labels):
        high += 1
    while not fits(high):
        low, high = high, high + max(2, high // 4)
    while high - low > 1:
        middle = max((low + high) // 2, high - max(2, high // 8))
        low, high = (low, middle) if fits(middle) else (middle, high)
    return n_dof(low), n_dof(high)


def main() -> None:
    """Find what is missing, write the figure and the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="P = 100, 200, 400: a minute")
    parser.add_argument("--seeds", type=int, default=2, help="images and initial weights")
    parser.add_argument("--search", choices=("adam", "newton"), default="adam")
    parser.add_argument("--data", help="where CIFAR-10 lies (default: UNIJAM_DATA)")
    parser.add_argument("--output", type=Path, default=Path("results"))
    arguments = parser.parse_args()
    begin, sizes = time.perf_counter(), (100, 200, 400) if arguments.quick else (500, 1000, 2000)
    try:
        images = uj.datasets.cifar10(arguments.data)
        found: dict[tuple[int, int], list[tuple[int, int]]] = {(d, p): [] for d in DEPTHS for p in sizes}
        for n_data in sizes:
            for seed in range(arguments.seeds):
                data = images.subset(n_data, 2000, seed=seed).principal_components(COMPONENTS)
                for depth in DEPTHS:
                    bracket = threshold(data, depth, seed, arguments.search, arguments.output / "images")
                    found[depth, n_data].append(bracket)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted: the tries that were done are kept; run again to go on")
    write(found, sizes, arguments, time.perf_counter() - begin)


def write(found: dict, sizes: tuple[int, ...], arguments: argparse.Namespace, seconds: float) -> None:
    """The figure, N* against P by depth, and the JSON."""
    with plt.rc_context(STYLE):
        figure, ax = plt.subplots(figsize=(4.2, 3.4), layout="constrained")
        for depth, colour, marker in zip(DEPTHS, ("#d9610f", "#7a3b0a"), "os", strict=True):
            for n_data in sizes:
                for low, high in found[depth, n_data]:
                    ax.plot([n_data, n_data], [low, high], "-", color=colour, lw=1, alpha=0.5)
            middle = [np.median(found[depth, n_data]) for n_data in sizes]
            ax.plot(
                sizes, middle, marker, color=colour, ms=6, label=f"{depth} hidden layer{'s' * (depth > 1)}"
            )
        ax.plot(sizes, sizes, "--", color=GREY, lw=1, label="N = P")
        ax.set(xscale="log", yscale="log", xlabel="images P", ylabel=r"parameters $N^*$ (98 % fitted)")
        ticks = [n for n in (100, 200, 400, 500, 1000, 2000) if sizes[0] <= n <= sizes[-1]]
        ax.set_xticks(ticks, [str(n) for n in ticks])
        ax.set_yticks(ticks, [str(n) for n in ticks])
        ax.minorticks_off()
        ax.set_title(f"CIFAR-10, ten classes, cross-entropy; {TITLES[arguments.search]}", fontsize=9)
        ax.legend()
        figure.savefig(arguments.output / f"images_transition_{arguments.search}.png", dpi=200)
    checks = []
    for n_data in sizes:
        one, three = (np.array(found[depth, n_data]) for depth in DEPTHS)
        value, low, high = (
            three.mean() / one.mean(),
            three[:, 0].min() / one[:, 1].max(),
            three[:, 1].max() / one[:, 0].min(),
        )
        checks.append(check(f"N*(depth 3) / N*(depth 1), P = {n_data}", value, low, high, 1.0, TALK))
    brackets = [{"depth": d, "P": p, "brackets": b} for (d, p), b in found.items()]
    configuration = {
        "search": arguments.search,
        "seeds": arguments.seeds,
        "rule": RULE,
        "components": COMPONENTS,
    }
    path = arguments.output / f"images_transition_{arguments.search}.json"
    write_record(path, configuration, seconds, checks, brackets=brackets)
    for line in (*brackets, *checks):
        print(line)


if __name__ == "__main__":
    main()

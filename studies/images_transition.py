"""N*(P) of real images: how many parameters fit P images of CIFAR-10 in ten classes, by the 98 % rule, at two depths.

    UNIJAM_DATA=FOLDER python studies/images_transition.py [--quick] [--seeds N] [--search newton] [--output results]

Cross-entropy, 50 principal components, ReLU, free weights. N* is bisected in the width: the smallest net of which a
search reaches a training accuracy of 98 %. By Newton along softplus of rising sharpness, or by Adam, as in the talk.
"""

import json
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import unijam as uj
from unijam.study.record import write_record
from unijam.study.reports.images import TITLES, Bracket, ImagesReport
from unijam.study.run import quick, run_study, seeds

RULE, COMPONENTS, DEPTHS = 0.98, 50, (1, 3)
ADAM_STEPS = (500, 1000, 2000, 4000, 7000, 10_000)  # looked at after so many
SHARPNESS = (1.0, 2.0, 4.0, 8.0, 32.0)


def adam(network: uj.FullyConnected) -> tuple[float, uj.MinimizeResult]:
    """The accuracy that Adam reaches, looked at now and then, and where it stopped."""
    start, reached = None, 0.0
    for steps in ADAM_STEPS:
        start = result = uj.minimize(network, start, uj.Adam(learning_rate=0.01, max_steps=steps))
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


def threshold(data: uj.DataSet, depth: int, seed: int, search: str, store: Path) -> Bracket:
    """The largest N that misses and the smallest that fits, of neighbouring widths; tries are kept in the store."""

    def n_dof(width: int) -> int:
        return (COMPONENTS + 1) * width + (width + 1) * ((depth - 1) * width + 10)

    def fits(width: int) -> bool:
        file = store / f"{search}_P{len(data.labels)}_depth{depth}_width{width}_seed{seed}.json"
        if not file.exists():
            kind: dict[str, Any] = dict(
                depth=depth, width=width, activation="relu", weights="free", seed=seed
            )
            network = uj.FullyConnected.from_data(data, potential=uj.CrossEntropy(10), **kind)
            begin = time.perf_counter()
            reached, result = {"adam": adam, "newton": newton}[search](network)
            found = {"N": network.n_dof, "accuracy": reached, "steps": result.n_steps}
            found |= {"test_error": uj.test_error(network, result.x, data)}
            seconds = time.perf_counter() - begin
            write_record(file, {"search": search}, seconds, [], **found)
            print(f"{file.stem}: N = {network.n_dof}, accuracy {reached:.3f}, {seconds:.0f} s", flush=True)
        return bool(json.loads(file.read_text())["accuracy"] >= RULE)

    low, high = 1, 2
    while n_dof(high) < 0.8 * len(data.labels):
        high += 1
    while not fits(high):
        low, high = high, high + max(2, high // 4)
    while high - low > 1:
        middle = max((low + high) // 2, high - max(2, high // 8))
        low, high = (low, middle) if fits(middle) else (middle, high)
    return n_dof(low), n_dof(high)


def study(given: Namespace) -> tuple[ImagesReport, dict[str, Any]]:
    """Every bracket."""
    sizes = (100, 200, 400) if given.quick else (500, 1000, 2000)
    images = uj.datasets.cifar10(given.data)
    found: dict[tuple[int, int], list[Bracket]] = {(d, p): [] for d in DEPTHS for p in sizes}
    for n_data in sizes:
        for seed in range(given.seeds):
            data = images.subset(n_data, 2000, seed=seed).principal_components(COMPONENTS)
            for depth in DEPTHS:
                bracket = threshold(data, depth, seed, given.search, given.output / "images")
                found[depth, n_data].append(bracket)
    chosen = {"search": given.search, "seeds": given.seeds, "rule": RULE, "components": COMPONENTS}
    return ImagesReport(found, given.search), chosen


if __name__ == "__main__":
    run_study(
        study,
        __doc__,
        quick=quick("P = 100, 200, 400: a minute"),
        seeds=seeds("images and initial weights", default=2),
        search={
            "choices": tuple(TITLES),
            "default": "newton",
            "help": "how nets are fitted (default: newton)",
        },
        data={"help": "where CIFAR-10 lies (default: UNIJAM_DATA)"},
    )

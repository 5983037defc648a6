"""The transition of deep networks: N*(P) by depth, the landscape where Adam stops and in the minima, P±(Δ).

    python studies/transition_of_networks.py [--quick] [--seeds N] [--output results]

Four figures, and a JSON of what was measured beside the talk's numbers; docs/transition_of_networks.md explains them.
"""

from argparse import Namespace
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from unijam import FitSearch, MarginCurve, find_transition, jamming_margins
from unijam.ensemble import Recipe, run_ensemble
from unijam.measurements.jammed import measure_jammed
from unijam.measurements.landscape import measure_descent, measure_minimum
from unijam.study.reports.transition_of_networks import NetworksReport
from unijam.study.run import quick, run_study, seeds


class Configuration(BaseModel):
    """Widths (= input dimensions) by depth for N*(P); P of a network of depth 2; seeds of each."""

    widths: dict[int, tuple[int, ...]] = {1: (13,), 2: (9, 12), 3: (8,), 5: (7,)}
    brackets: tuple[float, float] = (1.2, 4.8)  # P over depth × width²
    tolerance: float = 0.02
    thresholds: int = 8
    reheats: int = 0
    width: int = 12
    n_data: tuple[int, ...] = (1600, 1300, 1000, 850, 700, 550)
    runs: int = 8
    times: tuple[int, ...] = (1000, 10_000)
    learning_rate: float = 3e-3
    jammed_width: int = 8
    load: float = 1.5
    jammed: int = 40
    margins: dict[int, tuple[float, ...]] = {  # P/N of spherical tanh networks by depth
        0: (1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5),
        1: (1.0, 1.5, 2.0, 2.5, 3.0, 3.5),
        2: (1.0, 1.5, 2.0, 2.5, 3.0),
        3: (1.0, 1.5, 2.0, 2.5),
    }
    margin_seeds: int = 3


QUICK = Configuration(
    widths={1: (7,), 2: (6,)},
    brackets=(1.0, 6.0),
    tolerance=0.1,
    thresholds=2,
    width=6,
    n_data=(500, 300, 150),
    runs=2,
    times=(300, 1000),
    jammed_width=5,
    jammed=2,
    margins={0: (1.0, 1.5, 2.0, 2.5), 1: (1.0, 2.0, 4.0)},
    margin_seeds=2,
)


def network(depth: int, width: int, **parameters: Any) -> Recipe:
    """ReLU units and free weights, unless said otherwise."""
    shape = {"depth": depth, "width": width, "input_dimension": width}
    return Recipe(
        kind="FullyConnected", parameters={"activation": "relu", "weights": "free"} | shape | parameters
    )


def margins(loads: dict[int, tuple[float, ...]], seeds: int, store: Path) -> dict[int, MarginCurve]:
    """κ_J against P of networks of N ≈ 100, by depth; at depth 0 more of them, which cost little."""
    curves = {}
    for depth, chosen in loads.items():
        width = {0: 100, 1: 9, 2: 6}.get(depth, 5)
        parameters = {"weights": "spherical", "activation": "tanh", "bias": depth > 0}
        recipe = network(depth, width, **parameters)
        n_dof = network(depth, width, **parameters, n_data=2).system(0).n_dof
        counts = [round(load * n_dof) for load in chosen]
        curves[depth] = jamming_margins(recipe, counts, seeds * (1 if depth else 4), store)
    return curves


def measured(chosen: Configuration, store: Path) -> NetworksReport:
    """Measure what is missing from the store."""
    descents = {p: (network(2, chosen.width, n_data=p), chosen.runs) for p in chosen.n_data}
    replicas = {
        p: (replace(recipe, replicas=2), (chosen.runs + 1) // 2) for p, (recipe, _) in descents.items()
    }
    spherical = {"weights": "spherical", "n_data": round(chosen.load * 2 * chosen.jammed_width**2)}
    jammed = {
        activation: (network(2, chosen.jammed_width, activation=activation, **spherical), chosen.jammed)
        for activation in ("softplus", "relu", "tanh")
    }
    descent = partial(measure_descent, times=chosen.times, learning_rate=chosen.learning_rate)
    minimum = partial(measure_minimum, reheats=0)
    by_adam = run_ensemble(replicas, descent, store=store)
    by_search = run_ensemble(descents, minimum, store=store)
    at_jamming = run_ensemble(jammed, measure_jammed, store=store)
    transitions = {
        (depth, width): find_transition(
            network(depth, width),
            *(round(side * depth * width**2) for side in chosen.brackets),
            seeds=chosen.thresholds,
            search=FitSearch(reheats=chosen.reheats),
            tolerance=chosen.tolerance,
            store=store,
            progress=True,
        )
        for depth, widths in chosen.widths.items()
        for width in widths
    }
    curves = margins(chosen.margins, chosen.margin_seeds, store)
    return NetworksReport(chosen.times, transitions, by_adam, by_search, at_jamming, curves)


def study(given: Namespace) -> tuple[NetworksReport, dict[str, Any]]:
    """All curves."""
    chosen = QUICK if given.quick else Configuration()
    if given.seeds is not None:
        chosen = chosen.model_copy(update=dict.fromkeys(("thresholds", "runs", "jammed"), given.seeds))
    return measured(chosen, given.output / "samples"), chosen.model_dump()


if __name__ == "__main__":
    options = {
        "quick": quick("small networks, a minute"),
        "seeds": seeds("of everything (default: 8, at jamming 40)"),
    }
    run_study(study, __doc__, least_seeds=2, **options)

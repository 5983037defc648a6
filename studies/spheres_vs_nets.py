"""Granular and deep-learning jamming side by side: discs, ellipses, a deep network, a perceptron, jammed alike.

    python studies/spheres_vs_nets.py [--quick] [--seeds N] [--device cpu] [--output results]

Rows of the figure: the count on the way to jamming, the spectrum there, Hp on the kernel of H0, and P±(Δ).
"""

from argparse import Namespace
from dataclasses import asdict
from typing import Any

from unijam.ensemble import Recipe, run_ensemble
from unijam.measurements.jammed import measure_jammed
from unijam.study.reports.comparison import Comparison
from unijam.study.run import quick, run_study, seeds

ORDER = ("spheres", "ellipses", "network", "perceptron")


def configuration(small: bool, n_seeds: int | None, device: str) -> dict[str, tuple[Recipe, int]]:
    """A recipe and a number of seeds for each system, the slowest system first."""
    width, n_data, n_discs, n_ellipses, n_weights = (6, 170, 64, 32, 60) if small else (9, 420, 256, 192, 200)
    discs = dict(n=n_discs, radii="uniform", packing_fraction=1.0)
    ellipses = dict(n=n_ellipses, aspect_ratio=1.4, packing_fraction=1.05)
    perceptron = dict(n=n_weights, load=5.0, margin=0.5, device=device)
    network = dict(
        depth=3, width=width, input_dimension=width, n_data=n_data, activation="tanh", device=device
    )
    many = (3, 6, 6, 6) if small else (8, 24, 24, 48)
    recipes = {
        "network": Recipe(kind="FullyConnected", parameters=network),
        "perceptron": Recipe(kind="Perceptron", parameters=perceptron),
        "ellipses": Recipe(kind="Ellipses", parameters=ellipses),
        "spheres": Recipe(kind="SoftSpheres", parameters=discs),
    }
    return {name: (recipe, n_seeds or n) for (name, recipe), n in zip(recipes.items(), many, strict=True)}


def study(given: Namespace) -> tuple[Comparison, dict[str, Any]]:
    """The four systems, jammed."""
    recipes = configuration(given.quick, given.seeds, given.device)
    samples = run_ensemble(recipes, measure_jammed, store=given.output / "samples")
    chosen = {name: asdict(recipe) | {"seeds": n} for name, (recipe, n) in recipes.items()}
    return Comparison({name: samples[name] for name in ORDER}), chosen


if __name__ == "__main__":
    run_study(
        study,
        __doc__,
        quick=quick("small systems, half a minute"),
        seeds=seeds("of every system (default: what two minutes allow)"),
        device={"default": "cpu", "help": "where the networks live: cpu or cuda"},
    )

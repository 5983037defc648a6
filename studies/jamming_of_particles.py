"""The curves of jamming that a granular physicist knows: scaling laws, counts, thresholds, ellipses, spectra.

    python studies/jamming_of_particles.py [--quick] [--output results]

Three figures, and a JSON of what was measured against published numbers; docs/jamming_of_particles.md explains them.
"""

from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from unijam.ensemble import Recipe, run_ensemble
from unijam.measurements.kernel_energies import measure_kernel_energies
from unijam.measurements.pressures import measure_branch
from unijam.study.reports.jamming_of_particles import ParticlesReport
from unijam.study.run import quick, run_study

Packings = dict[str, dict[int, int]]  # how many of each kind and size
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "discs": ("SoftSpheres", {"dimension": 2, "radii": "bidisperse", "packing_fraction": 0.86}),
    "spheres": ("SoftSpheres", {"dimension": 3, "radii": "monodisperse", "packing_fraction": 0.66}),
    "4D spheres": ("SoftSpheres", {"dimension": 4, "packing_fraction": 0.52}),
    "ellipses": ("Ellipses", {"aspect_ratio": 1.4, "packing_fraction": 0.97}),
}
SPECTRA = 256  # particles up to which ellipses of all shapes have theirs
ROUND = (1.003, 1.01, 1.03, 1.1)  # aspect ratios near one, and all
SHAPES = (
    *(1.003, 1.006, 1.01, 1.02, 1.03, 1.06, 1.1, 1.2, 1.3, 1.35, 1.4, 1.45, 1.5, 1.55, 1.6, 1.7, 1.8, 2.0),
    *(2.5, 3.0, 4.0, 5.0),
)


class Configuration(BaseModel):
    """How many packings for each curve; of ellipses of each size, how many of which aspect ratios."""

    scaling: Packings = {"discs": {16384: 8}, "spheres": {1024: 24}}
    counting: Packings = {
        "discs": {32: 60, 64: 40, 128: 40, 256: 32},
        "spheres": {64: 40, 128: 16},
        "4D spheres": {100: 10},
    }
    thresholds: Packings = {
        "discs": {32: 120, 64: 80, 128: 60, 256: 40, 1024: 24, 4096: 12},
        "spheres": {64: 60, 128: 40, 256: 24, 512: 12},
    }
    spectra: Packings = {"discs": {256: 12}, "ellipses": {96: 12}}
    pushed: Packings = {"ellipses": {48: 10}}
    shapes: dict[int, tuple[int, tuple[float, ...]]] = {
        96: (8, SHAPES),
        256: (6, ROUND),
        1024: (6, ROUND),
    }


QUICK = Configuration(
    scaling={"discs": {256: 4}, "spheres": {256: 2}},
    counting={"discs": {32: 12, 64: 6}, "spheres": {64: 4}, "4D spheres": {100: 1}},
    thresholds={"discs": {32: 12, 64: 8}, "spheres": {96: 4}},
    spectra={"discs": {64: 6}, "ellipses": {24: 6}},
    pushed={"ellipses": {24: 3}},
    shapes={32: (4, (1.01, 1.03, 1.1, 1.2, 1.4, 1.8, 3.0))},
)


def decades(highest: float, lowest: float, per_decade: float = 2) -> tuple[float, ...]:
    """Numbers from 10^highest down to 10^lowest."""
    return tuple(map(float, 10 ** np.arange(highest, lowest - 1e-9, -1 / per_decade)))


def measured(chosen: Configuration, store: Path) -> ParticlesReport:
    """Measure what is missing from the store. Pressures are in contact stiffnesses and mean diameters."""

    def samples(
        packings: Packings, measurement: Callable[..., Any], **parameters: Any
    ) -> dict[str, dict[int, Any]]:
        recipes = {
            (name, n): (Recipe(kind=KINDS[name][0], parameters=KINDS[name][1] | {"n": n} | parameters), count)
            for name, by_size in packings.items()
            for n, count in by_size.items()
        }
        found = run_ensemble(recipes, measurement, store=store)
        return {name: {n: found[name, n] for n in by_size} for name, by_size in packings.items()}

    def one_size(found: dict[str, dict[int, Any]]) -> dict[str, Any]:
        return {name: next(iter(by_size.values())) for name, by_size in found.items()}

    def of_shape(n: int, count: int, alphas: tuple[float, ...]) -> dict[float, Any]:
        ellipses = {alpha: KINDS["ellipses"][1] | {"n": n, "aspect_ratio": alpha} for alpha in alphas}
        recipes = {a: (Recipe(kind="Ellipses", parameters=some), count) for a, some in ellipses.items()}
        spectra = n <= SPECTRA  # dense
        return run_ensemble(recipes, partial(measure_branch, pressures=(1e-6,), spectra=spectra), store=store)

    curves = partial(measure_branch, pressures=decades(-2.5, -6.5), moduli=True)
    counts = partial(measure_branch, pressures=decades(-2.5, -8))
    modes = partial(measure_branch, pressures=decades(-1.5, -6), spectra=True)
    pushed = partial(
        measure_kernel_energies, pressures=decades(-4, -8, 0.5), displacements=decades(-1, -3.5, 4)
    )
    scaling = samples(chosen.scaling, curves)
    thresholds = samples(chosen.thresholds, measure_branch)
    return ParticlesReport(
        scaling=one_size(scaling),
        counting=samples(chosen.counting, counts, radii="uniform"),
        thresholds={name: by_size | scaling[name] for name, by_size in thresholds.items()},
        shapes={n: of_shape(n, *chosen.shapes[n]) for n in chosen.shapes},
        spectra=one_size(samples(chosen.spectra, modes, packing_fraction=1.0)),
        energies=one_size(samples(chosen.pushed, pushed))["ellipses"],
    )


def study(given: Namespace) -> tuple[ParticlesReport, dict[str, Any]]:
    """All curves."""
    chosen = QUICK if given.quick else Configuration()
    return measured(chosen, given.output / "samples"), chosen.model_dump()


if __name__ == "__main__":
    run_study(study, __doc__, quick=quick("small packings, a minute"))

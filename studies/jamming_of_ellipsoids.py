"""Density and contacts of jammed ellipsoids against their shape, beside Donev et al. (2004).

    python studies/jamming_of_ellipsoids.py [--quick] [--output results]

One figure, and a JSON of what was measured against published numbers; docs/jamming_of_particles.md explains them.
"""

from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from unijam.ensemble import Recipe, run_ensemble
from unijam.measurements.pressures import measure_branch
from unijam.study.reports.jamming_of_ellipsoids import EllipsoidsReport
from unijam.study.run import quick, run_study


class Configuration(BaseModel):
    """How many packings of how many bodies, and which shapes: axes 1 : 1 : α, and 1 : √α : α."""

    n: int = 128
    packings: int = 6
    spheroids: tuple[float, ...] = (
        *(0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8, 0.9, 0.95, 0.98),
        *(1.02, 1.05, 1.1, 1.2, 1.35, 1.5, 1.6, 1.75, 2.0, 2.5, 3.0),
    )
    triaxial: tuple[float, ...] = (1.05, 1.1, 1.2, 1.35, 1.5, 1.6, 1.75, 2.0, 2.5, 3.0)


QUICK = Configuration(n=48, packings=2, spheroids=(0.6, 0.8, 1.2, 1.5), triaxial=(1.2, 1.5))


def measured(chosen: Configuration, store: Path) -> EllipsoidsReport:
    """Measure what is missing from the store, at a pressure of 1e-8 stiffnesses over a mean diameter.

    At 1e-6 one of 126 packings of 128 spheroids (α = 3) still had a contact too many (docs/decisions/066).
    """

    def of_shapes(shapes: dict[float, tuple[float, float, float]]) -> dict[float, Any]:
        recipes = {
            alpha: (
                Recipe(kind="Ellipsoids", parameters={"n": chosen.n, "aspect_ratios": axes}),
                chosen.packings,
            )
            for alpha, axes in shapes.items()
        }
        return run_ensemble(recipes, partial(measure_branch, pressures=(1e-8,), spectra=True), store=store)

    return EllipsoidsReport(
        spheroids=of_shapes({alpha: (1.0, 1.0, alpha) for alpha in chosen.spheroids}),
        triaxial=of_shapes({alpha: (1.0, alpha**0.5, alpha) for alpha in chosen.triaxial}),
    )


def study(given: Namespace) -> tuple[EllipsoidsReport, dict[str, Any]]:
    """All shapes."""
    chosen = QUICK if given.quick else Configuration()
    return measured(chosen, given.output / "samples"), chosen.model_dump()


if __name__ == "__main__":
    run_study(study, __doc__, quick=quick("few small packings, half a minute"))

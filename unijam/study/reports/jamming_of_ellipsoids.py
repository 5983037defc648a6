"""The report of the study `jamming_of_ellipsoids`: checks, table, figure and JSON."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ...measurements.laws_of_packings import shape_curves
from ...measurements.pressures import BranchSample
from ...statistics import estimate
from ...support.printing import Brief
from ..record import check, print_checks, write_study

DONEV = "Donev et al., Science 303, 990 (2004): hard bodies, slowly compressed"
FINITE = "quenched from random places; slow compression packs more densely"
Shapes = Mapping[float, Sequence[BranchSample]]


@dataclass(frozen=True, eq=False, repr=False)
class EllipsoidsReport(Brief):
    """The report: samples of packings by α, each with spectra at one low pressure.

    Attributes
    ----------
    spheroids, triaxial : mapping of α -> samples
        Equal bodies of axes 1 : 1 : α, and 1 : √α : α.
    """

    spheroids: Shapes
    triaxial: Shapes

    @cached_property
    def checks(self) -> list[dict[str, Any]]:
        """Checks of measured values against published and exact ones; see `record.check`."""
        oblate = {alpha: samples for alpha, samples in self.spheroids.items() if alpha < 1}
        prolate = {alpha: samples for alpha, samples in self.spheroids.items() if alpha > 1}
        return [
            *self._densest("oblate spheroids", oblate, 0.71),
            *self._densest("prolate spheroids", prolate, 0.71),
            *self._densest("triaxial ellipsoids", self.triaxial, 0.735),
            *self._contacts("spheroids", self.spheroids, 10.0, 5),
            *self._contacts("triaxial ellipsoids", self.triaxial, 11.4, 6),
        ]

    def _densest(self, name: str, shapes: Shapes, published: float) -> Iterator[dict[str, Any]]:
        alpha, (threshold, _), _ = shape_curves(shapes)
        densest = float(alpha[threshold.argmax()])
        found = estimate(np.mean, [s.threshold for s in shapes[densest]])
        values = (found.value, found.low, found.high)
        about = f"densest at α = {densest:g}; {FINITE}"
        yield check(f"{name}: largest φ_J", *values, published, DONEV, explanation=about, tolerance=0.01)

    def _contacts(self, name: str, shapes: Shapes, published: float, free: int) -> Iterator[dict[str, Any]]:
        alpha, _, (contacts, _) = shape_curves(shapes)
        most = float(alpha[contacts.argmax()])
        found = estimate(np.mean, [s.coordination[-1] for s in shapes[most]])
        values = (found.value, found.low, found.high)
        about = f"at α = {most:g}"
        yield check(f"{name}: largest z", *values, published, DONEV, explanation=about, tolerance=0.3)
        samples = [s for some in shapes.values() for s in some]
        exact = [self._exact(s, free) for s in samples]
        verdict, share = "agrees" if all(exact) else "disagrees", float(np.mean(exact))
        about = f"N_eff = {free}n' − 3, dim ker H0 = N_eff − N_Δ + 1, one self stress, Hp > 0 on the kernel"
        yield check(f"{name}: packings counted exactly", share, share, share, 1.0, "exact", verdict, about)

    @staticmethod
    def _exact(s: BranchSample, free: int) -> bool:
        kernel = s.kernel_prestress[-1][np.isfinite(s.kernel_prestress[-1])]
        left = s.n_effective[-1] - s.n_overlaps[-1] + 1
        counted = s.n_effective[-1] == free * s.n_bearing[-1] - 3 and len(kernel) == left
        return bool(counted and s.self_stresses[-1] == 1 and (kernel > 0).all())

    @property
    def curves(self) -> dict[str, Any]:
        """φ_J and z of each shape with their standard errors, as entries for JSON."""
        found = {}
        for name, shapes in (("spheroids", self.spheroids), ("triaxial", self.triaxial)):
            alpha, threshold, contacts = shape_curves(shapes)
            found[name] = {"alpha": alpha.tolist(), "phi_J": threshold.tolist(), "z": contacts.tolist()}
        return found

    def print_table(self) -> None:
        """Print the checks in the terminal."""
        print_checks(self.checks)

    def write(self, output: Path, configuration: Mapping[str, Any], seconds: float) -> list[Path]:
        """Write the figure and the JSON into a folder, and return the path of the figure."""
        from .packing_figures import ellipsoids_figure

        figures = {"": ellipsoids_figure(self.spheroids, self.triaxial)}
        of = (configuration, seconds, self.checks)
        return write_study(output, "jamming_of_ellipsoids", figures, *of, curves=self.curves)

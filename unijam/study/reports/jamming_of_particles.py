"""The report of the study `jamming_of_particles`: checks, table, figures and JSON."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ...measurements import laws_of_packings as of
from ...measurements.kernel_energies import KernelEnergySample
from ...measurements.pressures import BranchSample
from ...statistics import Estimate, estimate
from ...support.printing import Brief
from ..record import check, number, print_checks, write_study

BySize = Mapping[int, Sequence[BranchSample]]


@dataclass(frozen=True, eq=False, repr=False)
class ParticlesReport(Brief):
    """The report: samples of packings for each curve.

    Attributes
    ----------
    scaling : mapping of "discs", "spheres" -> samples
        Large packings with moduli.
    counting : mapping of "discs", "spheres", "4D spheres" -> size -> samples
        Polydisperse packings, down to p n² < 1e-3.
    thresholds : mapping of "discs", "spheres" -> size -> samples
        Bidisperse discs, equal spheres.
    shapes : mapping of size -> aspect ratio -> samples
        Ellipses at one low pressure, the smaller ones with spectra; the first size has all aspect ratios.
    spectra : mapping of "discs", "ellipses" -> samples
        Samples with spectra, at the same pressures.
    energies : samples
        Energies along kernel modes of ellipses.
    """

    scaling: Mapping[str, Sequence[BranchSample]]
    counting: Mapping[str, BySize]
    thresholds: Mapping[str, BySize]
    shapes: Mapping[int, Mapping[float, Sequence[BranchSample]]]
    spectra: Mapping[str, Sequence[BranchSample]]
    energies: Sequence[KernelEnergySample]

    @cached_property
    def checks(self) -> list[dict[str, Any]]:
        """Checks of measured values against published ones; see `record.check`."""
        return [*self._laws(), *self._counts(), *self._thresholds(), *self._shapes(), *self._spectra()]

    def _laws(self) -> Iterator[dict[str, Any]]:
        known = {
            "U/n": (2.0, 0.02),
            "p": (1.0, 0.02),
            "K": (0.0, 0.02),
            "z − z_iso": (0.5, 0.03),
            "G": (0.5, 0.07),
            "G/K": (0.5, 0.07),
            "G/K against z − z_iso": (1.0, 0.07),
        }
        for name, samples in self.scaling.items():
            for symbol, law in of.laws(samples).items():
                corrected = symbol in ("U/n", "p", "K")  # whose deviation falls with Δφ, as K/K(φ_J) does
                otherwise = "finite-size" if corrected else "disagrees"
                yield _against(f"{name}: exponent of {symbol}", law, *known[symbol], of.OHERN, otherwise)
            found = of.corrected_contacts(samples)
            yield _against(
                f"{name}: exponent of z − z_iso, with Δφ^½ as correction", found, 0.5, 0.03, of.OHERN
            )
            prefactor = of.CONTACTS[name]
            amplitude = of.contacts_amplitude(samples)
            yield _against(f"{name}: (z − z_iso)/Δφ^½", amplitude, prefactor, 0.15 * prefactor, of.OHERN)

    def _counts(self) -> Iterator[dict[str, Any]]:
        for name, by_size in self.counting.items():
            for n, samples in by_size.items():
                label, source = f"{name}, n = {n}", of.GOODRICH
                isostatic = of.isostatic_fraction(samples)
                verdict = "agrees" if isostatic.value >= 0.95 else "disagrees"
                yield check(f"{label}: isostatic packings", *_values(isostatic), 1.0, source, verdict)
                extra = estimate(
                    np.mean,
                    [s.n_overlaps[-1] - s.n_effective[-1] for s in samples],
                )
                yield _against(f"{label}: n(z − z_iso)/2 as p n² → 0", extra, 1.0, 0.03, source)

    def _thresholds(self) -> Iterator[dict[str, Any]]:
        for name, by_size in self.thresholds.items():
            limit, shift = of.limit_threshold(by_size)
            yield _against(f"{name}: φ_J, n → ∞", limit, of.THRESHOLDS[name], 0.005, of.OHERN)
            yield _against(
                f"{name}: a of φ_J(n) = φ_J − a n^(−1/νd)", shift, 0.12, 0.03, of.OHERN, "finite-size"
            )

    def _shapes(self) -> Iterator[dict[str, Any]]:
        for n, shapes in self.shapes.items():
            law, _ = of.contacts_of_shape(shapes)
            name = f"ellipses, n = {n}: exponent of z − 4 against α − 1"
            yield _against(name, law, 0.5, 0.05, of.DONEV, "finite-size")
        at, top = of.densest_shape(next(iter(self.shapes.values())))
        yield _against("ellipses: α of the largest φ_J", at, 1.45, 0.15, of.DONEV)
        yield _against("ellipses: largest φ_J", top, 0.895, 0.005, of.DONEV)
        samples = [s for shapes in self.shapes.values() for some in shapes.values() for s in some]
        ratio = np.array([s.n_overlaps[-1] / s.n_effective[-1] for s in samples])
        below = "agrees" if ratio.max() < 1 else "disagrees"
        yield check(
            "ellipses: largest N_Δ/N_eff", ratio.max(), ratio.min(), ratio.max(), None, of.MAILMAN, below
        )
        stresses = np.array([s.self_stresses[-1] for s in samples])
        stresses = stresses[np.isfinite(stresses)]  # spectra of the largest were not asked for
        yield check(
            "ellipses: states of self stress",
            stresses.mean(),
            stresses.min(),
            stresses.max(),
            1.0,
            of.DONEV,
            "agrees" if (stresses == 1).all() else "disagrees",
        )

    def _spectra(self) -> Iterator[dict[str, Any]]:
        discs, ellipses = self.spectra["discs"], self.spectra["ellipses"]
        yield _against("discs: exponent of ω* against z − z_iso", of.onset_law(discs), 1.0, 0.1, of.WYART)
        yield _against(
            "ellipses: exponent of Hp on ker H0 against p", of.band_law(ellipses), 1.0, 0.05, of.SCHRECK
        )
        band = of.band_law(ellipses, "eigenvalues")
        yield _against("ellipses: exponent of ω² of the soft band against p", band, 1.0, 0.05, of.SCHRECK)
        lowest = np.nanmin(of.table(ellipses, "kernel_prestress"))
        yield check(
            "ellipses: lowest Hp on ker H0",
            lowest,
            lowest,
            np.nanmax(of.table(ellipses, "kernel_prestress")),
            None,
            of.SCHRECK,
            "agrees" if lowest > 0 else "disagrees",
        )
        yield _against(
            "ellipses: exponent of U along ker H0", of.energy_law(self.energies), 4.0, 0.1, of.SCHRECK
        )

    @property
    def by_decade(self) -> list[dict[str, Any]]:
        """Exponents for each decade of pressure towards jamming, as entries for JSON."""
        return [
            {"kind": name, "n": samples[0].n, "from": above, "to": below}
            | {symbol: [*map(number, _values(law))] for symbol, law in found.items()}
            for name, samples in self.scaling.items()
            for above, below, found in of.by_decade(samples)
        ]

    def print_table(self) -> None:
        """Print the checks in the terminal."""
        print_checks(self.checks)

    def write(self, output: Path, configuration: Mapping[str, Any], seconds: float) -> list[Path]:
        """Write figures and JSON into a folder, and return the paths of the figures."""
        from .packing_figures import ellipses_figure, scaling_figure, spectra_figure

        figures = {
            "scaling": scaling_figure(self.scaling, self.counting, self.thresholds),
            "ellipses": ellipses_figure(self.shapes, self.energies),
            "spectra": spectra_figure(self.spectra),
        }
        of = (configuration, seconds, self.checks)
        return write_study(output, "jamming_of_particles", figures, *of, by_decade=self.by_decade)


def _against(
    name: str, found: Estimate, reference: float, tolerance: float, source: str, otherwise: str = "disagrees"
) -> dict[str, Any]:
    """A check that agrees where the interval meets reference ± tolerance; "finite-size" where there is no value."""
    if np.isnan(found.value):
        return check(name, *_values(found), reference, source, "finite-size", "no pressure is in the window")
    return check(name, *_values(found), reference, source, tolerance=tolerance, otherwise=otherwise)


def _values(found: Estimate) -> tuple[float, float, float]:
    return found.value, found.low, found.high

"""The report of a comparison of jammed systems: table, caption and JSON, all from measured values."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ...core.tolerances import QUOTED
from ...measurements.jammed import JammedSample, SeparateLaws, common_kind, separate_laws
from ...spectra.density import missing_modes
from ...statistics import DeltaStatistics, Exponent, Kind, delta_statistics
from ...support.printing import Brief
from ...support.validation import require
from ...theory.exponents import JAMMING_EXPONENTS
from ..record import check, number, write_study

ISOSTATIC_SOURCE = {
    "spheres": "Goodrich, Liu, Nagel, PRL 109, 095704 (2012)",
    "perceptron": "Franz, Parisi, J. Phys. A 49, 145001 (2016)",
}
EXPONENT_SOURCE = (
    "Charbonneau et al., Nat. Commun. 5, 3725 (2014); with localised forces PRL 114, 125504 (2015)"
)
TALK = {"θ": 0.3, "γ": 0.2}  # networks near N*: the smallest exponents that compete with a regular law
NEAR = 0.15  # an exponent that misses its reference by less may differ by finite size; by more, it disagrees
FLAT = 2.5  # modes missing below the softest one up to which a spectrum counts as flat (1 to 2 expected)
ROUNDED = 1e-9  # share of the largest |eigenvalue| on the kernel below which an eigenvalue counts as zero
GAPPED = 5.0  # factor in ω between soft and stiff band above which a spectrum counts as gapped
NAMES = {"spheres": "discs", "ellipses": "ellipses", "network": "network", "perceptron": "perceptron"}


@dataclass(frozen=True, eq=False, repr=False)
class Summary(Brief):
    """One system of a comparison, over the seeds that reached their jamming point.

    Attributes
    ----------
    samples : sequence of JammedSample
        The samples that are quoted: `jam` converged, and the relative gradient is at most 1e-6.
    left_out : int
        The number of other samples.
    """

    samples: Sequence[JammedSample]
    left_out: int = 0

    @classmethod
    def of(cls, name: str, samples: Sequence[JammedSample]) -> "Summary":
        """The summary of the samples that jammed; a `ValueError`, which names the system, where none did."""
        jammed = [s for s in samples if s.status == "converged" and s.relative_gradient <= QUOTED]
        require(
            len(jammed) > 0,
            "samples",
            f"{len(samples)} of {name}, none of them jammed",
            "jammed at least once",
        )
        return cls(jammed, len(samples) - len(jammed))

    @cached_property
    def law(self) -> DeltaStatistics:
        """θ and γ, from Δ of all seeds."""
        return delta_statistics([s.delta for s in self.samples])

    @cached_property
    def separate(self) -> SeparateLaws | None:
        """The laws of extended and of localised contacts, of discs and spheres; None where these are not told apart."""
        return separate_laws(self.samples)

    @property
    def thetas(self) -> dict[str, tuple[Exponent, float]]:
        """θ by its symbol, and mean field's value: θ_e and θ_l where contacts are told apart, else θ beside θ_e."""
        known, apart = JAMMING_EXPONENTS, self.separate
        if apart is None:
            return {"θ": (self.law.theta, known.theta_extended)}
        return {
            "θ_e": (apart.extended.theta, known.theta_extended),
            "θ_l": (apart.localised.theta, known.theta_localised),
        }

    @property
    def kind(self) -> Kind | None:
        """The kind of at least 95 % of the seeds, "isostatic", "hypostatic" or "hyperstatic"; else None."""
        return common_kind(self.samples)

    @property
    def isostatic(self) -> bool:
        """Whether at least 95 % of the seeds are isostatic, N_Δ + N_kink = N_eff + 1."""
        return self.kind == "isostatic"

    @property
    def missing(self) -> tuple[float, float]:
        """The number of modes missing below the softest mode of H0 (`missing_modes`): mean and standard error."""
        values = np.array([missing_modes(s.eigenvalues_h0) for s in self.samples])
        return float(values.mean()), float(values.std() / np.sqrt(len(values)))

    @property
    def gap(self) -> float | None:
        """Factor in ω between the band that Hp lifts off the kernel of H0 and the stiff band of H.

        It is the geometric mean over seeds; None where the kernels are empty.
        """
        factors = []
        for s in self.samples:
            k, values = s.kernel_prestress.size, np.sort(s.eigenvalues)
            if 0 < k < values.size and values[k - 1] > 0:
                factors.append(np.sqrt(values[k] / values[k - 1]))
        return float(np.exp(np.mean(np.log(factors)))) if factors else None

    @property
    def spectrum(self) -> str:
        """One of "gapped", "flat" and "neither", from `gap` and `missing`."""
        if self.gap is not None:
            return "gapped" if self.gap > GAPPED else "neither"
        return "flat" if self.missing[0] < FLAT else "neither"

    def mean(self, field: str) -> float:
        """The mean over the seeds of a field of `JammedSample` that is a number."""
        return float(np.mean([getattr(s, field) for s in self.samples]))

    def kernel(self, field: str = "kernel_prestress") -> tuple[float, float] | None:
        """Lowest and highest eigenvalue, over all seeds, of Hp on the kernel of H0 over the typical overlap.

        None where the kernels are empty.
        """
        values = np.concatenate([getattr(s, field) for s in self.samples])
        return (float(values.min()), float(values.max())) if values.size else None


class Comparison:
    """The report: jammed samples of several systems, by name, side by side."""

    def __init__(self, samples: Mapping[str, Sequence[JammedSample]]) -> None:
        self.systems = {name: Summary.of(name, some) for name, some in samples.items()}

    def print_table(self) -> None:
        """Print the table in the terminal."""
        from rich.console import Console
        from rich.table import Table

        table = Table(title="At jamming: means over seeds")
        table.add_column("")
        for name in self.systems:
            table.add_column(name, justify="right")
        for label, cell in ROWS.items():
            table.add_row(label, *(cell(s) for s in self.systems.values()))
        Console().print(table)

    @property
    def caption(self) -> str:
        """The caption of the figure: what the systems share, where they differ, and how this compares with the talk."""
        systems = self.systems.items()
        isostatic = [NAMES[n] for n, s in systems if s.isostatic]
        hypostatic, others = (
            [f"{NAMES[n]} (N_Δ/N_eff = {s.mean('ratio'):.2f})" for n, s in systems if s.kind in kinds]
            for kinds in (("hypostatic",), ("hyperstatic", None))
        )
        flat = [NAMES[n] for n, s in systems if s.spectrum == "flat"]
        gapped = [f"{NAMES[n]} (by a factor {s.gap:.0f} in ω)" for n, s in systems if s.spectrum == "gapped"]
        signs = "; ".join(f"{NAMES[n]}: {_sign(s)}" for n, s in systems)
        known = JAMMING_EXPONENTS
        return (
            "(a) All four by the same call. Isostatic, N_Δ = N_eff + 1 with one state of self stress: "
            f"{', '.join(isostatic) or 'none'}. Hypostatic: {', '.join(hypostatic) or 'none'}."
            f"{' Neither: ' + ', '.join(others) + '.' if others else ''}\n"
            "(b) Flat down to the softest mode, with one or two modes missing below it: "
            f"{', '.join(flat) or 'none'}. Gapped, the kernel of H0 lifted by Hp into a soft band ∝ √Δ: "
            f"{', '.join(gapped) or 'none'}.\n"
            f"(c) Hp on the kernel of H0 decides. {signs}. Where it is negative every kernel mode would be "
            "unstable, so a stable state has none; where it is positive fewer overlaps than degrees of freedom "
            "are enough.\n"
            f"(d) Power laws: {_with_verdict(self.systems, 'power law')}. Regular, of finite density at zero: "
            f"{_with_verdict(self.systems, 'regular')}. Undecided: {_with_verdict(self.systems, 'undecided')}. "
            f"Yellow: mean field of isostatic jamming, θ = θ_e = {known.theta_extended:.2f} (contacts of bucklers, "
            f"discs of three contacts, θ_l = {known.theta_localised:.2f}), γ = {known.gamma:.2f}; the interval "
            f"excludes it for {self._against_mean_field()}.\n"
            "The talk's nets (ReLU, free weights, Adam's stopping point, not minima) jumped to N_Δ/N ≈ 0.75 with "
            "θ = 0.3 and γ = 0.2; here are smooth units, spherical weights and true minima at the jamming margin"
            f"{self._against_the_talk()}.{self._copies()}{self._left_out()}"
        )

    def _against_mean_field(self) -> str:
        """The exponents of isostatic systems whose interval excludes mean field's value."""
        gamma = JAMMING_EXPONENTS.gamma
        excluded = [
            f"{symbol} of {NAMES[name]}"
            for name, s in self.systems.items()
            for symbol, (exponent, value) in (s.thetas | {"γ": (s.law.gamma, gamma)}).items()
            if s.isostatic and not _contains(exponent, value)
        ]
        return ", ".join(excluded) or "none"

    def _copies(self) -> str:
        """A sentence about the number of kernel modes of the network that are held only weakly."""
        if "network" not in self.systems:
            return ""
        weak = np.mean([(s.kernel_prestress < 1e-2).sum() for s in self.systems["network"].samples])
        return f" Of the network's kernel modes {weak:.0f}, merged hidden units, have less than 1 % of the overlap."

    def _left_out(self) -> str:
        """A sentence about the seeds that are not in the figure."""
        left = [f"{s.left_out} of {NAMES[name]}" for name, s in self.systems.items() if s.left_out]
        return f" Seeds that did not reach jamming are left out: {', '.join(left)}." if left else ""

    def _against_the_talk(self) -> str:
        """Words that say whether the intervals of the network contain the exponents of the talk."""
        if "network" not in self.systems:
            return ""
        law, words = self.systems["network"].law, []
        for name, exponent in (("θ", law.theta), ("γ", law.gamma)):
            if exponent.value is not None:
                inside = "contains" if _contains(exponent, TALK[name]) else "excludes"
                words.append(f"the interval of {name} {inside} {TALK[name]}")
        return f": {', '.join(words)}" if words else ""

    def write(self, output: Path, configuration: Mapping[str, Any], seconds: float) -> list[Path]:
        """Write figure and JSON into a folder, and return the path of the figure; `seconds` as in `write_record`."""
        from ...figures.comparison import comparison_figure

        samples = {name: s.samples for name, s in self.systems.items()}
        laws = {name: s.law for name, s in self.systems.items()}
        separate = {name: s.separate for name, s in self.systems.items() if s.separate is not None}
        figure = comparison_figure(samples, laws, self.caption, separate)
        entries = {name: self._entry(s) for name, s in self.systems.items()}
        of = (configuration, seconds, self.checks())
        return write_study(output, "spheres_vs_nets", {"": figure}, *of, systems=entries)

    def checks(self) -> list[dict[str, Any]]:
        """Checks of measured values against reference numbers, by name; see `record.check`."""
        known, checks = JAMMING_EXPONENTS, []
        for name in self.systems.keys() & {"spheres", "perceptron"}:
            s = self.systems[name]
            surplus = np.array([k.n_overlaps - k.n_effective for k in s.samples])
            checks.append(
                check(
                    f"{name}: N_Δ − N_eff",
                    surplus.mean(),
                    surplus.min(),
                    surplus.max(),
                    1.0,
                    ISOSTATIC_SOURCE[name],
                )
            )
            for symbol, (exponent, value) in s.thetas.items():
                checks.append(_exponent_check(f"{name}: {symbol}", exponent, value, EXPONENT_SOURCE))
            checks.append(_exponent_check(f"{name}: γ", s.law.gamma, known.gamma, EXPONENT_SOURCE))
        for name in self.systems.keys() & {"ellipses", "network"}:
            s = self.systems[name]
            ratios = np.array([k.ratio for k in s.samples])
            below = "agrees" if ratios.max() < 1 else "disagrees"
            source = "the talk: hypostatic, N_Δ/N < 1"
            checks.append(
                check(f"{name}: N_Δ/N_eff", ratios.mean(), ratios.min(), ratios.max(), None, source, below)
            )
            kernel = s.kernel()
            if kernel:
                held = "agrees" if kernel[0] > 0 else "disagrees"
                source = "the talk: Hp holds the kernel of H0 (> 0)"
                checks.append(check(f"{name}: lowest Hp on ker H0", kernel[0], *kernel, None, source, held))
        return sorted(checks, key=lambda entry: str(entry["name"]))

    @staticmethod
    def _entry(s: Summary) -> dict[str, Any]:
        kernel, cut = s.kernel(), s.kernel("kernel_prestress_cut")
        return {
            **{field: number(s.mean(field)) for field in COUNTS},
            "status": "converged",
            "seeds_left_out": s.left_out,
            "relative_gradient": max(k.relative_gradient for k in s.samples),
            "spectrum": s.spectrum,
            "missing_soft_modes": s.missing,
            "soft_to_stiff_band": s.gap,
            "kernel_prestress_unit": "typical overlap √(2U/N_Δ)",
            "kernel_prestress": {"low": kernel[0], "high": kernel[1]} if kernel else None,
            "kernel_prestress_cut": {"low": cut[0], "high": cut[1]} if cut else None,
            "theta": _exponent_entry(s.law.theta),
            "theta_extended": _exponent_entry(s.separate.extended.theta) if s.separate else None,
            "theta_localised": _exponent_entry(s.separate.localised.theta) if s.separate else None,
            "gamma": _exponent_entry(s.law.gamma),
            "seeds": [{field: number(getattr(k, field)) for field in COUNTS + SCALARS} for k in s.samples],
        }


# Fields of `JammedSample` in the JSON: of the first their means too, of the others only the value of each seed.
COUNTS = (
    "n_dof",
    "n_effective",
    "n_overlaps",
    "ratio",
    "reduced_ratio",
    "self_stresses",
    "negative_modes_hp",
)
SCALARS = (
    "energy",
    "relative_gradient",
    "typical_overlap",
    "threshold",
    "negative_modes",
    "seconds",
    "status",
)

# The table of the study, a line a row.
ROWS: dict[str, Callable[[Summary], str]] = {
    "jammed / seeds": lambda s: f"{len(s.samples)} / {len(s.samples) + s.left_out}",
    "degrees of freedom": lambda s: f"{s.mean('n_dof'):.0f}",
    "N_eff": lambda s: f"{s.mean('n_effective'):.1f}",
    "N_Δ": lambda s: f"{s.mean('n_overlaps'):.1f}",
    "N_Δ / N_eff": lambda s: f"{s.mean('ratio'):.3f}",
    "  on the reduced net": lambda s: f"{s.mean('reduced_ratio'):.3f}" if s.mean("reduced_ratio") > 0 else "",
    "N_Δ = N_eff + 1": lambda s: "yes" if s.isostatic else "no",
    "kind": lambda s: s.kind or "differs",
    "states of self stress": lambda s: f"{s.mean('self_stresses'):.2f}",
    "U": lambda s: f"{s.mean('energy'):.1e}",
    "relative gradient, largest": lambda s: f"{max(k.relative_gradient for k in s.samples):.0e}",
    "negative modes of H": lambda s: f"{s.mean('negative_modes'):.0f}",
    "negative modes of Hp": lambda s: f"{s.mean('negative_modes_hp'):.0f}",
    "Hp on ker H0 / overlap": lambda s: _range(s.kernel()),
    "  5 % of overlaps cut": lambda s: _range(s.kernel("kernel_prestress_cut")),
    "modes missing below ω₁": lambda s: f"{s.missing[0]:.1f} ± {s.missing[1]:.1f}",
    "soft to stiff band, in ω": lambda s: f"× {s.gap:.0f}" if s.gap else "",
    "spectrum": lambda s: s.spectrum,
    "θ": lambda s: f"{s.law.theta} {_verdict(s.law.theta, TALK['θ'])}",
    "  θ_e, θ_l apart": lambda s: ", ".join(str(e) for e, _ in s.thetas.values()) if s.separate else "",
    "γ": lambda s: f"{s.law.gamma} {_verdict(s.law.gamma, TALK['γ'])}",
    "threshold": lambda s: f"{s.mean('threshold'):.4f}",
    "seconds a seed": lambda s: f"{s.mean('seconds'):.2f}",
}


def _contains(exponent: Exponent, value: float) -> bool:
    return exponent.low is not None and exponent.high is not None and exponent.low <= value <= exponent.high


def _verdict(exponent: Exponent, competing: float) -> str:
    """The verdict on an exponent; "undecided" where zero and a competing value are both in the interval."""
    if exponent.verdict == "regular" and _contains(exponent, competing):
        return "undecided"
    return "undecided" if exponent.verdict == "refused" else exponent.verdict


def _with_verdict(systems: Mapping[str, Summary], verdict: str) -> str:
    found = [
        f"{symbol} of {NAMES[name]}"
        for name, s in systems.items()
        for symbol, exponent, competing in (
            *((symbol, found, TALK["θ"]) for symbol, (found, _) in s.thetas.items()),
            ("γ", s.law.gamma, TALK["γ"]),
        )
        if _verdict(exponent, competing) == verdict
    ]
    return ", ".join(found) or "none"


def _sign(s: Summary) -> str:
    kernel, cut = s.kernel(), s.kernel("kernel_prestress_cut")
    if kernel:
        word = "positive" if kernel[0] > 0 else "of both signs" if kernel[1] > 0 else "negative"
        return f"{word} on all {s.mean('n_effective') - s.mean('n_overlaps') + s.mean('self_stresses'):.0f} modes"
    word = "of both signs"
    if cut and cut[1] < ROUNDED * abs(cut[0]):  # zero: discs that have lost all their contacts
        word = "negative" if cut[1] < -ROUNDED * abs(cut[0]) else "negative (or zero)"
    return f"kernel empty, and {word} once 5 % of the overlaps are cut"


def _range(values: tuple[float, float] | None) -> str:
    return f"{values[0]:.1e} … {values[1]:.1e}" if values else "empty"


def _exponent_entry(e: Exponent) -> dict[str, Any]:
    return {
        "value": e.value,
        "low": e.low,
        "high": e.high,
        "window": e.window,
        "verdict": e.verdict,
        "reason": e.reason,
    }


def _exponent_check(name: str, e: Exponent, reference: float, source: str) -> dict[str, Any]:
    if e.value is None or e.low is None or e.high is None:
        return check(name, e.value, e.low, e.high, reference, source) | {"reason": e.reason}
    off = max(e.low - reference, reference - e.high, 0.0)
    verdict = "agrees" if off == 0 else "finite-size" if off < NEAR else "disagrees"
    return check(name, e.value, e.low, e.high, reference, source, verdict)

"""The report of the study `transition_of_networks`: checks beside the talk's numbers, table, figures and JSON."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import brentq

from ...measurements import states_of_networks as of
from ...measurements.transition import Transition
from ...statistics import Estimate, estimate
from ...theory.ground_states import gardner_capacity
from ..record import check, number, print_checks, write_study
from .measured_networks import ByData, MeasuredNetworks

SEARCH = "by our search; the talk's P/N* is Adam's, and a transition belongs to its algorithm"
ADAM = "Adam from random weights; the talk went on for 10⁷ steps"
KINKED = "minima on kinks, which bear force as overlaps do; counts are of overlaps alone unless said"


class NetworksReport(MeasuredNetworks):
    """The report: checks, table and figures."""

    @cached_property
    def _lines(self) -> list[dict[str, Any]]:
        groups = self._thresholds(), self._jump(), self._spectra(), self._kernels(), self._exponents()
        return [*(line for group in groups for line in group), *self._margins()]

    @property
    def checks(self) -> list[dict[str, Any]]:
        """Checks of measured values beside those of the talk, with what is known about a difference."""
        return [line for line in self._lines if line["reference"] is not None]

    @property
    def measured(self) -> list[dict[str, Any]]:
        """Measured values, in the form of checks, for which the talk has no number."""
        return [line for line in self._lines if line["reference"] is None]

    def _thresholds(self) -> Iterator[dict[str, Any]]:
        for (depth, _), found in self.transitions.items():
            name = f"depth {depth}, N_eff = {found.n_effective}"
            yield _beside(f"{name}: P/N*", of.load(found), 3.0, 0.3, SEARCH)
            above = f"{found.n_certified} of {len(found.samples)} certified, at the smallest P missed"
            jump = Estimate(found.jump, *found.jump_interval)
            yield _beside(f"{name}: N_Δ/N_eff just above, all states", jump, 0.75, 0.05, above)
            if found.n_certified:
                jump = Estimate(found.jump_certified, *found.jump_certified_interval)
                yield _beside(f"{name}: N_Δ/N_eff just above, minima", jump, 0.75, 0.05, above)
        largest = {depth: t for (depth, _), t in sorted(self.transitions.items(), key=lambda i: i[1].n_dof)}
        if len(largest) > 1:
            tables = [np.array([s.threshold for s in t.samples]) / t.n_effective for t in largest.values()]
            spread = estimate(lambda *some: max(map(np.median, some)) / min(map(np.median, some)), *tables)
            yield _beside("largest over smallest P/N* of the depths", spread, 1.0, 0.1, SEARCH)
        for k, steps in enumerate(self.times):
            crossing = of.transition(self.by_load(self.descents), k)
            yield _beside(f"Adam, {steps} steps: P/N*", crossing, 3.0, 0.3, ADAM)
        crossing = of.transition(self.by_load(self.minima), 0)
        yield _beside("search without reheats: P/N*", crossing, 3.0, 0.3, SEARCH)

    def _jump(self) -> Iterator[dict[str, Any]]:
        for name, samples, state in self._looked_at():
            loads = self.by_load(samples)
            above = [x for x in loads if x > of.transition(loads, state).value]
            if above:
                states = of.states(loads[min(above)], state)
                why = f"mean of unfitted runs at P/N_eff = {min(above):.2f}"
                yield _beside(f"{name}: N_Δ/N_eff just above", of.mean(of.density(states)), 0.75, 0.05, why)
                if of.values(states, "n_kinks").any():
                    both = of.mean(of.density(states, kinks=True))
                    yield _beside(f"{name}: (N_Δ + N_kink)/N_eff just above", both, None, 0, why)
            every = [one for x in loads for one in of.states(loads[x], state, unfitted=False)]
            share = of.density(every)
            between = of.fraction((share > 0) & (share < 0.4))
            why = "5 of 128 long runs in the talk's data; near zero means bimodal"
            yield _beside(f"{name}: runs with 0 < N_Δ < 0.4 N_eff", between, 5 / 128, 0.0, why)

    def _looked_at(self) -> Iterator[tuple[str, ByData, int]]:
        for k, steps in enumerate(self.times):
            yield f"Adam, {steps} steps", self.descents, k
        yield "search", self.minima, 0

    def _spectra(self) -> Iterator[dict[str, Any]]:
        unfitted = {"minima of the search": self.all_states(self.minima, 0)}
        unfitted["minima below Adam"] = self.all_states(self.descents, len(self.times))
        for name, states in unfitted.items():
            share = of.fraction(of.values(states, "certified").astype(bool))
            yield _beside(f"{name}: certified", share, 1.0, 0.0, "the others ended at their limit of steps")
        for name, states in self.kinds.items():
            if not len(states):
                continue
            n_effective, minus = of.values(states, "n_effective"), of.values(states, "n_negative_hp")
            held = of.values(states, "n_overlaps") + of.values(states, "n_kinks")
            yield _beside(
                f"{name}: N₋/N_eff of Hp", of.mean(minus / n_effective), 0.5, 0.05, "C0 of the talk"
            )
            bound = of.fraction(held >= minus)
            yield _beside(
                f"{name}: N_Δ + N_kink ≥ N₋", bound, 1.0, 0.0, "stability asks for it at minima only"
            )
            why = "0 where the spectrum is symmetric"
            yield _beside(f"{name}: skewness of the spectrum of Hp", of.asymmetry(states), 0.0, 0.1, why)
            negative = of.mean(of.values(states, "n_negative") / n_effective)
            yield _beside(f"{name}: negative modes of H over N_eff", negative, 0.0, 0.0, "0 at minima")
            gradient = np.median(of.values(states, "relative_gradient"))
            limits = np.quantile(of.values(states, "relative_gradient"), (0.025, 0.975))
            spread = Estimate(float(gradient), *map(float, limits))
            yield _beside(f"{name}: relative gradient", spread, 0.0, 1e-9, "median, and 95 % of the runs")
        last = self.kinds[f"Adam, {self.times[-1]} steps"]
        why = "over all runs where Adam stopped"
        yield _beside("exponent of ‖Hp‖ against U/P", of.scale_law(last), 0.5, 0.05, why)

    def _kernels(self) -> Iterator[dict[str, Any]]:
        for name, states in self.kinds.items():
            kernels = of.spectra(states, "kernel_prestress") if len(states) else []
            size = of.mean(np.array([len(k) for k in kernels]) / self.n_effective)
            yield _beside(f"{name}: dim ker H0 over N_eff", size, None, 0, KINKED)
            signs = [np.mean(k < 0) for k in kernels if len(k)]
            if signs:
                why = f"of the {len(signs)} states with a kernel; 0 at minima"
                yield _beside(f"{name}: Hp < 0 on ker H0", of.mean(np.array(signs)), 0.0, 0.0, why)
        for activation, samples in self.jammed.items():
            jammed = [s for s in samples if s.status == "converged"]
            name, why = f"spherical {activation} at jamming", f"{len(jammed)} of {len(samples)} jammed"
            if not jammed:
                continue
            count = of.mean(np.array([s.n_overlaps / s.n_effective for s in jammed]))
            yield _beside(f"{name}: N_Δ/N_eff", count, None, 0, why)
            both = of.mean(np.array([s.ratio for s in jammed]))
            yield _beside(f"{name}: (N_Δ + N_kink)/N_eff", both, None, 0, why)
            positive = of.fraction(np.array([(s.kernel_prestress > 0).all() for s in jammed]))
            yield _beside(f"{name}: Hp > 0 on all of ker H0", positive, 1.0, 0.0, why)

    def _exponents(self) -> Iterator[dict[str, Any]]:
        for kind, found in self.exponents.items():
            for symbol, e in found.items():
                reference = of.TALK_EXPONENTS[symbol[0]]
                if e.value is None or e.low is None or e.high is None:
                    nan = float("nan")
                    yield check(
                        f"{kind}: {symbol}", nan, nan, nan, reference, of.TALK, "finite-size", e.reason
                    )
                    continue
                why = f"{e.verdict}, from {e.n_samples} values"
                value = Estimate(e.value, e.low, e.high)
                yield _beside(f"{kind}: {symbol}", value, reference, 0.0, why)

    def _margins(self) -> Iterator[dict[str, Any]]:
        for depth, curve in self.margins.items():
            zero, exact = curve.zero, None if depth else 2.0
            unknown = int(np.isnan(curve.thresholds).sum())
            why = f"N = {curve.n_dof}; {unknown} of {curve.thresholds.size} ways did not come to an end"
            name = f"depth {depth}, spherical: κ_J = 0 at P/N"
            yield _beside(name, zero, exact, 0.0, why, "Gardner, J. Phys. A 21, 257 (1988)")
            for load, margin, error in zip(
                curve.n_data / curve.n_dof, curve.margin, curve.error, strict=True
            ):
                about = Estimate(margin, margin - 1.96 * error, margin + 1.96 * error)
                name = f"depth {depth}, spherical: κ_J at P/N = {load:.3g}"
                if depth or load > 2:
                    yield _beside(name, about, None, 0.0, why)
                else:
                    exact = brentq(lambda m, load=load: gardner_capacity(m) - load, 0.0, 10.0)
                    yield _beside(name, about, exact, 0.05, why, "Gardner, J. Phys. A 21, 257 (1988)")

    def print_table(self) -> None:
        """Print the checks in the terminal."""
        print_checks([*self.checks, *self.measured])

    def write(self, output: Path, configuration: Mapping[str, Any], seconds: float) -> list[Path]:
        """Write figures and JSON into a folder, and return the paths of the figures."""
        from .margin_figure import margins_figure
        from .network_figures import exponents_figure, landscape_figure, transition_figure

        figures = {
            "counts": transition_figure(self),
            "spectra": landscape_figure(self),
            "exponents": exponents_figure(self),
        }
        if self.margins:
            figures["margins"] = margins_figure(self.margins)
        searches = {t.algorithm for t in self.transitions.values()}
        cost = {f"depth {d}, width {w}": number(_seconds(t)) for (d, w), t in self.transitions.items()}
        return write_study(
            output,
            "transition_of_networks",
            figures,
            configuration,
            seconds,
            self.checks,
            measured=self.measured,
            search=sorted(searches),
            seconds_of_transitions=cost,
        )


def _seconds(found: Transition) -> float:
    return float(sum(s.seconds.sum() for s in found.samples))


def _beside(
    name: str,
    found: Estimate,
    reference: float | None,
    tolerance: float,
    why: str,
    source: str = of.TALK,
) -> dict[str, Any]:
    """A check that agrees where the interval meets reference ± tolerance."""
    verdict = "measured" if reference is None else ""
    values = (found.value, found.low, found.high)
    return check(name, *values, reference, source, verdict, why, tolerance=tolerance)

"""The report of the study `talk_scale_on_gpu`: the loads that a homotopy can fit, beside the transition of Adam."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from matplotlib.figure import Figure

from ...support.printing import Brief
from ..record import check, write_study

SOURCE = "the talk; example released with arXiv:1809.09349, 1e7 steps of Adam"
ADAM = (2.80, 3.31)  # P/N_eff at 22 000 and 26 000 data
FITTED = 1e-20  # U/P up to which all data count as fitted


class Fit(Protocol):
    """The end of one homotopy."""

    p_over_n: float  # P/N_eff
    loss: float  # U/P
    ratio: float  # N_Δ/N_eff
    n_steps: int
    seconds: float


@dataclass(frozen=True, eq=False, repr=False)
class TalkScaleReport(Brief):
    """The report: fits by name of their load.

    `title` is the title of the figure; `finite` says that nets are smaller than those of the talk.
    """

    samples: Mapping[str, Sequence[Fit]]
    title: str
    finite: bool

    @property
    def fits(self) -> list[Fit]:
        """The fits of all loads."""
        return [fit for found in self.samples.values() for fit in found]

    @property
    def bracket(self) -> tuple[float, float]:
        """The largest load up to which every seed was fitted, and the least load from which none was.

        They are 0 and ∞ where there is no such load.
        """
        failed = [f.p_over_n for f in self.fits if f.loss > FITTED]
        fitted = [f.p_over_n for f in self.fits if f.loss <= FITTED]
        low = max((load for load in fitted if load < min(failed, default=np.inf)), default=0.0)
        high = min((load for load in failed if load > max(fitted, default=0.0)), default=np.inf)
        return low, high

    @property
    def checks(self) -> list[dict[str, Any]]:
        """The check of the middle of the bracket against the middle of that of Adam."""
        low, high = self.bracket
        name = "P/N_eff up to which all seeds were fitted, and from which none was: their mean"
        verdict = "finite-size" if self.finite else ""
        return [check(name, (low + high) / 2, low, high, 3.06, SOURCE, verdict)]

    def print_table(self) -> None:
        """Print U/P, steps and seconds by load in the terminal."""
        for name, found in self.samples.items():
            text = ", ".join(f"{f.loss:.1e} ({f.n_steps} steps, {f.seconds:.0f} s)" for f in found)
            print(f"{name}: U/P = {text}")
        low, high = self.bracket
        print(f"fitted up to P/N_eff = {low:.2f} for all seeds; none from {high:.2f}")

    def figure(self) -> Figure:
        """The figure: U/P and N_Δ/N_eff at the end of the homotopy, against P/N_eff."""
        import matplotlib.pyplot as plt

        from ...figures.comparison import COLOURS, GREY

        figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
        load = np.array([f.p_over_n for f in self.fits])
        loss, ratio = [max(f.loss, 1e-26) for f in self.fits], [f.ratio for f in self.fits]
        labels = ("U/P", r"$N_\Delta/N_\mathrm{eff}$")
        for ax, value, label in zip(axes, (loss, ratio), labels, strict=True):
            ax.axvspan(*ADAM, color=GREY, alpha=0.12, lw=0, label="transition by Adam (talk)")
            ax.plot(load, value, "o", color=COLOURS["network"], label="softplus homotopy")
            ax.set(xlabel=r"$P/N_\mathrm{eff}$", ylabel=label)
        axes[0].axhline(FITTED, color=GREY, lw=0.8, ls=":")
        axes[0].set_yscale("log")
        axes[1].axhline(0.75, color=GREY, lw=0.8, ls="--", label="jump in the talk")
        axes[1].legend(frameon=False, fontsize=8)
        figure.suptitle(self.title, fontsize=10)
        return figure

    def write(self, output: Path, configuration: Mapping[str, Any], seconds: float) -> list[Path]:
        """Write the figure and the JSON into a folder, and return the path of the figure."""
        of = (configuration, seconds, self.checks)
        return write_study(output, "talk_scale_on_gpu", {"": self.figure()}, *of)

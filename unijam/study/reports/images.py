"""The report of the study `images_transition`: N*(P) for images in ten classes, by depth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ...support.printing import Brief
from ..record import check, print_checks, write_study

TALK = "the talk: the transition of CIFAR-10 is independent of depth"
TITLES = {"adam": "Adam", "newton": "Newton along softplus"}
TICKS = (100, 200, 400, 500, 1000, 2000)
Bracket = tuple[int, int]  # N that misses, N that fits


@dataclass(frozen=True, eq=False, repr=False)
class ImagesReport(Brief):
    """Brackets of N* by (depth, P), one for each seed; `search` is the key in `TITLES` of the search that fitted."""

    brackets: Mapping[tuple[int, int], Sequence[Bracket]]
    search: str

    @property
    def depths(self) -> tuple[int, ...]:
        """Numbers of hidden layers, ascending."""
        return tuple(sorted({depth for depth, _ in self.brackets}))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of images P, ascending."""
        return tuple(sorted({n_data for _, n_data in self.brackets}))

    @property
    def checks(self) -> list[dict[str, Any]]:
        """Checks of N* of the deepest nets over N* of the shallowest, at each P; intervals follow from the brackets."""
        first, last, found = self.depths[0], self.depths[-1], []
        for n_data in self.sizes:
            one, deep = (np.array(self.brackets[depth, n_data]) for depth in (first, last))
            low, high = deep[:, 0].min() / one[:, 1].max(), deep[:, 1].max() / one[:, 0].min()
            name = f"N*(depth {last}) / N*(depth {first}), P = {n_data}"
            found.append(check(name, deep.mean() / one.mean(), low, high, 1.0, TALK))
        return found

    def print_table(self) -> None:
        """Print the brackets and the checks in the terminal."""
        for (depth, n_data), brackets in self.brackets.items():
            text = ", ".join(f"{low}–{high}" for low, high in brackets)
            print(f"depth {depth}, P = {n_data}: N* = {text}")
        print_checks(self.checks)

    def figure(self) -> Figure:
        """The figure: N* against P by depth; the bracket of each seed is a line."""
        import matplotlib.pyplot as plt

        from ...figures.comparison import GREY, STYLE

        with plt.rc_context(STYLE):
            figure, ax = plt.subplots(figsize=(4.2, 3.4), layout="constrained")
            sizes = self.sizes
            for depth, colour, marker in zip(self.depths, ("#d9610f", "#7a3b0a"), "os", strict=True):
                for n_data in sizes:
                    for bracket in self.brackets[depth, n_data]:
                        ax.plot([n_data, n_data], bracket, "-", color=colour, lw=1, alpha=0.5)
                middle = [np.median(self.brackets[depth, n_data]) for n_data in sizes]
                label = f"{depth} hidden layer{'s' * (depth > 1)}"
                ax.plot(sizes, middle, marker, color=colour, ms=6, label=label)
            ax.plot(sizes, sizes, "--", color=GREY, lw=1, label="N = P")
            ax.set(xscale="log", yscale="log", xlabel="images P", ylabel=r"parameters $N^*$ (98 % fitted)")
            ticks = [n for n in TICKS if sizes[0] <= n <= sizes[-1]]
            ax.set_xticks(ticks, [str(n) for n in ticks])
            ax.set_yticks(ticks, [str(n) for n in ticks])
            ax.minorticks_off()
            ax.set_title(f"CIFAR-10, ten classes, cross-entropy\n{TITLES[self.search]}", fontsize=9)
            ax.legend()
        return figure

    def write(self, output: Path, configuration: Mapping[str, Any], seconds: float) -> list[Path]:
        """Write the figure and the JSON into a folder, and return the path of the figure."""
        name, brackets = f"images_transition_{self.search}", []
        for (depth, n_data), some in self.brackets.items():
            brackets.append({"depth": depth, "P": n_data, "brackets": some})
        of = (configuration, seconds, self.checks)
        return write_study(output, name, {"": self.figure()}, *of, dpi=200, brackets=brackets)

"""The jamming margin of spherical networks against P/N, depth by depth, with Gardner's line at depth 0."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...figures.comparison import COLOURS, GREY, STYLE, THEORY
from ...measurements.margins import MarginCurve
from ...theory.ground_states import gardner_capacity

MARKERS = {0: "v", 1: "^", 2: "o", 3: "s", 5: "D"}


def margins_figure(curves: Mapping[int, MarginCurve]) -> Figure:
    """The figure of κ_J(P/N) by depth, on a linear and on a logarithmic scale; below the first, its zeros."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.9))
        for depth, curve in sorted(curves.items()):
            colour = COLOURS["network" if depth else "perceptron"]
            style = {
                "fmt": MARKERS.get(depth, "v") + "-",
                "color": colour,
                "mfc": "white" if depth % 2 else colour,
                "ms": 5,
                "lw": 0.8,
                "capsize": 2,
            }
            for ax, shown in zip(axes, (curve.margin > -np.inf, curve.margin > 0), strict=True):
                ax.errorbar(
                    (curve.n_data / curve.n_dof)[shown],
                    curve.margin[shown],
                    np.nan_to_num(curve.error)[shown],
                    label=f"depth {depth}, N = {curve.n_dof}",
                    **style,
                )
        _plot_zeros(axes[0], curves)
        margins = np.linspace(0, 1.0, 200)
        loads = np.array([gardner_capacity(m) for m in margins])
        for ax in axes:
            ax.plot(loads, margins, color=THEORY, lw=2, zorder=5, label="depth 0, exact (Gardner)")
        last = max(float((c.n_data / c.n_dof).max()) for c in curves.values())
        axes[0].axhline(0, color="black", lw=0.6)
        axes[0].set(ylim=(-0.32, 0.62), ylabel=r"jamming margin $\kappa_J$")
        axes[1].set(yscale="log", ylim=(1e-4, 2), ylabel=r"jamming margin $\kappa_J$")
        axes[1].legend(loc="upper right")
        for label, ax in zip("ab", axes, strict=True):
            ax.set(xlim=(0.8, last + 0.15), xlabel=r"$P/N$")
            ax.text(-0.12, 1.04, f"({label})", transform=ax.transAxes, fontweight="bold", fontsize=11)
        figure.tight_layout()
    return figure


def _plot_zeros(ax: Axes, curves: Mapping[int, MarginCurve]) -> None:
    """Draw the P/N at which each margin reaches zero, one line for each depth, below the axis."""
    for row, (depth, curve) in enumerate(sorted(curves.items())):
        zero, y = curve.zero, -0.18 - 0.035 * row
        if not np.isfinite(zero.value):
            continue
        colour = COLOURS["network" if depth else "perceptron"]
        error = [[zero.value - zero.low], [zero.high - zero.value]]
        ax.errorbar(
            zero.value,
            y,
            xerr=error,
            fmt=MARKERS.get(depth, "v"),
            color=colour,
            mfc="white" if depth % 2 else colour,
            ms=4,
            lw=1,
            capsize=2,
        )
    ax.axhspan(-0.32, -0.155, color=GREY, alpha=0.12, lw=0)
    ax.text(0.85, -0.23, "where $\\kappa_J=0$\n(95 %)", fontsize=8, va="center")

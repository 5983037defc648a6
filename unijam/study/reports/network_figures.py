"""Figures of the study `transition_of_networks`: counts through the transition, spectra, P±(Δ) and exponents."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...figures.comparison import COLOURS, GREY, STYLE, THEORY
from ...measurements import states_of_networks as of
from ...spectra.density import density_of_states
from ...statistics import Exponent
from ...theory.exponents import JAMMING_EXPONENTS
from ...theory.ground_states import linear_network_ground_state
from .measured_networks import MeasuredNetworks

NETWORK, BELOW = COLOURS["network"], "#8c510a"
GREYS = ("#c4c4c4", "#8a8a8a", "#303030")  # states of Adam: later ones are darker
SPHERICAL = {"softplus": "#f4a582", "tanh": "#a63603", "relu": "#c2417c"}
UNITS = {"relu": "ReLU"}  # spelling in labels, where it differs from the name of the activation
MARKERS = {1: "^", 2: "o", 3: "s", 5: "D"}
SHOWN = 0.8  # largest |θ| and |γ| shown
RNG = np.random.default_rng(0)


def transition_figure(report: MeasuredNetworks) -> Figure:
    """The figure of N* against P by depth, the fraction of runs that fit, and N_Δ/N_eff through the transition."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 3, figsize=(12.5, 4.1), width_ratios=(1, 1, 1.25))
        _plot_thresholds(axes[0], report)
        _plot_fitted(axes[1], report)
        _plot_counts(axes[2], report)
        for label, ax in zip("abc", axes, strict=True):
            ax.text(-0.12, 1.04, f"({label})", transform=ax.transAxes, fontweight="bold", fontsize=11)
        figure.tight_layout()
    return figure


def _plot_thresholds(ax: Axes, report: MeasuredNetworks) -> None:
    every = list(report.transitions.items())
    for (depth, width), found in every:
        load = of.load(found)
        error = [
            [found.n_data - load.low * found.n_effective],
            [load.high * found.n_effective - found.n_data],
        ]
        ax.errorbar(
            found.n_data,
            found.n_effective,
            xerr=error,
            fmt=MARKERS.get(depth, "v"),
            ms=6,
            color=NETWORK,
            mfc="white" if depth % 2 else NETWORK,
            elinewidth=1,
            capsize=2,
            label=rf"depth {depth}, h = {width}: $P/N^*$ = {load}",
        )
    sizes = np.array([t.n_data for _, t in every])
    line = np.array([0.6 * sizes.min(), 1.5 * sizes.max()])
    ax.plot(line, line / 3, color=THEORY, lw=2, zorder=1, label=r"the talk (Adam): $P/N^* = 3$")
    ax.plot(line, line / 2, color=GREY, lw=1, ls=":", label="depth 0, exact: 2")
    ax.set(xscale="log", yscale="log", xlabel=r"data $P$, largest fitted", ylabel=r"$N^*$  ($N_{\rm eff}$)")
    ax.set_ylim(bottom=0.015 * line[1])  # room for the legend below the lines
    _plain_ticks(ax)
    ax.legend(loc="lower right")


def _plain_ticks(ax: Axes) -> None:
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter("{x:.0f}")
        axis.set_minor_formatter(lambda value, _: f"{value:.0f}" if f"{value:.0e}"[0] in "235" else "")


def _series(report: MeasuredNetworks) -> list[tuple[str, Any, int, str]]:
    adam = [
        (f"Adam, {_power(t)} steps", report.descents, k, GREYS[k - len(report.times)])
        for k, t in enumerate(report.times)
    ]
    return [*adam, ("search", report.minima, 0, NETWORK)]


def _power(steps: int) -> str:
    digits = int(np.floor(np.log10(steps)))
    factor = steps / 10**digits
    return (rf"${factor:g}\cdot$" if factor != 1 else "") + f"$10^{{{digits}}}$"


def _plot_fitted(ax: Axes, report: MeasuredNetworks) -> None:
    for row, (label, samples, state, colour) in enumerate(_series(report)):
        shares = {
            x: of.fraction(
                np.array([s.status[r, k] == "fitted" for s, r, k in of.states(some, state, unfitted=False)])
            )
            for x, some in report.by_load(samples).items()
        }
        low = [s.value - s.low for s in shares.values()]
        high = [s.high - s.value for s in shares.values()]
        x = np.array(list(shares)) + 0.06 * (row - 1)  # bars beside each other
        y = [s.value for s in shares.values()]
        ax.errorbar(x, y, [low, high], fmt="o:", ms=4, lw=0.8, color=colour, elinewidth=0.8, label=label)
    ax.axvline(3, color=THEORY, lw=2, zorder=1, label="the talk: 3")
    ax.set(xlabel=r"$P/N_{\rm eff}$", ylabel="fraction of runs that fit all data", ylim=(-0.03, 1.03))
    ax.legend(loc="upper right")


def _plot_counts(ax: Axes, report: MeasuredNetworks) -> None:
    for label, samples, state, colour in _series(report):
        loads = report.by_load(samples)
        for x, some in loads.items():
            every = of.states(some, state, unfitted=False)
            shift = 0.02 * RNG.standard_normal(len(every))
            ax.plot(x + shift, of.density(every), "o", ms=3.5, mew=0, color=colour, alpha=0.75)
        runs = [of.states(some, state, unfitted=False) for some in loads.values()]
        means = [of.density(states).mean() for states in runs]
        _plot_broken(ax, list(loads), means, color=colour, lw=1.2, label=label)
        if any(of.values(states, "n_kinks").any() for states in runs):
            both = [of.density(states, kinks=True).mean() for states in runs]
            _plot_broken(
                ax, list(loads), both, color=colour, lw=1.2, ls="--", label="the same, kinks counted"
            )
    _plot_just_above(ax, report)
    linear = 2.0 + np.geomspace(1e-4, 3.3, 60)
    counts = [linear_network_ground_state(x).overlap_ratio for x in linear]
    ax.plot([2.0, *linear], [0.0, *counts], "-.", color=GREY, lw=1, zorder=1, label="depth 0, exact")
    ax.axhline(0.75, color=THEORY, lw=2, zorder=1, label="the talk's jump: 0.75")
    ax.axhline(1.0, color=GREY, lw=0.8, ls=":")
    ax.set(xlabel=r"$P/N_{\rm eff}$", ylabel=r"$N_\Delta/N_{\rm eff}$", ylim=(-0.05, 5.2))
    ax.legend(loc="upper left")


def _plot_broken(ax: Axes, x: list[float], y: list[float], *, label: str, **style: Any) -> None:
    """Draw a line that is broken between states without and with overlaps, since no state lies between."""
    for without in (True, False):
        shown = [(a, b) for a, b in zip(x, y, strict=True) if (b == 0) == without]
        ax.plot(*zip(*shown, strict=True) if shown else ([], []), label="" if without else label, **style)


def _plot_just_above(ax: Axes, report: MeasuredNetworks) -> None:
    """Draw minima of the search at the smallest P that a start misses, at depth 2."""
    found = [t for (depth, _), t in report.transitions.items() if depth == 2]
    samples = [s for t in found for s in t.samples if s.certified]
    if samples:
        x = [s.smallest_missed / (s.n_dof - s.n_symmetric) for s in samples]
        y = [s.n_overlaps / s.n_effective for s in samples]
        label = r"minima just above $P^*$, depth 2"
        ax.plot(x, y, "D", ms=6, mfc="white", color=NETWORK, zorder=6, label=label)


def landscape_figure(report: MeasuredNetworks) -> Figure:
    """The figure of the spectra of Hp, H0 and H where Adam stopped and in minima, and of Hp on the kernel of H0."""
    last, below = f"Adam, {report.times[-1]} steps", "minima below Adam"
    kinds = {last: GREYS[-1], below: BELOW, "minima of the search": NETWORK}
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(2, 2, figsize=(9.6, 7.2))
        for name, colour in kinds.items():
            states = report.kinds[name]
            if len(states):
                _plot_prestress(axes[0, 0], name, states, colour)
        for ax, name, colour in (
            (axes[0, 1], last, GREYS[-1]),
            (axes[1, 0], "minima of the search", NETWORK),
        ):
            if len(report.kinds[name]):
                _plot_modes(ax, report.kinds[name], colour)
            ax.set_title(name, color=colour)
        _plot_kernels(axes[1, 1], report, kinds)
        for label, ax in zip("abcd", axes.ravel(), strict=True):
            ax.text(-0.12, 1.04, f"({label})", transform=ax.transAxes, fontweight="bold", fontsize=11)
        figure.tight_layout()
    return figure


def _plot_prestress(ax: Axes, name: str, states: of.States, colour: str) -> None:
    values = np.concatenate([v / np.sqrt(np.mean(v**2)) for v in of.spectra(states, "eigenvalues_hp")])
    height, edges = np.histogram(values, np.linspace(-6, 6, 61), density=True)
    ax.stairs(height, edges, color=colour, lw=1.3, label=name)
    ax.stairs(height[::-1], edges, color=colour, lw=0.6, ls=":")
    ax.set(
        yscale="log",
        xlabel=r"eigenvalues of $H_p$ over their root mean square (dotted: mirrored)",
        ylabel="density",
    )
    ax.legend(loc="upper right")


def _plot_modes(ax: Axes, states: of.States, colour: str) -> None:
    lowest = 1e-3
    styles: dict[str, tuple[str, dict[str, Any]]] = {
        "eigenvalues": (r"$H$", {"color": colour, "lw": 2.0}),
        "eigenvalues_h0": (r"$H_0$", {"color": "black", "lw": 1.0}),
        "eigenvalues_hp": (r"$H_p>0$", {"color": "#b2182b", "lw": 1.0}),
    }
    for name, (label, style) in styles.items():
        found = density_of_states(of.spectra(states, name), lowest=lowest)
        if found.omega.size:
            zero = f", {100 * found.zero_modes:.0f} % at or below 0"
            density = np.where(found.density > 0, found.density, np.nan)
            ax.step(found.omega, density, where="mid", label=label + zero, **style)
    ax.set(
        xscale="log",
        yscale="log",
        xlabel=r"$\omega=\sqrt{\lambda}$  (units of $\sqrt{U}$ over a weight)",
        ylabel=r"density of states $D(\omega)$",
    )
    ax.set_ylim(top=8 * ax.get_ylim()[1])  # room for the legend above the curves
    ax.legend(loc="upper right")


def _plot_kernels(ax: Axes, report: MeasuredNetworks, kinds: dict[str, str]) -> None:
    shown = {
        name: (of.spectra(report.kinds[name], "kernel_prestress"), c)
        for name, c in kinds.items()
        if len(report.kinds[name])
    }
    for activation, samples in report.jammed.items():
        jammed = [s.kernel_prestress for s in samples if s.status == "converged"]
        if jammed:
            name = f"spherical {UNITS.get(activation, activation)}, jammed"
            shown[name] = (jammed, SPHERICAL.get(activation, NETWORK))
    for name, (kernels, colour) in shown.items():
        values = np.concatenate(kernels) if kernels else np.empty(0)
        per_state = values.size / max(len(kernels), 1)
        x = np.sort(np.sign(values) * (np.log10(np.clip(np.abs(values), 1e-6, 1e3)) + 6))
        label = f"{name}: {per_state:.0f} modes"
        if x.size:
            ax.step(x, np.arange(1, x.size + 1) / x.size, color=colour, lw=1.4, label=label)
        else:
            ax.plot([], [], color=colour, label=label)
    ticks = np.array([-4, -2, 0, 2])
    ax.set_xticks(np.concatenate([-(ticks[::-1] + 6), ticks + 6]))
    ax.set_xticklabels([f"$-10^{{{t}}}$" for t in ticks[::-1]] + [f"$10^{{{t}}}$" for t in ticks])
    ax.axvline(0, color="black", lw=1)
    ax.set(xlabel=r"$H_p$ on $\ker H_0$ / typical overlap", ylabel="cumulative fraction of kernel modes")
    ax.legend(loc="upper left", fontsize=6)


def exponents_figure(report: MeasuredNetworks) -> Figure:
    """The figure of P₊ and P₋ by kind of state, and of θ and γ with their intervals."""
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(2, 2, figsize=(10.5, 9), height_ratios=(1, 0.9))
        axes = grid.ravel()
        names = [f"Adam, {report.times[-1]} steps", "minima below Adam", "minima of the search"]
        for name, colour in zip(names, (GREYS[-1], BELOW, NETWORK), strict=True):
            deltas = of.deltas(report.kinds[name])
            if deltas:
                mean = np.mean([d[d > 0].mean() for d in deltas])
                _plot_density(
                    axes[0], np.concatenate([d[d > 0] / d[d > 0].mean() for d in deltas]), colour, name
                )
                _plot_density(
                    axes[1],
                    np.concatenate([-d[d < 0] for d in deltas]),
                    colour,
                    f"{name}, mean overlap {mean:.2g}",
                )
        for activation, samples in report.jammed.items():
            deltas = [s.delta for s in samples if s.status == "converged"]
            if deltas:
                name, colour = UNITS.get(activation, activation), SPHERICAL.get(activation, NETWORK)
                overlaps = np.concatenate([d[d > 0] / d[d > 0].mean() for d in deltas])
                _plot_density(axes[0], overlaps, colour, f"spherical {name}, jammed")
                gaps = np.concatenate([-d[d < -15 * d[d > 0].mean()] for d in deltas])
                _plot_density(axes[1], gaps, colour, f"spherical {name}, jammed")
        _guide(axes[0], 0.3, r"the talk: $\theta=0.3$", 1.0)
        _guide(axes[1], -0.2, r"the talk: $\gamma=0.2$", 1.0)
        axes[0].set(
            xlabel=r"$\Delta/\langle\Delta\rangle$", ylabel=r"$P_+(\Delta)$", xlim=(1e-3, 10), ylim=(5e-3, 5)
        )
        axes[1].set(
            xlabel=r"$|\Delta|$  (margins)", ylabel=r"$P_-(\Delta)$", xlim=(1e-3, 10), ylim=(5e-3, 10)
        )
        axes[0].legend(loc="lower left")
        axes[1].legend(loc="lower left")
        for ax, symbol, known in (
            (axes[2], "θ", JAMMING_EXPONENTS.theta_extended),
            (axes[3], "γ", JAMMING_EXPONENTS.gamma),
        ):
            _plot_exponents(ax, report, symbol, known, named=symbol == "θ")
        for label, ax in zip("abcd", axes, strict=True):
            ax.text(-0.08, 1.03, f"({label})", transform=ax.transAxes, fontweight="bold", fontsize=11)
        figure.tight_layout()
    return figure


def _plot_density(ax: Axes, values: np.ndarray, colour: str, label: str) -> None:
    edges = 10 ** np.arange(-4, 2.01, 0.2)
    count, _ = np.histogram(values, edges)
    centres, filled = np.sqrt(edges[1:] * edges[:-1]), count > 0
    height = count / np.diff(edges) / len(values)
    error = height / np.sqrt(np.maximum(count, 1))
    ax.errorbar(
        centres[filled], height[filled], error[filled], fmt="o-", ms=3, lw=0.8, color=colour, label=label
    )
    ax.set(xscale="log", yscale="log")


def _guide(ax: Axes, power: float, label: str, level: float) -> None:
    x = np.geomspace(2e-3, 0.5, 10)
    ax.plot(x, level * x**power, color=THEORY, lw=2, label=label)


def _plot_exponents(ax: Axes, report: MeasuredNetworks, symbol: str, known: float, *, named: bool) -> None:
    names = list(report.exponents)
    for row, name in enumerate(names):
        e: Exponent | None = report.exponents[name].get(symbol)
        if e is None or e.value is None or e.low is None or e.high is None:
            why = "refused" if e else "no overlaps" if "fitted" in name else "not asked"
            ax.text(0.02, row, why, fontsize=7, color=GREY, va="center")
            continue
        colour = _colour_of(name)
        error = [[e.value - e.low], [e.high - e.value]]
        ax.errorbar(e.value, row, xerr=error, fmt="o", ms=5, color=colour, capsize=2)
        for end, off, arrow in ((-SHOWN, e.low < -SHOWN, "<"), (SHOWN, e.high > SHOWN, ">")):
            if off:  # the interval extends beyond the axes
                ax.plot(end, row, arrow, ms=6, color=colour, clip_on=False)
    ax.axvline(of.TALK_EXPONENTS[symbol], color=THEORY, lw=2, zorder=1)
    ax.axvline(known, color=GREY, lw=1, ls="--", zorder=1)
    ax.axvline(0, color="black", lw=0.6, zorder=1)
    ax.set(ylim=(len(names) - 0.5, -0.5), xlim=(-SHOWN, SHOWN))
    ax.set_yticks(range(len(names)), [n.replace("relu", UNITS["relu"]) for n in names] if named else [])
    ax.set_xlabel(f"{symbol}: the talk (yellow), isostatic mean field (dashed)")


def _colour_of(name: str) -> str:
    if name.startswith("spherical"):
        return SPHERICAL.get(name.split()[1], NETWORK)
    return NETWORK if "search" in name else BELOW if "below" in name else GREYS[-1]

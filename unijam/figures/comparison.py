"""Figures that compare jammed systems: one colour for each system, theory drawn over data, units on the axes."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..measurements.jammed import JammedSample, SeparateLaws, common_kind
from ..spectra.density import DensityOfStates, density_of_states
from ..statistics import DeltaStatistics
from ..theory.exponents import JAMMING_EXPONENTS
from ..theory.spectra import marchenko_pastur

COLOURS = {
    "spheres": "#2166ac",
    "spheres in 3D": "#17a2b8",
    "spheres in 4D": "#0b3954",
    "ellipses": "#1a9850",
    "network": "#d9610f",
    "perceptron": "#7b4fa3",
}
TITLES = {
    "spheres": "soft discs",
    "ellipses": "ellipses",
    "network": "deep network",
    "perceptron": "perceptron",
}
GREY = "#555555"
THEORY = "#e6b800"
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.labelsize": 9,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "figure.dpi": 130,
}


def plot_counts(ax: Axes, samples: Sequence[JammedSample], colour: str, *, isostatic: bool) -> None:
    """Draw (N_Δ + N_kink)/N_eff of the states of `jam` against the distance of the scale from its threshold."""
    for s in samples:
        ax.plot(s.distances, s.ratios, "-", lw=0.5, color=colour, alpha=0.35)
        ax.plot(s.distances, s.ratios, "o", ms=2.5, mew=0, color=colour, alpha=0.6)
    ax.axhline(1.0, color=GREY, lw=1, ls="--")
    ax.set_xscale("log")
    ratio, reduced = np.mean([s.ratio for s in samples]), np.mean([s.reduced_ratio for s in samples])
    if isostatic:
        _note(ax, r"isostatic: $N_\Delta = N_{\rm eff} + 1$", colour, (0.04, 0.95))
    else:
        _note(ax, f"{'hypostatic' if ratio < 1 else 'hyperstatic'}: {ratio:.2f}", colour, (0.04, 0.95))
    if reduced > 0:
        _note(ax, f"(copies merged: {reduced:.2f})", colour, (0.04, 0.87))


def plot_contact_law(ax: Axes, samples: Sequence[JammedSample]) -> None:
    """Add the excess contacts of discs, z − 4 = 3.6 (φ − φ_J)^½ (O'Hern et al. 2003), to the axes of `plot_counts`."""
    distance = np.geomspace(1e-6, max(s.distances.max() for s in samples), 60)
    excess = 2 * np.mean([s.threshold for s in samples]) * distance  # φ − φ_J, λ ≈ 1 diameter, d = 2
    ax.plot(
        distance,
        1 + 0.9 * np.sqrt(excess),  # N_Δ/N_eff = z/4, and 3.6/4 = 0.9
        color=THEORY,
        lw=2,
        zorder=1,
        label=r"$z-4=3.6\,\Delta\phi^{1/2}$",
    )
    ax.legend(loc="center left")


def plot_density_of_states(ax: Axes, samples: Sequence[JammedSample], colour: str, *, wishart: bool) -> None:
    """Draw D(ω) of H (filled), H0 (line), −Hp (dotted) and Hp (line), and Marchenko-Pastur for a perceptron."""
    # ω below a few per cent of √overlap counts as zero: the soft band that Hp lifts has ω ∝ √Δ
    lowest = 0.03 * np.sqrt(min(s.typical_overlap for s in samples))
    total = density_of_states([s.eigenvalues for s in samples], lowest=lowest * 1e-3)
    h0 = density_of_states([s.eigenvalues_h0 for s in samples], lowest=lowest)
    negative = density_of_states([-s.eigenvalues_hp for s in samples], lowest=lowest)
    positive = density_of_states([s.eigenvalues_hp for s in samples], lowest=lowest)
    _steps(ax, total, color=colour, fill=True, label=r"$H$")
    _steps(ax, h0, color="black", lw=1.1, label=r"$H_0$")
    for density, dashes, label in ((negative, ":", r"$H_p<0$"), (positive, "-", r"$H_p>0$")):
        if density.zero_modes < 0.999:
            _steps(ax, density, color="#b2182b", lw=1.0, ls=dashes, label=label)
    if wishart:
        ratio = float(np.mean([s.n_overlaps / s.n_dof for s in samples]))
        omega = np.geomspace(1e-3, 1.999, 400)
        ax.plot(omega, marchenko_pastur(omega, ratio, 0.0), color=THEORY, lw=2, label="Marchenko-Pastur")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.legend(loc="upper right", handlelength=1.4, labelspacing=0.25)
    if h0.zero_modes > 0.002:
        _note(ax, rf"$\ker H_0$: {100 * h0.zero_modes:.0f} % of modes", "black", (0.04, 0.10))


def plot_kernel_prestress(ax: Axes, samples: Sequence[JammedSample], colour: str) -> None:
    """Draw Hp on ker H0 over the typical overlap; where the kernel is empty, after 5 % of the overlaps are cut."""
    whole = np.concatenate([s.kernel_prestress for s in samples])
    cut = not whole.size
    values = np.concatenate([s.kernel_prestress_cut for s in samples]) if cut else whole
    edges = np.geomspace(1e-5, 100, 36)
    # values beyond the outermost bins are shown in them
    values = np.sign(values) * np.clip(np.abs(values), 1.01 * edges[0], 0.99 * edges[-1])
    centres = np.sqrt(edges[1:] * edges[:-1])
    for sign in (-1, 1):
        height, _ = np.histogram(sign * values, edges)
        ax.bar(
            sign * (np.log10(centres) + 5.5),
            height / max(values.size, 1),
            width=0.19,
            color="#b2182b" if sign < 0 else colour,
            lw=0,
        )
    ax.axvline(0, color="black", lw=1)
    ticks = np.array([-4, -1, 2])
    ax.set_xticks(np.concatenate([-(ticks[::-1] + 5.5), ticks + 5.5]))
    ax.set_xticklabels([f"$-10^{{{t}}}$" for t in ticks[::-1]] + [f"$10^{{{t}}}$" for t in ticks], fontsize=7)
    per_system = values.size / len(samples)
    if cut:
        _note(ax, "kernel empty;\n5 % of overlaps cut:", GREY, (0.55, 0.95))
    _note(ax, f"{per_system:.0f} modes a system", colour, (0.55, 0.79))
    if np.all(values < 0):
        _note(ax, "all < 0: unstable", "#b2182b", (0.04, 0.97))
    elif np.all(values > 0):
        _note(ax, "all > 0: held", colour, (0.55, 0.70))


def plot_delta_densities(
    ax: Axes, law: DeltaStatistics, colour: str, *, isostatic: bool, separate: SeparateLaws | None = None
) -> None:
    """Draw P₊ of overlaps and P₋ of gaps on logarithmic bins, and the fitted laws over their windows.

    For isostatic systems the laws of mean field are added in yellow. Where extended and localised contacts are told
    apart, P₊ of each is drawn instead of their mixture.
    """
    known = JAMMING_EXPONENTS
    curves = [(law.overlap_density, law.theta, known.theta_extended, "o", colour, r"P_+,\ \theta")]
    if separate is not None:
        one, other = separate.extended, separate.localised
        curves = [
            (one.overlap_density, one.theta, known.theta_extended, "o", colour, r"P_+,\ \theta_e"),
            (other.overlap_density, other.theta, known.theta_localised, "^", GREY, r"P_+,\ \theta_l"),
        ]
    curves.append((law.gap_density, law.gamma, known.gamma, "s", "white", r"P_-,\ \gamma"))
    for density, exponent, mean_field, marker, face, name in curves:
        sign = -1 if marker == "s" else 1
        ax.errorbar(
            density.centres,
            density.density,
            density.error,
            fmt=marker,
            ms=3.5,
            mfc=face,
            mec=colour,
            mew=0.8,
            color=colour,
            elinewidth=0.6,
            label=f"${name}$ = {exponent}",
        )
        if exponent.value is None or exponent.window is None:
            continue
        power = sign * exponent.value
        low, high = max(exponent.window[0], density.centres.min()), exponent.window[1]
        inside = (density.centres >= low) & (density.centres <= high) & (density.density > 0)
        if inside.any():
            level = np.exp(np.mean(np.log(density.density[inside]) - power * np.log(density.centres[inside])))
            line = np.geomspace(low, high, 20)
            ax.plot(line, level * line**power, "-" if sign > 0 else "--", color="black", lw=1.2, zorder=5)
            if isostatic:
                last, theory = density.centres[inside][-1], sign * mean_field
                ax.plot(line, level * last ** (power - theory) * line**theory, color=THEORY, lw=1.6, zorder=4)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.legend(
        loc="lower left", handlelength=0.8, labelspacing=0.3, frameon=True, framealpha=0.85, edgecolor="none"
    )


def comparison_figure(
    samples: Mapping[str, Sequence[JammedSample]],
    laws: Mapping[str, DeltaStatistics],
    caption: str,
    separate: Mapping[str, SeparateLaws] | None = None,
) -> Figure:
    """The figure that compares systems: one column each; rows are the count, the spectrum, Hp on ker H0, and P±(Δ).

    Names of systems are keys of `COLOURS` and `TITLES`; `laws` has the same keys as `samples`,
    `separate` those of systems whose extended and localised contacts are told apart.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            4, len(samples), figsize=(3.3 * len(samples), 12.2), sharey="row", squeeze=False
        )
        for column, (name, some) in enumerate(samples.items()):
            colour = COLOURS[name]
            isostatic = common_kind(some) == "isostatic"
            top, spectrum, kernel, laws_ax = axes[:, column]
            plot_counts(top, some, colour, isostatic=isostatic)
            top.set_title(TITLES[name], color=colour, fontweight="bold")
            plot_density_of_states(spectrum, some, colour, wishart=name == "perceptron")
            plot_kernel_prestress(kernel, some, colour)
            apart = (separate or {}).get(name)
            plot_delta_densities(laws_ax, laws[name], colour, isostatic=isostatic, separate=apart)
            if name == "spheres":
                plot_contact_law(top, some)
            top.set_xlabel("distance of the scale from its threshold\n(diameters; margin)")
            spectrum.set_xlabel(r"$\omega = \sqrt{\lambda}$  ($\sqrt{\rm contact\ stiffness}$)")
            kernel.set_xlabel(r"$H_p$ on $\ker H_0$ / typical overlap")
            laws_ax.set_xlabel(r"$\Delta/\langle\Delta\rangle$ (●),  $|\Delta|$ in diameters or margins (□)")
        for row, label in enumerate(
            (
                r"$N_\Delta\,/\,N_{\rm eff}$",
                r"density of states $D(\omega)$",
                "fraction of kernel modes",
                r"$P_\pm(\Delta)$",
            )
        ):
            axes[row, 0].set_ylabel(label)
            axes[row, 0].text(
                -0.24,
                1.02,
                f"({'abcd'[row]})",
                transform=axes[row, 0].transAxes,
                fontweight="bold",
                fontsize=11,
            )
        _same_limits(axes[0], (1e-9, 3), (0.4, 2.4))
        _same_limits(axes[1], (2e-7, 60), (2e-4, 3e4))
        _same_limits(axes[2], (-8, 8), (0, 1.08))
        _same_limits(axes[3], (1e-6, 20), (1e-3, 1e3))
        text = _wrapped(caption, 205)
        figure.tight_layout(rect=(0, 0.025 + 0.0115 * text.count("\n"), 1, 1), h_pad=1.2)
        figure.text(0.02, 0.01, text, fontsize=8.5, va="bottom")
    return figure


def _wrapped(text: str, width: int) -> str:
    return "\n".join(textwrap.fill(line, width) for line in text.split("\n"))


def _same_limits(row: Sequence[Axes], x: tuple[float, float] | None, y: tuple[float, float]) -> None:
    for ax in row:
        ax.set_ylim(*y)
        if x:
            ax.set_xlim(*x)


def _note(ax: Axes, text: str, colour: str, where: tuple[float, float]) -> None:
    ax.text(*where, text, color=colour, transform=ax.transAxes, va="top", fontsize=8)


def _steps(
    ax: Axes,
    d: DensityOfStates,
    *,
    fill: bool = False,
    color: Any,
    label: str,
    lw: float = 1.0,
    ls: str = "-",
) -> None:
    if not d.omega.size:
        return
    shown = np.where(d.density > 0, d.density, np.nan)
    if fill:
        ax.fill_between(
            d.omega,
            1e-6,
            np.nan_to_num(shown, nan=1e-6),
            step="mid",
            color=color,
            alpha=0.45,
            lw=0,
            label=label,
        )
    else:
        ax.step(d.omega, shown, where="mid", color=color, lw=lw, ls=ls, label=label)

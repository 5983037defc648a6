"""Figures of the study `jamming_of_particles`: scaling laws, ellipses, spectra."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...figures.comparison import COLOURS, GREY, STYLE, THEORY
from ...measurements import laws_of_packings as of
from ...measurements.kernel_energies import KernelEnergySample
from ...measurements.pressures import BranchSample
from ...spectra.density import density_of_states
from ...statistics import Estimate

COLOUR = {
    "discs": COLOURS["spheres"],
    "spheres": COLOURS["spheres in 3D"],
    "4D spheres": COLOURS["spheres in 4D"],
    "ellipses": COLOURS["ellipses"],
}
LABEL = {"discs": "discs", "spheres": "spheres (3D)", "4D spheres": "spheres (4D)", "ellipses": "ellipses"}
MARKER = {"discs": "o", "spheres": "s", "4D spheres": "^"}
BySize = Mapping[int, Sequence[BranchSample]]


def scaling_figure(
    scaling: Mapping[str, Sequence[BranchSample]],
    counting: Mapping[str, BySize],
    thresholds: Mapping[str, BySize],
) -> Figure:
    """The figure of scaling laws: U/n and p, z − z_iso, moduli, G/K, collapse of n(z − z_iso), and φ_J against n."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(2, 3, figsize=(12, 7.4))
        levels = axes[0, 1].inset_axes([0.6, 0.13, 0.37, 0.3])
        for name, samples in scaling.items():
            _plot_scaling(axes.ravel(), name, samples)
            _plot_level(levels, name, samples)
        levels.set(xscale="log", ylim=(0, None), title=r"$(z-z_{\rm iso})/\Delta\phi^{1/2}$")
        levels.title.set_fontsize(7)
        levels.tick_params(labelsize=6)
        for name, by_size in counting.items():
            if name in MARKER and name != "4D spheres":
                _plot_collapse(axes[1, 1], name, by_size)
        for name, by_size in thresholds.items():
            _plot_thresholds(axes[1, 2], name, by_size)
        excess, energy = r"$\phi-\phi_J$", r"$U/n$, $p$  (stiffness, diameters)"
        _finish(axes[0, 0], "(a)", excess, energy, loc="upper left")
        axes[0, 0].set_ylim(None, 1e4)
        _finish(axes[0, 1], "(b)", excess, r"$z-z_{\rm iso}$", loc="upper left")
        axes[0, 1].set_ylim(None, 10)
        _finish(
            axes[0, 2], "(c)", excess, r"$K$ (open), $G$ (filled)  (stiffness, diameters)", loc=(0.01, 0.58)
        )
        _finish(axes[1, 0], "(d)", r"$z-z_{\rm iso}$", r"$G/K$", loc="upper left")
        axes[1, 0].set_ylim(None, 0.5)
        axes[1, 1].axhline(2, color=THEORY, lw=2, zorder=5, label="one state of self stress: 2")
        axes[1, 1].set_ylim(1.2, None)
        axes[1, 1].set_yscale("log")
        axes[1, 1].set_yticks([2, 5, 10, 20, 50], ["2", "5", "10", "20", "50"])
        axes[1, 1].minorticks_off()
        _finish(axes[1, 1], "(e)", r"$p\,n^2$  (stiffness, diameters)", r"$n\,(z-z_{\rm iso})$")
        axes[1, 2].axhline(0, color=THEORY, lw=2, zorder=1)
        published = "0.842 (discs), 0.639 (spheres)"
        _finish(axes[1, 2], "(f)", r"$n$", rf"$\langle\phi_J\rangle$ less {published}", y="linear")
        figure.tight_layout()
    return figure


def _plot_scaling(axes: Sequence[Axes], name: str, samples: Sequence[BranchSample]) -> None:
    colour, marker, laws = COLOUR[name], MARKER[name], of.laws(samples)
    fields = ("excess", "energy", "pressure", "excess_coordination", "bulk", "shear")
    excess, energy, pressure, contacts, bulk, shear = of.means(samples, *fields)
    inside, error = of.window(samples), _errors(samples, "shear")
    data: Any = {"marker": marker, "ls": "", "ms": 4.5, "color": colour}
    line: Any = {"color": THEORY, "lw": 2, "zorder": 5}
    label = f"{LABEL[name]}, n = {samples[0].n}: "

    for y, power, symbol in ((energy, 2, "U/n"), (pressure, 1, "p")):
        face = {"mfc": "white" if symbol == "p" else colour}
        axes[0].plot(excess, y, **data | face, label=f"{label}{symbol}, {_short(laws[symbol])}")
        slope = rf"$\propto\Delta\phi^{power}$".replace("^1", "") if name == "discs" else None
        axes[0].plot(excess, y[-1] * (excess / excess[-1]) ** power, **line, label=slope)
    axes[1].plot(excess, contacts, **data, label=f"{label}{_short(laws['z − z_iso'])}")
    published = of.CONTACTS[name] * np.sqrt(excess)
    axes[1].plot(excess, published, **line, label=rf"${of.CONTACTS[name]}\,\Delta\phi^{{1/2}}$")
    axes[1].axhline(2 / samples[0].n, color=colour, lw=0.8, ls=":")
    axes[2].plot(excess, bulk, **data | {"mfc": "white"}, label=f"{label}K, {_short(laws['K'])}")
    axes[2].errorbar(excess, shear, error, **data, elinewidth=0.8, label=f"{label}G, {_short(laws['G'])}")
    first = name == "discs"
    _guide(axes[2], excess[inside], shear[inside], 0.5, label=r"$\propto\Delta\phi^{1/2}$" if first else None)
    ratio = shear / bulk
    law = laws["G/K against z − z_iso"]
    axes[3].errorbar(contacts, ratio, error / bulk, **data, elinewidth=0.8, label=f"{label}{_short(law)}")
    _guide(axes[3], contacts[inside], ratio[inside], 1.0, label=r"$\propto z-z_{\rm iso}$" if first else None)


def _plot_level(ax: Axes, name: str, samples: Sequence[BranchSample]) -> None:
    excess, contacts = of.means(samples, "excess", "excess_coordination")
    inside, error = of.window(samples), _errors(samples, "excess_coordination")
    for shown, face in ((inside, COLOUR[name]), (~inside, "white")):
        level, bar = (y[shown] / np.sqrt(excess[shown]) for y in (contacts, error))
        look: Any = {"fmt": MARKER[name], "ms": 3, "mfc": face, "elinewidth": 0.8}
        ax.errorbar(excess[shown], level, bar, color=COLOUR[name], **look)
    ax.axhline(of.CONTACTS[name], color=THEORY, lw=1.2, zorder=0)


def _plot_collapse(ax: Axes, name: str, by_size: BySize) -> None:
    pooled = []
    for k, (n, samples) in enumerate(by_size.items()):
        pressure, contacts, held = of.means(samples, "pressure", "excess_coordination", "n_bearing")
        data: Any = {"ls": "", "marker": MARKER[name], "ms": 3.5, "mfc": "none", "color": COLOUR[name]}
        shade = 0.35 + 0.65 * k / max(len(by_size) - 1, 1)
        ax.plot(pressure * n**2, contacts * held, **data, alpha=shade, label=f"{LABEL[name]}, n = {n}")
        pooled.append(np.array([pressure * n**2, contacts * held]))
    x, y = np.concatenate(pooled, axis=1)
    label = r"$\propto (p\,n^2)^{1/2}$" if name == "discs" else None
    _guide(ax, x[x > of.LARGE], y[x > of.LARGE], 0.5, label=label)


def _plot_thresholds(ax: Axes, name: str, by_size: BySize) -> None:
    values = [np.array([s.threshold for s in samples]) for samples in by_size.values()]
    sizes, known, colour = np.array(list(by_size)), of.THRESHOLDS[name], COLOUR[name]
    errors = [v.std() / np.sqrt(len(v)) for v in values]
    limit, shift = of.limit_threshold(by_size)
    half = (limit.high - limit.low) / 2
    label = rf"{LABEL[name]}: $\phi_J$ = {limit.value:.4f} ± {half:.4f} as $n\to\infty$"
    data: Any = {"fmt": MARKER[name], "ms": 4.5, "color": colour}
    ax.errorbar(sizes, [v.mean() - known for v in values], errors, **data, label=label)
    n = np.geomspace(sizes[0], 20 * sizes[-1], 50)
    power = -1 / (of.NU * next(iter(by_size.values()))[0].dimension)
    ax.plot(n, limit.value - shift.value * n**power - known, color=colour, lw=1)


def ellipses_figure(
    shapes: Mapping[int, Mapping[float, Sequence[BranchSample]]], energies: Sequence[KernelEnergySample]
) -> Figure:
    """The figure of ellipses: φ_J(α), z(α), and the energy along the modes of ker H0."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 3, figsize=(12, 3.9))
        _plot_densities(axes[0], next(iter(shapes.values())))
        _plot_contacts(axes[1], shapes)
        _finish(axes[1], "(b)", r"$\alpha-1$", r"$z-4$", loc="lower right")
        axes[1].set_ylim(0.025, 3)
        _plot_energies(axes[2], energies)
        _finish(
            axes[2],
            "(c)",
            r"displacement $\delta$ along a mode of $\ker H_0$ (diameters)",
            r"$U(\delta)-U(0)$",
        )
        figure.tight_layout()
    return figure


def _plot_densities(ax: Axes, shapes: Mapping[float, Sequence[BranchSample]]) -> None:
    alpha, (threshold, error), _ = of.shape_curves(shapes)
    at, largest = of.densest_shape(shapes)
    n = next(iter(shapes.values()))[0].n
    ax.errorbar(alpha, threshold, error, fmt="o", ms=4.5, color=COLOUR["ellipses"], label=f"n = {n}")
    x = np.geomspace(*of.DENSE, 60)
    label = f"parabola in ln α: {largest.value:.3f} at α = {at.value:.2f}"
    ax.plot(x, of.dense_parabola(shapes)(np.log(x)), color=COLOUR["ellipses"], lw=1, label=label)
    ax.axvspan(1.3, 1.6, color=THEORY, alpha=0.3, lw=0, label="largest, published: 1.3 to 1.6")
    _finish(ax, "(a)", r"aspect ratio $\alpha$", r"$\langle\phi_J\rangle$", y="linear", loc="lower right")
    bottom, top = ax.get_ylim()
    ax.set_ylim(bottom - 0.25 * (top - bottom))  # the legend lies below the points
    ax.set_xticks([1, 1.5, 2, 3, 4, 5], ["1", "1.5", "2", "3", "4", "5"])
    ax.minorticks_off()


def _plot_contacts(ax: Axes, by_size: Mapping[int, Mapping[float, Sequence[BranchSample]]]) -> None:
    data: Any = {"ls": "", "ms": 4.5, "color": COLOUR["ellipses"]}
    x = np.geomspace(0.003, 0.1, 9)
    for k, (n, shapes) in enumerate(by_size.items()):
        alpha, _, contacts = of.shape_curves(shapes)
        law, amplitude = of.contacts_of_shape(shapes)
        look = {"marker": "osD"[k], "mfc": "white" if k == 0 else COLOUR["ellipses"]}
        label = f"n = {n}: exponent {_short(law)} up to α = 1.1"
        ax.errorbar(alpha - 1, contacts[0] - 4, contacts[1], **data | look, label=label)
    half = amplitude * 0.03 ** (law.value - 0.5)
    ax.plot(x, half * x**0.5, color=THEORY, lw=2, zorder=4, label=r"$(\alpha-1)^{1/2}$")
    ax.axhline(2, color=GREY, lw=1, ls="--", label="isostatic, z = 6")


def _plot_energies(ax: Axes, energies: Sequence[KernelEnergySample]) -> None:
    delta = energies[0].displacement
    for k, pressure in enumerate(energies[0].pressure):
        modes = np.concatenate([s.energy[k] for s in energies])
        low, middle, high = np.nanquantile(modes, [0.1, 0.5, 0.9], axis=0)
        colour = plt.colormaps["Greens"](0.45 + 0.5 * k / max(len(energies[0].pressure) - 1, 1))
        ax.fill_between(delta, low, high, color=colour, alpha=0.2, lw=0)
        ax.plot(delta, middle, "o-", ms=3, lw=0.8, color=colour, label=f"p = {pressure:.0e} (stiffness)")
    law = of.energy_law(energies)
    inside = (delta >= of.MODES[0]) & (delta <= of.MODES[1])
    _guide(ax, delta[inside], middle[inside], 4.0, label=f"$\\delta^4$; measured {_short(law)}")


def ellipsoids_figure(
    spheroids: Mapping[float, Sequence[BranchSample]], triaxial: Mapping[float, Sequence[BranchSample]]
) -> Figure:
    """The figure of ellipsoids in space: φ_J(α) and z(α) of equal bodies, with published peaks and plateaus."""
    kinds = (
        ("spheroids, 1 : 1 : α", spheroids, "o", COLOUR["ellipses"], 0.71, 10),
        ("triaxial, 1 : √α : α", triaxial, "D", "#0b4d2a", 0.735, 11.4),
    )
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 2, figsize=(9, 3.9))
        for name, shapes, marker, colour, peak, plateau in kinds:
            alpha, threshold, contacts = of.shape_curves(shapes)
            look: Any = {"fmt": marker, "ms": 4.5, "color": colour}
            axes[0].errorbar(alpha, *threshold, **look, label=name)
            axes[1].errorbar(alpha, *contacts, **look)
            axes[0].axhline(peak, color=THEORY, lw=2, zorder=0)
            axes[1].axhline(plateau, color=THEORY, lw=2, zorder=0)
        axes[0].plot([], color=THEORY, lw=2, label="published: peaks, plateaus")
        for isostatic in (10, 12):
            axes[1].axhline(isostatic, color=GREY, lw=1, ls="--", zorder=1)
        axes[1].plot([], color=GREY, lw=1, ls="--", label="isostatic, z = 10 and 12")
        axes[1].axhline(6, color=GREY, lw=1, ls=":", zorder=1, label="spheres, z = 6")
        aspect = r"aspect ratio $\alpha$"
        _finish(axes[0], "(a)", aspect, r"$\langle\phi_J\rangle$", y="linear", loc="lower right")
        _finish(axes[1], "(b)", aspect, r"$z$", y="linear", loc=(0.55, 0.12))
        for ax in axes:
            ax.set_xticks([0.4, 0.6, 1, 1.5, 2, 3], ["0.4", "0.6", "1", "1.5", "2", "3"])
            ax.minorticks_off()
        figure.tight_layout()
    return figure


def spectra_figure(spectra: Mapping[str, Sequence[BranchSample]]) -> Figure:
    """The figure of spectra: D(ω) of discs and ellipses at several pressures, ω*(z − z_iso), and the soft band(p)."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(2, 2, figsize=(9, 7.4))
        for ax, letter, (name, samples) in zip(axes[0], "ab", spectra.items(), strict=True):
            pressure = of.means(samples, "pressure")[0]
            shown = np.flatnonzero(np.isfinite(pressure))[::2]
            if name == "discs":
                _plot_effective_medium(ax, samples, shown)
            for k in shown:
                values = of.table(samples, "eigenvalues")[:, 0, k]
                density = density_of_states([v[np.isfinite(v)] for v in values], bins_per_decade=6)
                colour = plt.colormaps["Blues" if name == "discs" else "Greens"](0.35 + 0.6 * k / shown[-1])
                ax.step(
                    density.omega,
                    np.where(density.density > 0, density.density, np.nan),
                    where="mid",
                    color=colour,
                    label=f"p = {pressure[k]:.0e} (stiffness)",
                )
            _finish(ax, f"({letter})", r"$\omega$  ($\sqrt{\rm stiffness}$)", rf"$D(\omega)$, {LABEL[name]}")
        samples = spectra["discs"]
        z, omega = (
            of.means(samples, "excess_coordination")[0],
            of.onset(of.table(samples, "eigenvalues_h0")[:, 0]),
        )
        law = of.onset_law(samples)
        axes[1, 0].plot(
            z, omega, "o", color=COLOUR["discs"], label=rf"$\omega^*$ of $H_0$, exponent {_short(law)}"
        )
        seen = np.isfinite(omega)
        _guide(axes[1, 0], z[seen], omega[seen], 1.0, label=r"$\propto z-z_{\rm iso}$")
        _finish(axes[1, 0], "(c)", r"$z-z_{\rm iso}$, discs", r"$\omega^*$")
        _plot_band(axes[1, 1], spectra["ellipses"])
        _finish(axes[1, 1], "(d)", r"$p$  (stiffness)", r"$\omega^2$, geometric mean")
        figure.tight_layout()
    return figure


def _plot_effective_medium(ax: Axes, samples: Sequence[BranchSample], shown: np.ndarray) -> None:
    omega = np.geomspace(3e-3, 1.0, 200)
    for density in of.marginal_densities(samples, omega)[shown]:
        seen = density > 0.1 * density[-1]
        ax.plot(omega[seen], density[seen], color=THEORY, lw=2, zorder=1)
    ax.plot([], [], color=THEORY, lw=2, label="effective medium, no fit")


def _plot_band(ax: Axes, samples: Sequence[BranchSample]) -> None:
    pressure, colour = of.means(samples, "pressure")[0], COLOUR["ellipses"]
    inside = pressure < of.STEADY
    for field, label, style in (
        ("kernel_prestress", r"$H_p$ on $\ker H_0$", {"ms": 7, "mfc": "white"}),
        ("eigenvalues", "soft band of $H$", {"ms": 3.5}),
    ):
        band = of.soft_band(samples, field).mean(axis=0)
        law = _short(of.band_law(samples, field))
        ax.plot(pressure, band, "o", color=colour, label=f"ellipses, {label}: exponent {law}", **style)
    _guide(ax, pressure[inside], band[inside], 1.0, label=r"$\propto p$")


def _guide(ax: Axes, x: np.ndarray, y: np.ndarray, power: float, label: str | None = None) -> None:
    """Draw a power law of a given exponent through points, if there are any."""
    if not x.size:
        return
    level = np.exp(np.mean(np.log(y) - power * np.log(x)))
    ends = np.array([x.min(), x.max()])
    ax.plot(ends, level * ends**power, color=THEORY, lw=2, zorder=5, label=label)


def _errors(samples: Sequence[BranchSample], field: str) -> np.ndarray:
    values = of.table(samples, field)[:, 0]
    return np.sqrt(of.mean((values - of.mean(values)) ** 2) / len(values))


def _short(law: Estimate) -> str:
    if np.isnan(law.value):
        return "not fitted"
    half = (law.high - law.low) / 2
    digits = 3 if half < 0.01 else 2
    return f"{law.value:.{digits}f} ± {half:.{digits}f}"


def _finish(ax: Axes, letter: str, x_label: str, y_label: str, y: str = "log", loc: Any = "best") -> None:
    ax.set_xscale("log")
    if ax.get_yscale() != y:  # else its ticks would be lost
        ax.set_yscale(y)
    ax.set_xlabel(x_label)
    ax.set_ylabel(y_label)
    ax.set_title(letter, loc="left", fontweight="bold")
    ax.legend(labelspacing=0.3, handlelength=1.4, loc=loc)

"""Laws, counts and thresholds of jamming from ensembles of packings, beside the published numbers.

`samples` are `BranchSample`s of packings of one kind and size, measured at the same pressures, in descending order.
Pressures are in contact stiffnesses and mean diameters. An `Estimate` has a 95 % interval, by resampling packings.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from scipy.optimize import brentq, least_squares
from scipy.special import betaincinv

from ..statistics import Estimate, estimate, exponent_of_means, kind_of, power_law
from ..theory.spectra import effective_medium
from .kernel_energies import KernelEnergySample
from .pressures import BranchSample

OHERN = "O'Hern, Silbert, Liu, Nagel, PRE 68, 011306 (2003)"
GOODRICH = "Goodrich, Liu, Nagel, PRL 109, 095704 (2012)"
WYART = "Wyart, Silbert, Nagel, Witten, PRE 72, 051306 (2005)"
DONEV = "Donev, Connelly, Stillinger, Torquato, PRE 75, 051304 (2007)"
MAILMAN = "Mailman, Schreck, O'Hern, Chakraborty, PRL 102, 255501 (2009)"
SCHRECK = "Schreck, Mailman, Chakraborty, O'Hern, PRE 85, 061305 (2012)"

CONTACTS = {"discs": 3.6, "spheres": 7.7}  # (z − z_iso)/Δφ^½, to 15 %
THRESHOLDS = {"discs": 0.842, "spheres": 0.639}  # φ_J, to 0.001
LEAST = 128  # n from which φ_J(n) is fitted: smaller packings lie below the law
NU = 0.71  # exponent of φ_J(n) = φ_J − a n^(−1/(dν))
# Δφ up to which laws are fitted: beyond, K itself changes by a tenth, and they are not yet power laws.
EXCESS = 2.6e-3
# n(z − z_iso) from which the laws of contacts and shear are fitted: both are too low with few contacts beyond z_iso.
MANY = 100.0
LARGE = 60.0  # p n² from which n(z − z_iso) is compared with its power law
SMALL = 9e-4  # p n² below which the count is that of jamming
SPARSE = 0.25  # mean density of modes below ω*, in units of the plateau
# Number of modes of a packing that a plateau would have below ω*: with fewer, ω* says nothing, since at jamming itself
# one or two are missing.
FEW = 2.0
DENSE = (1.2, 2.0)  # α between which the maximum of φ_J(α) is fitted
STEADY = 2e-3  # p below which the contacts of ellipses stay the same, so that the soft band follows p alone
MODES = (0.8e-2, 5e-2)  # δ between which the energy along kernel modes is fitted, at the lowest pressure


def table(samples: Sequence[BranchSample], *fields: str) -> np.ndarray:
    """Fields of samples, (samples, fields, pressures)."""
    return np.array([[getattr(s, field) for field in fields] for s in samples], float)


def means(samples: Sequence[BranchSample], *fields: str) -> np.ndarray:
    """Means of fields over samples, (fields, pressures); see `mean`."""
    return mean(table(samples, *fields))


def mean(values: np.ndarray) -> np.ndarray:
    """The mean over the first axis, without entries that are not finite; NaN where none is finite."""
    seen = np.isfinite(values)
    mean: np.ndarray = np.where(seen, values, 0.0).sum(axis=0) / np.where(
        seen.any(axis=0), seen.sum(axis=0), np.nan
    )
    return mean


def near(samples: Sequence[BranchSample]) -> np.ndarray:
    """Mask of the pressures, (pressures,), at which the laws of U, p and K are fitted: those near jamming."""
    mask: np.ndarray = means(samples, "excess")[0] <= EXCESS
    return mask


def window(samples: Sequence[BranchSample]) -> np.ndarray:
    """Mask of the pressures, (pressures,), at which the laws of contacts and shear are fitted.

    They are near jamming, but have n(z − z_iso) ≥ 100, so that finite size does not matter.
    """
    mask: np.ndarray = near(samples) & (samples[0].n * means(samples, "excess_coordination")[0] >= MANY)
    return mask


LAWS = {
    "U/n": ("energy", near),
    "p": ("pressure", near),
    "K": ("bulk", near),
    "z − z_iso": ("excess_coordination", window),
    "G": ("shear", window),
}


def laws(samples: Sequence[BranchSample]) -> dict[str, Estimate]:
    """Exponents, by name, of U/n, p, K, z − z_iso, G and G/K against Δφ, and of G/K against z − z_iso."""
    found = {
        symbol: estimate(exponent_of_means, table(samples, "excess", field)[:, :, fitted(samples)])
        for symbol, (field, fitted) in LAWS.items()
    }

    def of_ratio(t: np.ndarray) -> float:
        x, shear, bulk = mean(t)
        return power_law(x, shear / bulk)[0]

    for x, name in (("excess", "G/K"), ("excess_coordination", "G/K against z − z_iso")):
        found[name] = estimate(of_ratio, table(samples, x, "shear", "bulk")[:, :, window(samples)])
    return found


def corrected_contacts(samples: Sequence[BranchSample]) -> Estimate:
    """The exponent b of z − z_iso = A Δφ^b (1 + B Δφ^½), fitted at all pressures with n(z − z_iso) ≥ 100.

    NaN for fewer than four of them.
    """
    inside = samples[0].n * means(samples, "excess_coordination")[0] >= MANY
    if inside.sum() < 4:
        return Estimate(np.nan, np.nan, np.nan)

    def exponent(t: np.ndarray) -> float:
        x, y = np.log(mean(t))

        def misses(q: np.ndarray) -> np.ndarray:
            # B ≥ −0.9 keeps the logarithm defined during the fit
            missed: np.ndarray = q[0] + q[1] * x + np.log1p(max(q[2], -0.9) * np.exp(x / 2)) - y
            return missed

        return float(least_squares(misses, (1.0, 0.5, 1.0)).x[1])

    return estimate(exponent, table(samples, "excess", "excess_coordination")[:, :, inside])


def by_decade(samples: Sequence[BranchSample]) -> Iterator[tuple[float, float, dict[str, Estimate]]]:
    """Exponents of p, z − z_iso and G for each decade of p: yields the largest and least Δφ, and estimates by name."""
    excess, pressure = means(samples, "excess", "pressure")
    for k, top in enumerate(pressure):
        # a decade below `top`; 5 %, since pressures are met within 2 %
        inside = (pressure <= 1.05 * top) & (pressure >= 0.095 * top)
        if pressure[-1] > 0.105 * top or not inside.sum() > 1:
            continue
        found = {
            symbol: estimate(exponent_of_means, table(samples, "excess", LAWS[symbol][0])[:, :, inside])
            for symbol in ("p", "z − z_iso", "G")
        }
        yield float(excess[k]), float(excess[inside][-1]), found


def contacts_amplitude(samples: Sequence[BranchSample]) -> Estimate:
    """(z − z_iso)/Δφ^½, geometric mean over the pressures of `window`; NaN where there are none."""
    if not window(samples).any():
        return Estimate(np.nan, np.nan, np.nan)

    def amplitude(t: np.ndarray) -> float:
        excess, contacts = mean(t)
        return float(np.exp(np.mean(np.log(contacts / np.sqrt(excess)))))

    return estimate(amplitude, table(samples, "excess", "excess_coordination")[:, :, window(samples)])


def limit_threshold(by_size: Mapping[int, Sequence[BranchSample]]) -> tuple[Estimate, Estimate]:
    """φ_J and a of φ_J(n) = φ_J − a n^(−1/(dν)), from samples by n.

    Least squares over the means for n ≥ 128 (or for all n where fewer than two are that large), each weighed by its
    error.
    """
    large = {n: samples for n, samples in by_size.items() if n >= LEAST}
    by_size = large if len(large) > 1 else by_size
    sizes = np.array(list(by_size))
    x = sizes ** (-1.0 / (NU * next(iter(by_size.values()))[0].dimension))
    thresholds = [np.array([s.threshold for s in samples]) for samples in by_size.values()]
    weights = [np.sqrt(len(t)) / t.std() for t in thresholds]

    def fit(*tables: np.ndarray) -> np.ndarray:
        return np.polyfit(x, [t.mean() for t in tables], 1, w=weights)

    return estimate(lambda *t: fit(*t)[1], *thresholds), estimate(lambda *t: -fit(*t)[0], *thresholds)


def isostatic_fraction(samples: Sequence[BranchSample]) -> Estimate:
    """The fraction of isostatic packings at the highest pressure with p n² < 9e-4, and its 95 % interval.

    The interval is that of Clopper and Pearson.
    """
    small = means(samples, "pressure")[0] * samples[0].n ** 2 < SMALL
    fields = ("n_overlaps", "n_effective", "self_stresses")
    counts = zip(*(table(samples, name)[:, 0, small][:, 0].astype(int) for name in fields), strict=True)
    kinds = [kind_of(*(int(number) for number in count)) for count in counts]
    n, k = len(kinds), kinds.count("isostatic")
    low = betaincinv(k, n - k + 1, 0.025) if k else 0.0
    return Estimate(k / n, float(low), float(betaincinv(k + 1, n - k, 0.975)) if k < n else 1.0)


def shape_curves(shapes: Mapping[float, Sequence[BranchSample]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """α, (shapes,), and φ_J and z with their standard errors, (2, shapes) each; z is that at the lowest pressure."""
    rows = [
        [[s.threshold for s in samples], [s.coordination[-1] for s in samples]] for samples in shapes.values()
    ]
    of_shape = [(np.mean(row, axis=1), np.std(row, axis=1) / np.sqrt(len(row[0]))) for row in rows]
    curves = np.array(of_shape)  # (shapes, mean or error, φ_J or z)
    return np.array(list(shapes)), curves[:, :, 0].T, curves[:, :, 1].T


def contacts_of_shape(shapes: Mapping[float, Sequence[BranchSample]]) -> tuple[Estimate, float]:
    """The exponent of z − 4 against α − 1 for 1 < α ≤ 1.1, and the amplitude, from samples by α."""
    near = {alpha: samples for alpha, samples in shapes.items() if 1 < alpha < 1.101}
    x = np.array(list(near)) - 1
    z = [[s.coordination[-1] for s in samples] for samples in near.values()]

    def fit(*tables: np.ndarray) -> tuple[float, float]:
        return power_law(x, np.array([t.mean() for t in tables]) - 4)

    return estimate(lambda *t: fit(*t)[0], *z), fit(*map(np.array, z))[1]


def densest_shape(shapes: Mapping[float, Sequence[BranchSample]]) -> tuple[Estimate, Estimate]:
    """α and φ_J at the maximum of φ_J(α), by a parabola in ln α over `DENSE`; the intervals are of this fit alone."""
    x, thresholds = _dense(shapes)

    def top(*tables: np.ndarray) -> tuple[float, float]:
        parabola = _parabola(x, tables)
        at = float(parabola.deriv().roots()[0])
        return float(np.exp(at)), float(parabola(at))

    return estimate(lambda *t: top(*t)[0], *thresholds), estimate(lambda *t: top(*t)[1], *thresholds)


def dense_parabola(shapes: Mapping[float, Sequence[BranchSample]]) -> np.polynomial.Polynomial:
    """The parabola of `densest_shape`, a polynomial in ln α."""
    return _parabola(*_dense(shapes))


def _dense(shapes: Mapping[float, Sequence[BranchSample]]) -> tuple[np.ndarray, list[np.ndarray]]:
    near = {alpha: samples for alpha, samples in shapes.items() if 0.99 * DENSE[0] < alpha < 1.01 * DENSE[1]}
    return np.log(list(near)), [np.array([s.threshold for s in samples]) for samples in near.values()]


def _parabola(x: np.ndarray, thresholds: Sequence[np.ndarray]) -> np.polynomial.Polynomial:
    return np.polynomial.Polynomial.fit(x, [t.mean() for t in thresholds], 2)


def plateau(eigenvalues: np.ndarray) -> float:
    """The plateau of D(ω), a float: the mean from ω = 0.3 to 1 at the lowest pressure.

    `eigenvalues` are (samples, pressures, n), NaN beyond the last.
    """
    omega = _frequencies(eigenvalues[:, -1])
    return float(np.mean((omega > 0.3) & (omega < 1.0))) / 0.7


def _frequencies(eigenvalues: np.ndarray) -> np.ndarray:
    omega: np.ndarray = np.sqrt(np.maximum(np.sort(eigenvalues[np.isfinite(eigenvalues)]), 0.0))
    return omega


def marginal_densities(samples: Sequence[BranchSample], omega: np.ndarray) -> np.ndarray:
    """D(ω) of effective medium theory at marginal stability, (pressures, ω), without a fitted number.

    The plateau and ω* are read from H0, which has no prestress (ω₀ = ω*): there the mean density below ω is the
    plateau times √(1 − y²) − y arccos y, y = ω*/ω, which is a quarter at `onset`. NaN where `onset` is NaN.
    """
    eigenvalues = table(samples, "eigenvalues_h0")[:, 0]
    level, y = plateau(eigenvalues), brentq(lambda y: np.sqrt(1 - y**2) - y * np.arccos(y) - SPARSE, 0, 1)
    found = np.full((eigenvalues.shape[1], omega.size), np.nan)
    for k, star in enumerate(onset(eigenvalues)):
        if np.isfinite(star):
            found[k] = effective_medium(omega, level, y * star, 0.0)
    return found


def onset(eigenvalues: np.ndarray) -> np.ndarray:
    """ω*, (pressures,), of eigenvalues (samples, pressures, n): below it D(ω) is on average a quarter of its plateau.

    The plateau is that at the lowest pressure. ω* is NaN where a plateau would have fewer than two modes of a packing
    below it: at jamming itself one or two are missing (`missing_modes`), whatever the size.
    """
    found: list[float] = []
    level = plateau(eigenvalues)
    for of_pressure in np.moveaxis(eigenvalues, 1, 0)[::-1]:
        omega = _frequencies(of_pressure)
        below = np.arange(1, omega.size + 1) < SPARSE * level * omega * omega.size
        last = omega[np.flatnonzero(below)[-1]] if below.any() else 0.0
        found.append(last if level * last * omega.size >= FEW * len(of_pressure) else np.nan)
    return np.array(found[::-1])


def onset_law(samples: Sequence[BranchSample]) -> Estimate:
    """The exponent of ω* of H0 against z − z_iso, over the pressures where `onset` finds one."""
    fields = (table(samples, "excess_coordination"), table(samples, "eigenvalues_h0")[:, 0])

    def slope(rows: np.ndarray) -> float:
        omega = onset(fields[1][rows])
        seen = np.isfinite(omega)
        return power_law(fields[0][rows, 0].mean(axis=0)[seen], omega[seen])[0]

    return estimate(slope, np.arange(len(samples)))


def soft_band(samples: Sequence[BranchSample], field: str = "kernel_prestress") -> np.ndarray:
    """The geometric mean of a soft band, (samples, pressures).

    With "kernel_prestress" it is that of the eigenvalues of Hp on ker H0, with "eigenvalues" that of equally many
    lowest eigenvalues of H.
    """
    values, kernel = table(samples, field)[:, 0], table(samples, "kernel_prestress")[:, 0]
    logs = np.where(np.isfinite(kernel), np.log(values), np.nan)
    means_of_logs: np.ndarray = np.exp(mean(np.moveaxis(logs, 2, 0)))
    return means_of_logs


def band_law(samples: Sequence[BranchSample], field: str = "kernel_prestress") -> Estimate:
    """The exponent of `soft_band` against p, over pressures below 2e-3."""
    pressure = table(samples, "pressure")[:, 0]
    x_and_y = np.stack([pressure, soft_band(samples, field)], axis=1)
    return estimate(exponent_of_means, x_and_y[:, :, pressure.mean(axis=0) < STEADY])


def energy_law(samples: Sequence[KernelEnergySample]) -> Estimate:
    """The exponent of the energy along kernel modes against δ, at the lowest pressure: the median over modes."""
    delta = samples[0].displacement
    inside = (delta >= MODES[0]) & (delta <= MODES[1])

    def median(rows: np.ndarray) -> float:
        slopes = [
            power_law(delta[inside], mode[inside])[0]
            for k in rows
            for mode in samples[k].energy[-1]
            if np.isfinite(mode).all()
        ]
        return float(np.median(slopes))

    return estimate(median, np.arange(len(samples)), n_draws=100)

"""The report of packings: from samples that obey known laws, it must find these, say so in JSON, and draw them."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from unijam.measurements import laws_of_packings as of
from unijam.measurements.kernel_energies import KernelEnergySample
from unijam.measurements.pressures import BranchSample
from unijam.study.reports.jamming_of_particles import ParticlesReport
from unijam.theory.spectra import effective_medium

PRESSURES = 10 ** -np.arange(2.5, 8.1, 0.5)
RNG = np.random.default_rng(0)


def branch(n=4000, dimension=2, threshold=0.842, coordination=None, extra=None, contacts=3.6, alpha=1.4):
    """A packing whose G/K is 0.24 (z − z_iso), K = 0.35, p = K Δφ/φ_J."""
    bulk, k, noise = 0.35, len(PRESSURES), RNG.normal(1.0, 0.02, len(PRESSURES))
    excess = PRESSURES * threshold / bulk
    surplus = contacts * np.sqrt(excess) * noise if extra is None else extra / n
    effective = np.full(k, dimension * (n - 1.0))
    overlaps = effective + n * surplus / 2 if coordination is None else np.full(k, n * coordination / 2)
    modes = min(n, 1000)
    omega = np.sort(np.linspace(0, 1.5, modes) + 0.2 * surplus[:, None], axis=1)
    spectrum = np.pad(omega**2, ((0, 0), (0, dimension * modes - modes)), constant_values=np.nan)
    kernel = np.full((k, dimension * modes), np.nan)
    kernel[:, :5] = 0.17 * PRESSURES[:, None] * np.arange(1, 6)
    spectrum_h = spectrum.copy()
    spectrum_h[:, :5] = kernel[:, :5]
    shear = 0.24 * bulk * surplus * RNG.normal(1.0, 0.05, k)
    return BranchSample(
        *("converged", n, dimension, dimension * n, threshold, excess, PRESSURES * excess / 2, PRESSURES),
        *(0 * excess, np.full(k, float(n)), overlaps, effective, np.full(k, bulk), shear, shear, np.ones(k)),
        *(spectrum_h, spectrum, kernel),
    )


def pushed():
    delta = 10 ** np.arange(-3.5, -0.9, 0.25)
    energy = np.full((2, 9, len(delta)), np.nan)
    energy[:, :4] = np.array([1e-4, 1e-8])[:, None, None] * delta**2 + 0.01 * delta**4
    return KernelEnergySample("converged", np.array([1e-4, 1e-8]), delta, energy)


@pytest.fixture(scope="module")
def report():
    def sized(sizes, **more):
        return {
            n: [
                branch(n, extra=2 + 5 * np.sqrt(PRESSURES * n**2) * (PRESSURES * n**2 > 1e-2), **more)
                for _ in range(40)
            ]
            for n in sizes
        }

    shift = {n: 0.842 - 0.12 * n ** (-1 / (2 * of.NU)) for n in (32, 64, 128)}
    shapes = {
        alpha: [
            branch(
                50,
                3,
                threshold=0.895 - 0.2 * np.log(alpha / 1.42) ** 2 + RNG.normal(0, 1e-4),
                coordination=4 + 1.85 * min(alpha - 1, 1) ** 0.5,
            )
            for _ in range(4)
        ]
        for alpha in (1.003, 1.01, 1.03, 1.1, 1.2, 1.4, 1.6, 2.0, 3.0)
    }
    return ParticlesReport(
        scaling={
            "discs": [branch() for _ in range(10)],
            "spheres": [branch(2000, 3, 0.639, contacts=7.7) for _ in range(10)],
        },
        counting={"discs": sized((32, 64)), "4D spheres": sized((32,), dimension=4)},
        thresholds={
            "discs": {
                n: [branch(n, threshold=t + RNG.normal(0, 1e-4)) for _ in range(9)] for n, t in shift.items()
            }
        },
        shapes={50: shapes, 200: {a: shapes[a] for a in (1.003, 1.01, 1.03, 1.1)}},
        spectra={
            "discs": [branch(1000) for _ in range(6)],
            "ellipses": [branch(60, 3, coordination=5.5) for _ in range(6)],
        },
        energies=[pushed() for _ in range(3)],
    )


def test_laws_that_hold_are_found_and_agree(report):
    checks = {c["name"]: c for c in report.checks}
    assert [name for name, c in checks.items() if c["verdict"] != "agrees"] == []
    for kind in ("discs", "spheres"):
        for symbol, value in (("U/n", 2), ("p", 1), ("K", 0), ("z − z_iso", 0.5), ("G", 0.5), ("G/K", 0.5)):
            assert checks[f"{kind}: exponent of {symbol}"]["value"] == pytest.approx(value, abs=0.03)
        assert checks[f"{kind}: exponent of G/K against z − z_iso"]["value"] == pytest.approx(1, abs=0.05)
    assert checks["discs: φ_J, n → ∞"]["value"] == pytest.approx(0.842, abs=3e-4)
    assert checks["discs: a of φ_J(n) = φ_J − a n^(−1/νd)"]["value"] == pytest.approx(0.12, abs=0.01)
    assert checks["ellipses: α of the largest φ_J"]["value"] == pytest.approx(1.42, abs=0.02)
    assert checks["ellipses: exponent of Hp on ker H0 against p"]["value"] == pytest.approx(1, abs=1e-9)


def test_intervals_are_about_their_values(report):
    for c in report.checks:
        assert c["low"] <= c["value"] <= c["high"], c["name"]


def test_laws_that_do_not_hold_disagree(report):
    worse = [branch(contacts=6.0) for _ in range(10)]
    other = ParticlesReport(
        **{f.name: getattr(report, f.name) for f in dataclasses.fields(report)}
        | {"scaling": {"discs": worse}}
    )
    checks = {c["name"]: c["verdict"] for c in other.checks}
    assert checks["discs: (z − z_iso)/Δφ^½"] == "disagrees"


def test_a_correction_to_scaling_is_told_from_the_exponent():
    """z − z_iso = 2.9 Δφ^½ (1 + 2 Δφ^½): its slope is 0.52 over the window, its exponent ½."""
    excess = PRESSURES * 0.842 / 0.35
    samples = [
        branch(10_000, extra=29_000 * np.sqrt(excess) * (1 + 2 * np.sqrt(excess)) * RNG.normal(1, 2e-3, 12))
        for _ in range(8)
    ]
    assert of.laws(samples)["z − z_iso"].value == pytest.approx(0.52, abs=0.01)
    found = of.corrected_contacts(samples)
    assert found.value == pytest.approx(0.5, abs=0.01) and found.low < 0.5 < found.high


def test_the_onset_of_a_plateau_follows_its_shift():
    """Modes evenly spread from ω₀ on: a quarter of the plateau's density is reached on average at 4/3 ω₀."""
    for start in (0.05, 0.2):
        omega = np.stack([np.linspace(start, 2.0, 4000), np.linspace(0.0, 2.0, 4000)])
        found = of.onset(omega[None] ** 2)
        assert found[0] == pytest.approx(4 / 3 * start, rel=0.06) and np.isnan(found[1])


def test_the_marginal_density_is_that_of_an_effective_medium_of_the_same_h0():
    """H0 drawn from the theory's own law, D_p √(1 − ω*²/ω²): its plateau and ω* are found again."""
    omega = np.linspace(0.0, 2.0, 200_001)[1:]
    spectra = []
    for star in (0.05, 1e-9):
        law = effective_medium(omega, 0.5, star, star)
        spectra.append(np.interp((np.arange(4000) + 0.5) / 4000, np.cumsum(law) / law.sum(), omega) ** 2)
    sample = SimpleNamespace(eigenvalues_h0=np.array(spectra))
    found = of.marginal_densities([sample], omega)
    expected = effective_medium(omega, 0.5, 0.05, 0.0)
    np.testing.assert_allclose(found[0], expected, atol=0.02)
    assert np.isnan(found[1]).all()


def test_figures_and_json_are_written(report, tmp_path):
    figures = report.write(tmp_path, {"shapes": [1.4]}, 1.0)
    assert all(path.stat().st_size > 20_000 for path in figures)
    record = json.loads((tmp_path / "jamming_of_particles.json").read_text())
    assert set(record) == {"configuration", "seconds", "checks", "by_decade"}
    first = record["by_decade"][0]
    assert first["kind"] == "discs" and first["from"] / first["to"] == pytest.approx(10)
    assert all(
        abs(d["z − z_iso"][0] - 0.5) < 0.05 and d["p"][0] == pytest.approx(1) for d in record["by_decade"]
    )
    wanted = {"name", "value", "low", "high", "reference", "source", "verdict"}
    assert all(set(c) - {"tolerance"} == wanted for c in record["checks"])
    report.print_table()

"""The report of networks: from samples that obey known laws, it must find these, say so in JSON, and draw them."""

import json

import numpy as np
import pytest

from unijam.measurements import states_of_networks as of
from unijam.measurements.jammed import JammedSample
from unijam.measurements.landscape import LandscapeSample
from unijam.measurements.margins import MarginCurve
from unijam.measurements.transition import ThresholdSample, _transition
from unijam.study.reports.transition_of_networks import NetworksReport

N, RNG = 60, np.random.default_rng(0)


def deltas(n, theta=0.3, gamma=0.2, mean=1.0):
    """Overlaps of exponent θ and gaps of exponent γ."""
    overlaps = mean * RNG.gamma(1 + theta, size=n // 2)
    return np.concatenate([overlaps, -RNG.gamma(1 - gamma, size=n - n // 2)])


def landscape(n_data, fitted, states=1):
    """Two runs: U/P = 0.01 and N_Δ = 0.75 N where not all data are fitted, Hp symmetric and ∝ √U."""
    lead, whole = (2, states), np.full((2, states, N), np.nan)
    energy = 0.0 if fitted else 0.01 * RNG.lognormal(size=lead)
    hp = np.sort(np.concatenate([v := RNG.normal(size=N // 2), -v]))
    return LandscapeSample(
        n_dof=N,
        n_data=n_data,
        status=np.full(lead, "fitted" if fitted else "converged"),
        certified=np.full(lead, not fitted),
        energy=energy * np.ones(lead),
        relative_gradient=np.full(lead, 1e-11),
        n_overlaps=np.full(lead, 0 if fitted else 45),
        n_kinks=np.full(lead, 0 if fitted else 6),
        n_effective=np.full(lead, 0 if fitted else N),
        n_negative_hp=np.full(lead, 30),
        n_negative=np.zeros(lead, int),
        eigenvalues_h0=whole if fitted else np.ones((*lead, N)),
        eigenvalues_hp=whole if fitted else np.sqrt(energy)[..., None] * hp,
        eigenvalues=whole if fitted else np.broadcast_to(np.geomspace(1e-3, 1, N), (*lead, N)),
        kernel_prestress=whole if fitted else np.where(np.arange(N) < 4, 0.1, np.nan) * np.ones((*lead, 1)),
        delta=np.array([[deltas(800) for _ in range(states)] for _ in range(2)]),
        seconds=np.ones(2),
    )


def threshold(n_data):
    end = {
        "status": "converged",
        "certified": True,
        "energy": 0.05,
        "n_overlaps": 45,
        "n_kinks": 6,
        "n_effective": N,
    }
    tried = {"n_data": np.array([180]), "fitted": np.array([True]), "seconds": np.ones(1)}
    return ThresholdSample(
        algorithm="some search",
        n_dof=N + 5,
        n_symmetric=5,
        largest_fitted=n_data - 1,
        smallest_missed=n_data + 1,
        **tried,
        **end,
    )


def jammed(kinks):
    one = np.ones(1)
    numbers = {
        "energy": 1e-14,
        "relative_gradient": 1e-9,
        "typical_overlap": 1e-7,
        "threshold": 0.01,
        "seconds": 1.0,
    }
    counts = {"n_dof": N, "n_effective": N, "n_overlaps": 40, "n_kinks": kinks}
    counts |= {"ratio": (40 + kinks) / N, "reduced_ratio": 1.0}
    modes = {"n_rattlers_dof": 0, "negative_modes": 0, "negative_modes_hp": 30, "self_stresses": 1}
    arrays = dict.fromkeys(
        ("distances", "ratios", "relative_gradients", "eigenvalues_h0", "eigenvalues_hp"), one
    )
    arrays |= {
        "eigenvalues": one,
        "kernel_prestress": 0.1 * one,
        "kernel_prestress_cut": one,
        "delta": deltas(600, mean=1e-7),
    }
    return JammedSample(status="converged", **counts, **modes, **numbers, **arrays)


@pytest.fixture(scope="module")
def report():
    loads = {120: True, 180: True, 240: False, 300: False}
    found = [threshold(3 * N + k) for k in (-4, 0, 0, 4)]
    return NetworksReport(
        times=(100, 1000),
        transitions={(depth, 9): _transition(found, 60, 400, "complete") for depth in (1, 2)},
        descents={p: [landscape(p, fits, 3) for _ in range(3)] for p, fits in loads.items()},
        minima={p: [landscape(p, fits) for _ in range(3)] for p, fits in loads.items()},
        jammed={"relu": [jammed(20) for _ in range(6)], "tanh": [jammed(0) for _ in range(6)]},
        margins={0: margins([0.471, 0.186, 0.0, -0.08]), 1: margins([0.1, 0.02, 1e-3, 0.0])},
    )


def margins(means):
    """κ_J at P/N = 1, 1.5, 2, 2.5 of four starts that scatter by a hundredth or two."""
    thresholds = np.outer(means, [0.99, 1.01, 0.98, 1.02])
    return MarginCurve("jam", 100, np.array([100, 150, 200, 250]), thresholds, np.ones(4))


def value(report, name):
    return next(c for c in [*report.checks, *report.measured] if c["name"] == name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("depth 2, N_eff = 60: P/N*", 3.0),
        ("depth 2, N_eff = 60: N_Δ/N_eff just above, all states", 0.75),
        ("depth 2, N_eff = 60: N_Δ/N_eff just above, minima", 0.75),
        ("largest over smallest P/N* of the depths", 1.0),
        ("Adam, 1000 steps: P/N*", 3.5),
        ("search: N_Δ/N_eff just above", 0.75),
        ("search: (N_Δ + N_kink)/N_eff just above", 0.85),
        ("search: runs with 0 < N_Δ < 0.4 N_eff", 0.0),
        ("minima of the search: N₋/N_eff of Hp", 0.5),
        ("minima of the search: Hp < 0 on ker H0", 0.0),
        ("exponent of ‖Hp‖ against U/P", 0.5),
        ("spherical relu at jamming: (N_Δ + N_kink)/N_eff", 1.0),
        ("depth 1, spherical: κ_J = 0 at P/N", 2.25),
        ("depth 0, spherical: κ_J at P/N = 1.5", 0.186),
    ],
)
def test_known_numbers_are_found(report, name, expected):
    found = value(report, name)
    assert found["value"] == pytest.approx(expected, rel=0.15, abs=1e-9)
    assert found["low"] <= found["value"] <= found["high"]


def test_exponents_are_measured_apart(report):
    """θ and γ drawn with 0.3 and 0.2; nothing relates one to the other."""
    for kind in ("minima of the search", "spherical tanh at jamming"):
        theta, gamma = report.exponents[kind]["θ"], report.exponents[kind]["γ"]
        assert theta.low < 0.3 < theta.high
        assert gamma.low < 0.2 < gamma.high


def test_the_fraction_of_few_alike_runs_has_an_interval():
    share = of.fraction(np.ones(8, bool))
    assert (share.value, share.high) == (1.0, 1.0)
    assert 0.6 < share.low < 0.8  # exact (Clopper-Pearson): 0.63


def test_it_is_written_and_drawn(report, tmp_path):
    figures = report.write(tmp_path, {"runs": 6}, 1.0)
    record = json.loads((tmp_path / "transition_of_networks.json").read_text())
    assert [path.exists() for path in figures] == [True] * 4
    assert {"configuration", "seconds", "checks", "search"} <= set(record)
    keys = {"name", "value", "low", "high", "reference", "source", "verdict"}
    assert all(keys <= set(c) for c in record["checks"])

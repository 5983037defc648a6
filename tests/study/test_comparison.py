"""The report of the comparison: θ of extended and of localised contacts, each beside its own theory."""

import json
from dataclasses import replace

import numpy as np
import pytest

import unijam as uj
from unijam.measurements import measure_jammed
from unijam.study.reports.comparison import Comparison


@pytest.fixture(scope="module")
def samples():
    """Ten samples of known laws: overlaps of Γ(1.42311) and, of bucklers, Γ(1.17462); gaps of |Δ|^(−0.41)."""
    measured = measure_jammed(uj.SoftSpheres.random(n=24, radii="uniform", packing_fraction=0.95))
    random, found = np.random.default_rng(0), []
    for _ in range(10):
        extended, localised = (1e-8 * random.gamma(1 + theta, size=1500) for theta in (0.42311, 0.17462))
        gaps = -0.25 * random.random(500) ** (1 / 0.59)
        mask = np.repeat([False, True, False], [1500, 1500, 500])
        found.append(replace(measured, delta=np.concatenate([extended, localised, gaps]), localised=mask))
    return found


def test_contacts_of_bucklers_are_reported_apart(samples, tmp_path, capsys):
    report = Comparison({"spheres": samples})
    checks = {entry["name"]: entry for entry in report.checks()}
    assert "spheres: θ" not in checks
    for name, theta in (("spheres: θ_e", 0.42311), ("spheres: θ_l", 0.17462)):
        assert checks[name]["reference"] == theta and checks[name]["verdict"] == "agrees"
        assert checks[name]["low"] < theta < checks[name]["high"]
    (path,) = report.write(tmp_path, {}, 0.0)
    entry = json.loads(path.with_suffix(".json").read_text())["systems"]["spheres"]
    assert entry["theta_extended"]["value"] == pytest.approx(0.42311, abs=0.1)
    assert entry["theta_localised"]["value"] == pytest.approx(0.17462, abs=0.1)
    report.print_table()
    assert "θ_e, θ_l" in capsys.readouterr().out


def test_samples_that_do_not_tell_them_apart_have_one_exponent(samples, tmp_path):
    older = [replace(sample, localised=float("nan")) for sample in samples]
    report = Comparison({"spheres": older})
    assert {"spheres: θ", "spheres: γ"} <= {entry["name"] for entry in report.checks()}
    (path,) = report.write(tmp_path, {}, 0.0)
    assert json.loads(path.with_suffix(".json").read_text())["systems"]["spheres"]["theta_extended"] is None

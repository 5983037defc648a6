"""The report of ellipsoids: from samples that are counted exactly, or not, it must say so in JSON, and draw them."""

import json
from dataclasses import replace

import numpy as np
import pytest

from unijam.measurements.pressures import BranchSample
from unijam.study.reports.jamming_of_ellipsoids import EllipsoidsReport


def sample(threshold, z, free, n=100):
    """A packing of n bodies with `free` degrees of freedom each, all of which bear force."""
    one, n_dof = np.ones(1), (free + 1) * n
    overlaps, effective = np.array([round(z * n / 2)]), np.array([free * n - 3])
    kernel = np.full((1, n_dof), np.nan)
    kernel[0, : effective[0] - overlaps[0] + 1] = 1e-7
    return BranchSample(
        status="converged",
        n=n,
        dimension=3,
        n_dof=n_dof,
        threshold=threshold,
        excess=1e-6 * one,
        energy=1e-12 * one,
        pressure=1e-6 * one,
        relative_gradient=1e-9 * one,
        n_bearing=n * one,
        n_overlaps=overlaps,
        n_effective=effective,
        bulk=np.nan * one,
        simple_shear=np.nan * one,
        pure_shear=np.nan * one,
        self_stresses=one,
        eigenvalues=kernel,
        eigenvalues_h0=kernel,
        kernel_prestress=kernel,
    )


def report(**changes):
    """Spheroids that are densest at 0.6 and 1.5, triaxial bodies at 1.6; `changes` of one of the latter."""
    spheroids = {
        alpha: [sample(phi + d, 9.7, 5) for d in (-1e-3, 0.0, 1e-3)]
        for alpha, phi in ((0.6, 0.705), (0.9, 0.66), (1.1, 0.67), (1.5, 0.712))
    }
    triaxial = {alpha: [sample(phi, 11.2, 6)] * 3 for alpha, phi in ((1.2, 0.70),)}
    triaxial[1.6] = [
        sample(0.731, 11.2, 6),
        sample(0.732, 11.2, 6),
        replace(sample(0.733, 11.2, 6), **changes),
    ]
    return EllipsoidsReport(spheroids, triaxial)


def test_exact_counts_and_published_numbers_are_told(tmp_path):
    made = report()
    found = {check["name"]: check for check in made.checks}
    assert {check["verdict"] for check in found.values()} == {"agrees"}
    assert "α = 0.6" in found["oblate spheroids: largest φ_J"]["explanation"]
    assert found["triaxial ellipsoids: largest φ_J"]["value"] == pytest.approx(0.732)
    assert found["spheroids: largest z"]["value"] == pytest.approx(9.7)
    (figure,) = made.write(tmp_path, {"n": 100}, 1.0)
    written = json.loads((tmp_path / "jamming_of_ellipsoids.json").read_text())
    assert figure.exists() and len(written["checks"]) == len(found)
    assert written["curves"]["triaxial"]["phi_J"][0] == pytest.approx([0.70, 0.732])


@pytest.mark.parametrize(
    "changes",
    [
        {"self_stresses": np.array([2.0])},
        {"n_overlaps": np.array([599])},
        {"n_effective": np.array([596])},
        {"kernel_prestress": np.full((1, 700), np.nan)},
        {"kernel_prestress": -sample(0.73, 11.2, 6).kernel_prestress},
    ],
)
def test_one_packing_that_is_not_counted_exactly_is_told(changes):
    found = {check["name"]: check for check in report(**changes).checks}
    exact = found["triaxial ellipsoids: packings counted exactly"]
    assert exact["verdict"] == "disagrees" and exact["value"] == pytest.approx(5 / 6)
    assert found["spheroids: packings counted exactly"]["verdict"] == "agrees"

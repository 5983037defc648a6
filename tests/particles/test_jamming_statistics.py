"""Ensembles of packings: the isostatic count in any dimension; one state of self stress in ellipses."""

import numpy as np
import pytest

import unijam as uj
from unijam.measurements.pressures import measure_branch

pytestmark = pytest.mark.statistical
START = {2: 0.86, 3: 0.66, 4: 0.52}


def surplus(dimension: int, n: int, seed: int) -> int:
    """N_Δ − N_eff of a polydisperse packing at p n² = 1e-3."""
    system = uj.SoftSpheres.random(
        n=n, dimension=dimension, radii="uniform", packing_fraction=START[dimension], seed=seed
    )
    branch = measure_branch(system, (1e-3 / n**2,))
    assert branch.status == "converged" and branch.pressure[0] * n**2 < 1.03e-3
    return int(branch.n_overlaps[0] - branch.n_effective[0])


@pytest.mark.parametrize(("dimension", "n", "seeds"), [(2, 32, 8), (3, 32, 4)])
def test_small_packings_are_isostatic(dimension, n, seeds):
    """d(n' − 1) + 1 contacts, exactly (Goodrich, Liu, Nagel, PRL 109, 095704 (2012))."""
    assert [surplus(dimension, n, seed) for seed in range(seeds)] == seeds * [1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dimension", "n", "seeds"), [(2, 64, 40), (2, 128, 40), (3, 64, 40), (3, 128, 40), (4, 100, 10)]
)
def test_packings_are_isostatic_in_any_dimension(dimension, n, seeds):
    """In at least 95 % of polydisperse packings."""
    counts = np.array([surplus(dimension, n, seed) for seed in range(seeds)])
    assert (counts == 1).mean() >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [1.003, 1.03, 1.2, 1.4, 2.0, 5.0])
def test_ellipses_are_hypostatic_with_one_state_of_self_stress(alpha):
    """No scatter is allowed: all six packings of each shape."""
    for seed in range(6):
        system = uj.Ellipses.random(n=96, aspect_ratio=alpha, packing_fraction=0.97, seed=seed)
        branch = measure_branch(system, (1e-7,), spectra=True)
        assert branch.status == "converged" and branch.self_stresses[0] == 1
        assert branch.n_overlaps[0] < branch.n_effective[0]
        assert np.nanmin(branch.kernel_prestress) > 0

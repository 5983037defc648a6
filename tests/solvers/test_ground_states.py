"""Minima that theory knows exactly: the convex perceptron and the linear network, energy, N_Δ and spectrum."""

import numpy as np
import pytest

import unijam as uj
from unijam.support.arrays import to_numpy
from unijam.theory import ground_states as theory
from unijam.theory import spectra

N, SEEDS = 400, 4


@pytest.fixture(scope="module", params=[(1.0, 1.3), (0.5, 1.2), (0.2, 1.5)])
def ground_states(request):
    """Margin, load, and ground states of a few seeds; r² = load/capacity."""
    margin, r = request.param
    load = r**2 * theory.gardner_capacity(margin)
    states = [uj.minimize(uj.Perceptron.random(n=N, load=load, margin=margin, seed=k)) for k in range(SEEDS)]
    assert all(s.status == "converged" for s in states)
    return margin, load, states


def test_perceptrons_have_the_energy_and_the_overlaps_of_the_replica_solution(ground_states):
    """Within 3 standard deviations of one instance at N = 400 (measured: 8 % or less, 4 %), over √seeds."""
    margin, load, states = ground_states
    expected = theory.perceptron_ground_state(margin, load)
    energies = np.array([s.energy for s in states]) / N
    overlaps = np.array([s.n_overlaps for s in states]) / N
    spread = {1.0: (0.0046, 0.012), 0.5: (0.0038, 0.024), 0.2: (0.0077, 0.034)}[margin]
    assert energies.mean() == pytest.approx(expected.energy, abs=3 * spread[0] / np.sqrt(SEEDS))
    assert overlaps.mean() == pytest.approx(expected.overlap_ratio, abs=3 * spread[1] / np.sqrt(SEEDS))


def test_spectra_of_perceptrons_are_marchenko_pastur_shifted_by_the_prestress(ground_states):
    """Hp = −Σ Δ(Δ − κ)/N on the tangent space, exactly; eigenvalues are rigid, to ln N/N of the counting."""
    margin, _, states = ground_states
    for state in states[:2]:
        h = uj.decompose_hessian(state.system, state.x)
        shift = -float(h.force @ (h.force - margin)) / N
        np.testing.assert_allclose(h.eigenvalues("hp", symmetries=False), shift, atol=1e-10)
        values = np.sort(h.eigenvalues(symmetries=False))
        ratio = state.n_overlaps / N
        if ratio < 1:  # N − N_Δ modes that Hp alone holds
            assert np.count_nonzero(np.isclose(values, shift, atol=1e-9)) == N - state.n_overlaps
            values = values[N - state.n_overlaps :]
        lower, upper = spectra.marchenko_pastur_edges(ratio, shift)
        # edges fluctuate as N^(−2/3) times their curvature (Tracy, Widom); four of these at most
        assert values[0] == pytest.approx(lower, abs=4 * N ** (-2 / 3) * np.sqrt(upper - lower))
        assert values[-1] == pytest.approx(upper, abs=4 * N ** (-2 / 3) * np.sqrt(upper - lower))
        omega = np.linspace(np.sqrt(max(lower, 0)), np.sqrt(upper), 20001)
        density = spectra.marchenko_pastur(omega, ratio, shift)
        below = np.concatenate([[0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(omega))])
        below *= N  # modes below ω
        found = np.searchsorted(np.sqrt(np.maximum(values, 0)), omega)
        assert np.abs(found - below).max() < 1.5 * np.log(N)


@pytest.mark.parametrize(("load", "spread"), [(2.5, 0.035), (4.0, 0.047)])
def test_linear_networks_of_free_norm_have_the_energy_of_theory(load, spread):
    """U/N within 3 standard deviations of one instance at N = 400 (5 % at 2.5, taken as 0.7/√N), over √seeds."""
    expected = theory.linear_network_ground_state(load)
    states = []
    for seed in range(SEEDS):
        system = uj.FullyConnected.random(
            depth=0, input_dimension=N, n_data=round(load * N), weights="free", bias=False, seed=seed
        )
        states.append(uj.minimize(system))
    assert all(s.status == "converged" for s in states)
    energies, overlaps = (np.array([getattr(s, k) for s in states]) / N for k in ("energy", "n_overlaps"))
    assert energies.mean() == pytest.approx(expected.energy, abs=3 * spread / np.sqrt(SEEDS))
    assert overlaps.mean() == pytest.approx(expected.overlap_ratio, rel=0.05)
    hp = uj.hessian(states[0].system, states[0].system.constraints(states[0].x))[1]
    assert not to_numpy(hp).any()  # Hp = 0: without overlaps enough there is no minimum


def test_linear_networks_of_load_below_two_are_satisfied():
    system = uj.FullyConnected.random(
        depth=0, input_dimension=100, n_data=150, weights="free", bias=False, seed=0
    )
    result = uj.minimize(system)
    assert result.status == "satisfied"
    assert float(system.constraints(result.x).delta.max()) < 1e-9

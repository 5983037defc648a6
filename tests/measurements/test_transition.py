"""The transition in the number of data against the exact one of linear networks; resumption; branches followed down."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import unijam as uj
from unijam.ensemble import Recipe
from unijam.measurements.thresholds import measure_threshold
from unijam.theory.ground_states import linear_network_ground_state

LINEAR = {"depth": 0, "input_dimension": 60, "weights": "free", "bias": False}


def linear(n_data: int, seed: int) -> uj.FullyConnected:
    return uj.FullyConnected.random(**LINEAR, n_data=n_data, seed=seed)


@pytest.fixture(scope="module")
def transition():
    return uj.find_transition(linear, 60, 240, seeds=8, search=uj.FitSearch(reheats=0))


@pytest.mark.statistical
def test_linear_networks_fit_twice_as_many_data_as_they_have_weights(transition):
    """Cover's N* = P/2: P separable with probability ½ at 2N, a binomial of standard deviation √(2N)."""
    assert transition.n_effective == 60
    error = math.sqrt(2 * 60) * 1.25 / math.sqrt(8)  # of the median of 8
    assert abs(transition.n_data - 120) < 3 * error
    assert transition.interval[0] <= transition.n_data <= transition.interval[1]
    # centred inputs and brackets of 2 % of 240 add little to the spread
    assert 0.4 * math.sqrt(2 * 60) < transition.spread < 2.2 * math.sqrt(2 * 60)


def test_linear_networks_jump_to_isostaticity(transition):
    """N_Δ jumps from 0 beyond N at the transition, and all minima are certified."""
    assert transition.n_certified == 8
    assert all(s.n_overlaps > 60 for s in transition.samples)  # exact: Hp = 0, so U > 0 needs a self stress
    assert 1.0 < transition.jump < 2.0  # → 1 in the limit only: N_Δ/N = 1.6 at P/N = 2.25
    assert transition.jump_with_kinks == transition.jump
    assert "FitSearch" in transition.algorithm


@pytest.mark.statistical
@pytest.mark.parametrize("load", [2.5, 4.0])
def test_minima_of_linear_networks_have_the_exact_energy_and_overlaps(load):
    """U/N and N_Δ/N of Gardner's theory within 3 standard errors; the shift by finite N is below one."""
    exact = linear_network_ground_state(load)
    n, found = 200, []
    for seed in range(60):
        random = np.random.default_rng([seed, n])
        inputs = random.standard_normal((round(load * n), n)) / math.sqrt(n)
        labels = np.where(random.random(len(inputs)) < 0.5, -1.0, 1.0)
        system = uj.FullyConnected.from_data(inputs, labels, depth=0, weights="free", bias=False)
        result = uj.minimize(system)
        assert result.status == "converged"
        found.append((result.energy / n, result.n_overlaps / n))
    mean, error = np.mean(found, 0), np.std(found, 0, ddof=1) / math.sqrt(len(found))
    for value, wanted, spread in zip(mean, (exact.energy, exact.overlap_ratio), error, strict=True):
        assert spread < 0.012 * wanted and abs(value - wanted) < 3 * spread


def test_a_transition_is_resumed_from_its_store(tmp_path, monkeypatch):
    recipe = Recipe(kind="FullyConnected", parameters=LINEAR | {"input_dimension": 15})
    first = uj.find_transition(recipe, 10, 60, seeds=2, store=tmp_path, n_workers=1, tolerance=0.1)
    assert len(list(tmp_path.glob("*.npz"))) == 2
    monkeypatch.setattr("unijam.ensemble.workers._sample", None)  # nothing is computed again
    again = uj.find_transition(recipe, 10, 60, seeds=2, store=tmp_path, n_workers=1, tolerance=0.1)
    assert again.n_data == first.n_data and again.algorithm == first.algorithm


def test_a_fit_on_the_way_to_a_minimum_moves_the_bracket(monkeypatch):
    """Only the last state missed goes on; where that ends at U = 0, halving goes on above."""
    finished, states = uj.FitSearch.finished, []

    def lucky_once(state):
        states.append(state)
        return finished(state) if len(states) > 1 else replace(state, status="satisfied", energy=0.0)

    monkeypatch.setattr(uj.FitSearch, "finished", staticmethod(lucky_once))
    options = {"low": 60, "tolerance": 0.02, "reheats": 0}
    sample = measure_threshold(linear(240, 0), **options)
    first, last = (state.system.n_data for state in states)
    assert first <= sample.largest_fitted < sample.smallest_missed == last
    assert sample.smallest_missed - sample.largest_fitted <= 0.02 * 240
    at_first = sample.fitted[sample.n_data == first]
    assert list(at_first) == [False, True]  # missed by the search, then fitted
    assert not sample.fitted[sample.n_data > sample.largest_fitted].any()
    assert sample.status == "converged"
    searched = measure_threshold(linear(240, 0), **options, finish=False)
    assert len(states) == 2 and searched.smallest_missed == first


def test_networks_of_another_width_have_the_same_data_and_weights_of_their_own():
    one, other = (uj.FullyConnected.random(2, 6, 5, 40, "relu", weights="free", seed=s) for s in (0, 1))
    a, again, b = one.resized(4), one.resized(4), other.resized(4)
    assert torch.equal(a.inputs, one.inputs) and torch.equal(a.initial, again.initial)
    assert not torch.equal(a.initial, b.initial)


def test_the_width_that_just_fits_is_found():
    """P/N* in N at given P: between one and two units of width, the same data at each."""

    def wide(width: int, seed: int) -> uj.FullyConnected:
        shape = {"depth": 1, "input_dimension": 5, "activation": "relu", "weights": "free"}
        return uj.FullyConnected.random(**shape, width=width, n_data=120, seed=seed)

    found = uj.find_transition(
        wide, 2, 14, vary="width", seeds=3, search=uj.FitSearch(reheats=0, finish=False)
    )
    assert found.varied == "width" and found.n_data == 120
    low, high = found.load_interval
    assert 1.5 < low <= found.load <= high < 5  # the exact number is not known
    assert found.interval[0] <= found.n_effective <= found.interval[1]
    for sample in found.samples:  # d = 5 and biases: N_eff = 6 h + 1 of width h
        assert sample.smallest_fitted - sample.largest_missed == 6
        assert {w for w, fits in zip(sample.widths, sample.fitted, strict=True) if fits}


def test_the_search_fits_a_relu_network_where_descent_does_not():
    """N = 91, P = 180: U/P < 1e-20 from every seed (plain Levenberg-Marquardt fails in two of four)."""
    for seed in range(3):
        system = uj.FullyConnected.random(
            depth=2, width=6, input_dimension=6, n_data=180, activation="relu", weights="free", seed=seed
        )
        result = uj.minimize(system, solver=uj.FitSearch())
        assert result.status == "satisfied" and result.energy < 1e-20 * 180
        assert result.system.activation == "relu"
        c = system.constraints(result.x)
        assert uj.energy(system, c) == pytest.approx(result.energy, rel=1e-6)


def test_a_branch_is_followed_down_to_its_end():
    """A linear network is convex: its branch goes on, as minima do from scratch, to where all data are fitted."""
    system = linear(200, 3)
    state = uj.minimize(system)
    branch = uj.follow(state, step=4)
    assert branch.ended == "satisfied" and (np.diff(branch.n_data) < 0).all()
    middle = len(branch.n_data) // 2
    anew = uj.minimize(system.subset(slice(0, int(branch.n_data[middle]))))
    assert branch.energy[middle] == pytest.approx(anew.energy / branch.n_data[middle], rel=1e-8)
    assert branch.n_overlaps[middle] == anew.n_overlaps
    assert (branch.n_overlaps > 60).all()
    assert branch.last.system.n_data == branch.n_data[-1]


def test_branches_of_relu_networks_end_at_finite_energy():
    """U falls at once, to zero or to another branch, from a certified minimum: first order."""
    system = uj.FullyConnected.random(1, 9, 9, 300, "relu", weights="free", seed=2)
    branch = uj.follow(uj.minimize(system, solver=uj.softplus_to_relu()))
    last = branch.last
    assert branch.ended in ("satisfied", "fell") and branch.ended_energy < 0.5 * branch.energy[-1]
    assert uj.certify(last.system, last.x).minimum and branch.energy[-1] > 0.02 and branch.ratio[-1] > 0.4
    assert (branch.energy[1:] * branch.n_data[1:] > 0.5 * branch.energy[:-1] * branch.n_data[:-1]).all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"low": 0}, "low = 0"),
        ({"high": 5}, "high = 5"),
        ({"low": 160, "high": 200}, "low = 160 .* 2 of 2 starts do not fit 160 data"),
        ({"low": 10, "high": 30}, "high = 30 .* 2 of 2 starts fit all of 30 data"),
        ({"seeds": 0}, "seeds = 0"),
        ({"tolerance": 0.0}, "tolerance = 0"),
        ({"family": 3}, "family = 3"),
        ({"vary": "depth"}, "vary = 'depth'"),
        ({"vary": "width", "family": lambda width, seed: linear(width, seed)}, "with hidden layers"),
        ({"store": "here"}, "store = "),
        ({"family": lambda n_data, seed: uj.Perceptron.random(n=5, load=n_data / 5)}, "control = 'margin'"),
        ({"family": lambda n_data, seed: linear(n_data, seed).at(labels=np.zeros(n_data))}, "labels"),
    ],
)
def test_bad_input_gets_one_sentence(change, sentence):
    arguments = {"family": linear, "low": 60, "high": 200, "seeds": 2} | change
    with pytest.raises(ValueError, match=sentence):
        uj.find_transition(**arguments)


def test_only_minima_are_followed():
    system = linear(200, 0)
    with pytest.raises(ValueError, match="status = 'step-limit'"):
        uj.follow(uj.minimize(system, solver=uj.LevenbergMarquardt(max_steps=1)))

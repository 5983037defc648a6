"""States of networks that learn: those of single runs, their minima and spectra by other means."""

import numpy as np
import pytest

import unijam as uj
from unijam.ensemble import Recipe, run_ensemble
from unijam.measurements.landscape import LandscapeSample, measure_descent, measure_minimum

torch = pytest.importorskip("torch")
SHAPE = {"depth": 1, "width": 5, "input_dimension": 4, "activation": "relu", "weights": "free"}


def recipe(n_data, replicas=1):
    return Recipe(kind="FullyConnected", parameters=SHAPE | {"n_data": n_data}, replicas=replicas)


@pytest.fixture(scope="module")
def sample():
    return measure_descent(recipe(90, 2).system(3), times=(60, 20), learning_rate=1e-2)


def test_replicas_of_a_recipe_are_stacked_and_part_of_its_identity():
    drawn = recipe(90, 2).system(3)
    for k in range(2):
        single = recipe(90).system(6 + k)
        assert torch.equal(drawn.replica((k,)).inputs, single.inputs)
        assert torch.equal(drawn.replica((k,)).initial, single.initial)
    assert recipe(90, 2).identity(0, measure_descent) != recipe(90).identity(0, measure_descent)


@pytest.mark.parametrize("run", [0, 1])
@pytest.mark.parametrize(("state", "steps"), [(0, 20), (1, 60)])
def test_states_are_those_of_single_runs(sample, run, state, steps):
    network = recipe(90).system(6 + run)
    single = uj.minimize(network, None, uj.Adam(learning_rate=1e-2, max_steps=steps))
    assert sample.status[run, state] == "running"
    assert sample.energy[run, state] == pytest.approx(single.energy / 90, rel=1e-9)
    assert sample.relative_gradient[run, state] == pytest.approx(single.relative_gradient, rel=1e-6)
    assert sample.n_overlaps[run, state] == single.n_overlaps == (sample.delta[run, state] > 0).sum()


def test_the_last_state_is_a_minimum_below(sample):
    for run in range(2):
        assert sample.energy[run, -1] <= sample.energy[run, 1]
        if sample.certified[run, -1]:
            assert sample.relative_gradient[run, -1] < 1e-9
            assert sample.n_negative[run, -1] == 0
            held = sample.n_overlaps[run, -1] + sample.n_kinks[run, -1]
            assert held >= sample.n_negative_hp[run, -1]
    assert sample.certified[:, -1].any()


def test_spectra_have_the_right_traces(sample):
    """H = H0 + Hp on the same space, kinks or not."""
    h0, hp, h = (np.nansum(getattr(sample, f"eigenvalues{k}"), axis=-1) for k in ("_h0", "_hp", ""))
    assert np.allclose(h0 + hp, h, rtol=1e-9)


def test_a_network_that_fits_has_no_overlaps():
    sample = measure_minimum(recipe(20).system(0), reheats=0)
    assert sample.status.tolist() == [["fitted"]]
    assert sample.n_overlaps.item() == 0
    assert np.isnan(sample.eigenvalues).all()


def test_samples_are_kept(tmp_path):
    first = run_ensemble({"net": (recipe(20), 1)}, measure_minimum, store=tmp_path, progress=False)["net"][0]
    again = LandscapeSample.load(next(tmp_path.glob("*.npz")))
    assert again.n_data == first.n_data == 20
    assert np.array_equal(again.delta, first.delta)

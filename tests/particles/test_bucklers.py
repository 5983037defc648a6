"""Contacts of bucklers: by looking at every pair, and their laws of small forces."""

import itertools

import numpy as np
import pytest

import unijam as uj
from unijam.measurements import measure_jammed, measure_state
from unijam.measurements.jammed import separate_laws


@pytest.mark.parametrize("name", ["discs", "spheres"])
def test_localised_contacts_are_those_of_particles_with_one_contact_more_than_d(name, jammed, find_backbone):
    state = jammed(name, 0).settled()
    system, x = state.system, state.x
    held, position = find_backbone(system, x)[1], x.reshape(system.n, system.dimension)
    touching = {}
    for i, j in itertools.combinations(held, 2):
        r = position[i] - position[j]
        r -= system.box_length * np.round(r / system.box_length)
        delta = system.radii[i] + system.radii[j] - np.sqrt(r @ r)
        if delta > 15 * system.resolution(x):
            touching[i, j] = delta
    number = np.bincount(np.ravel(list(touching)), minlength=system.n)
    least = system.dimension + 1
    expected = sorted(delta for pair, delta in touching.items() if least in number[list(pair)])
    assert 0 < len(expected) < len(touching)
    c = system.constraints(x)
    found = c.delta[c.bearing()[1]][uj.localised_contacts(system, x)]
    np.testing.assert_allclose(np.sort(found), expected, atol=3 * system.resolution(x))
    measured = measure_state(system, x)
    for reach in (0.0, 0.25):  # with gaps among the distances too
        assert np.array_equal(
            np.sort(measured.distances(reach)[measured.localised(reach)]), np.sort(found) / system.unit
        )


def test_only_spheres_have_bucklers(jammed):
    state = jammed("ellipses", 0).settled()
    with pytest.raises(ValueError, match=r"^system = Ellipses is not valid: it must be SoftSpheres, .*\.$"):
        uj.localised_contacts(state.system, state.x)
    assert measure_state(state.system, state.x).localised() is None


def test_a_sample_tells_contacts_apart(tmp_path):
    discs = measure_jammed(uj.SoftSpheres.random(n=32, radii="uniform", packing_fraction=0.9))
    assert discs.localised.shape == discs.delta.shape and not discs.localised[discs.delta < 0].any()
    discs.save(tmp_path / "one.npz")
    again = type(discs).load(tmp_path / "one.npz")
    assert np.array_equal(again.localised, discs.localised)
    assert separate_laws([again, discs]) is not None
    ellipses = measure_jammed(uj.Ellipses.random(n=16, aspect_ratio=1.5, packing_fraction=1.0))
    assert np.isnan(ellipses.localised) and separate_laws([ellipses]) is None


@pytest.mark.slow
def test_extended_contacts_have_the_exponent_of_mean_field():
    """θ_e of 120 packings of 256 discs holds 0.42311, and exceeds θ of localised contacts, as 0.17462 does not."""
    samples = []
    for seed in range(120):
        state = uj.jam(
            uj.SoftSpheres.random(n=256, radii="uniform", packing_fraction=1.0, seed=seed)
        ).settled()
        c = state.system.constraints(state.x)
        bearing = c.bearing()[1]
        localised = uj.localised_contacts(state.system, state.x)
        delta = c.delta[bearing]
        samples.append((delta[(delta > 0) & ~localised], delta[localised]))
    extended, localised = (uj.delta_statistics([s[k] for s in samples]).theta for k in (0, 1))
    assert extended.low < 0.42311 < extended.high and extended.low > 0.17462
    assert localised.low < 0.17462 < localised.high < extended.value

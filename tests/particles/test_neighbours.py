"""Neighbour search against all pairs by broadcasting; rattlers against removal by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unijam.particles import bearing_particles, neighbour_pairs


def minimum_image(separations, side):
    """Separations folded to the nearest image."""
    return separations - side * np.round(separations / side)


def all_pairs(positions, side, reaches, skin=0.0):
    """The reference: every pair by broadcasting."""
    separation = minimum_image(positions[:, None] - positions[None], side)
    distance = np.sqrt((separation**2).sum(axis=-1))
    near = distance < reaches[:, None] + reaches[None] + skin
    return np.argwhere(np.triu(near, 1))


@pytest.mark.parametrize("dimension", [1, 2, 3, 4])
@pytest.mark.parametrize("n", [1, 2, 20, 200, 700])
def test_pairs_are_those_of_brute_force(dimension, n):
    rng = np.random.default_rng(n + dimension)
    side = n ** (1 / dimension)
    positions = rng.uniform(-2 * side, 3 * side, (n, dimension))  # outside the box too
    for widest in (0.1, 0.45, 2.0):
        reaches = rng.uniform(0.05, widest, n)
        pairs = neighbour_pairs(positions, side, reaches, skin=0.1)
        assert pairs.dtype == np.int64
        np.testing.assert_array_equal(pairs, all_pairs(positions, side, reaches, 0.1))


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(1, 150),
    dimension=st.integers(1, 4),
    side=st.floats(0.1, 1e3),
    reach=st.floats(0.001, 0.6),
    seed=st.integers(0, 10**6),
)
def test_pairs_in_any_box(n, dimension, side, reach, seed):
    rng = np.random.default_rng(seed)
    positions = side * rng.uniform(-1, 2, (n, dimension))
    reaches = side * reach * rng.uniform(0.1, 1, n)
    pairs = neighbour_pairs(positions, side, reaches)
    np.testing.assert_array_equal(pairs, all_pairs(positions, side, reaches))


@pytest.mark.parametrize("dimension", [2, 3])
def test_a_crowd_is_listed_in_full(dimension):
    """Far more pairs than any first guess of the room: all particles in one spot, on a corner of the box."""
    n = 300
    crowd = np.zeros((n, dimension))
    assert len(neighbour_pairs(crowd, 20.0, np.full(n, 0.5))) == n * (n - 1) // 2


def test_positions_on_the_faces_of_the_box():
    positions = np.array(
        [[0.0, 0.0], [10.0, 10.0], [-1e-17, 5.0], [10.0 - 1e-15, 5.0], [5.0, np.nextafter(10, 0)]]
    )
    positions = np.concatenate([positions, np.random.default_rng(0).uniform(0, 10, (100, 2))])
    reaches = np.full(len(positions), 0.4)
    pairs = neighbour_pairs(positions, 10.0, reaches)
    np.testing.assert_array_equal(pairs, all_pairs(positions, 10.0, reaches))
    assert [0, 1] in pairs.tolist() and [2, 3] in pairs.tolist()


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="shape of reaches"):
        neighbour_pairs(np.zeros((3, 2)), 10.0, np.ones(2))
    with pytest.raises(ValueError, match="NaN"):
        neighbour_pairs(np.zeros((3, 2)), 10.0, np.array([1.0, np.nan, 1.0]))
    with pytest.raises(ValueError, match="contacts"):
        bearing_particles(np.array([[0, 3]]), 3, 2)


def test_minimum_image_is_the_nearest_of_all():
    rng = np.random.default_rng(1)
    separation = rng.uniform(-7, 7, (50, 3))
    shifts = 2.0 * np.stack(np.meshgrid(*[np.arange(-4, 5)] * 3), -1).reshape(-1, 3)
    nearest = np.sqrt(((separation[:, None] + shifts) ** 2).sum(-1)).min(axis=1)
    np.testing.assert_allclose(np.linalg.norm(minimum_image(separation, 2.0), axis=1), nearest, atol=1e-14)


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(1, 40), contacts=st.integers(0, 120), minimum=st.integers(1, 4), seed=st.integers(0, 10**6)
)
def test_rattlers_are_removed_recursively(n, contacts, minimum, seed):
    pairs = np.random.default_rng(seed).integers(0, n, (contacts, 2))
    pairs = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)
    alive = np.ones(n, dtype=bool)
    while True:
        held = alive[pairs].all(axis=1)
        weak = alive & (np.bincount(pairs[held].ravel(), minlength=n) < minimum)
        if not weak.any():
            break
        alive[weak] = False
    bearing = bearing_particles(pairs, n, minimum)
    assert bearing.dtype == bool
    np.testing.assert_array_equal(bearing, alive)


def test_a_chain_hanging_off_a_backbone_falls():
    square = [[0, 1], [1, 2], [2, 3], [0, 3], [0, 2], [1, 3]]
    chain = [[3, 4], [4, 5], [5, 6]]
    np.testing.assert_array_equal(bearing_particles(np.array(square + chain), 7, 3), [True] * 4 + [False] * 3)

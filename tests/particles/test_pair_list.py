"""Lists of pairs against all pairs of all images: any box, any place, few particles, crowds."""

from itertools import product

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import unijam as uj
from unijam.compiled.simd import OWN, WIDTH
from unijam.particles.kernels.pair_list import FOLDED, list_pairs, workspace


def listed(x, sides, radii, factor, skin, room=None):
    """The pairs of a list in the user's numbering, (m, 2), and which are folded; its layout is checked on the way."""
    n, d = len(radii), len(sides)
    room = room or workspace(n)
    places, back, home, counts, partner, sums, room = list_pairs(x, np.diag(sides), radii, factor, skin, room)
    np.testing.assert_array_equal(places[back], np.arange(n * d))
    np.testing.assert_array_equal(home, np.append(x[places], 0.0))
    order = places[::d] // d
    assert len(partner) == len(sums) == WIDTH * counts.sum()
    pairs, folded, at = [], [], 0
    for group, kinds in enumerate(counts):
        for kind, count in enumerate(kinds):
            for entry in range(at, at + WIDTH * count):
                i, j = min(WIDTH * group, n - WIDTH) + OWN[entry % WIDTH], partner[entry]
                if sums[entry]:
                    assert sums[entry] == pytest.approx(radii[order[i]] + radii[order[j]], rel=1e-15)
                    pairs.append((order[i], order[j]))
                    folded.append(kind == 1)
            at += WIDTH * count
    once = [i < j for i, j in pairs]
    assert sorted(pairs) == sorted((j, i) for i, j in pairs)  # listed both ways
    return (
        np.array(pairs, dtype=np.int64).reshape(-1, 2)[once],
        np.array(folded, dtype=bool)[once],
    )


def distances(x, sides):
    """Between nearest images, by trying all, (n, n)."""
    positions = x.reshape(-1, len(sides)) % sides
    squares = np.full((len(positions),) * 2, np.inf)
    for shift in product((-1, 0, 1), repeat=len(sides)):
        apart = positions[:, None] - positions[None] + shift * sides
        squares = np.minimum(squares, (apart**2).sum(axis=-1))
    return np.sqrt(squares)


@example(n=90, sides=[1.0, 5.0, 5.0], size=0.2, skin=0.05, far=0, seed=0)
@given(
    n=st.integers(WIDTH, 90),
    sides=st.lists(st.floats(0.2, 30), min_size=2, max_size=3),
    size=st.floats(0.01, 0.25),
    skin=st.floats(0.0, 0.6),
    far=st.integers(0, 3),
    seed=st.integers(0, 10**6),
)
def test_pairs_are_those_of_all_images(n, sides, size, skin, far, seed):
    rng, sides = np.random.default_rng(seed), np.array(sides)
    radii = size * sides.min() * rng.uniform(0.2, 1.0, n)
    skin *= sides.min()
    x = (sides * (rng.uniform(0, 1, (n, len(sides))) + rng.integers(-far, far + 1, (n, len(sides))))).ravel()
    pairs, folded = listed(x, sides, radii, 0.9, skin)
    apart, reach = distances(x, sides), 0.9 * (radii[:, None] + radii) + skin
    found = {tuple(pair) for pair in pairs}
    assert len(found) == len(pairs)  # once each
    certain, possible = (
        {tuple(pair) for pair in np.argwhere(np.triu(apart < reach * (1 + margin), 1))}
        for margin in (-1e-12, 1e-12)
    )
    assert certain <= found <= possible
    at = x.reshape(n, -1)
    plain = np.abs(at[pairs[:, 0]] - at[pairs[:, 1]])[~folded]
    assert (plain <= 0.5 * sides - skin + 1e-12).all()  # nearest now and while the list serves


@pytest.mark.parametrize("dimension", [2, 3])
def test_a_crowd_is_listed_in_full(dimension):
    """All in one place, and the room found too small is grown."""
    n, sides = 150, np.full(dimension, 17.0)
    x = np.random.default_rng(0).uniform(-0.1, 0.1, n * dimension)
    room = workspace(n)
    for _ in range(2):
        pairs, _ = listed(x, sides, np.full(n, 0.5), 1.0, 0.3, room)
        assert len({tuple(pair) for pair in pairs}) == n * (n - 1) // 2
    assert n < FOLDED


@pytest.mark.parametrize("dimension", [2, 3])
def test_one_workspace_serves_any_positions(dimension):
    rng, n = np.random.default_rng(1), 150
    sides, radii, room = n ** (1 / dimension) * np.ones(dimension), rng.uniform(0.3, 0.6, n), workspace(n)
    for spread in (1.0, 0.05, 1.0):
        x = spread * rng.uniform(0, sides[0], n * dimension)
        ours, fresh = listed(x, sides, radii, 1.0, 0.2, room), listed(x, sides, radii, 1.0, 0.2)
        np.testing.assert_array_equal(ours[0], fresh[0])
        np.testing.assert_array_equal(ours[1], fresh[1])


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 8, 9, 13])
@pytest.mark.parametrize("exponent", [2.0, 2.5, 3.0])
def test_few_particles(n, dimension, exponent):
    """Fewer than fill a register are not listed; the last group of others overlaps with those before."""
    system = uj.SoftSpheres.random(n=n, dimension=dimension, packing_fraction=0.02, seed=n)
    system = system.at(
        scale=system.scale * 0.5 * system.narrowest_width / system.largest_diameter / (1 + 1e-9)
    )
    system = system.at(potential=uj.Hertzian(exponent))
    evaluate, rng = system.evaluator(), np.random.default_rng(n)
    for step in (0.0, 0.01, 0.1, 30.0):
        x = system.initial + step * rng.normal(size=system.n_dof)
        energy, gradient, square, count = evaluate(x)
        c = system.constraints(x)
        force = system.potential.force(c.delta)
        assert energy == pytest.approx(float(system.potential.energy(c.delta).sum()), rel=1e-10, abs=1e-25)
        np.testing.assert_allclose(gradient, c.vjp(force), atol=1e-12)
        assert square == pytest.approx(float(force @ force), rel=1e-10, abs=1e-25)
        assert count == (c.delta > 1e-12).sum()

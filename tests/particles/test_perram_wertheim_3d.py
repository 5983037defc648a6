"""The contact function in space against separating planes, finite differences, closed formulas and its symmetries."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from unijam.particles.kernels import orientations as turning
from unijam.particles.kernels import perram_wertheim as plane
from unijam.particles.kernels import perram_wertheim_3d as pw
from unijam.particles.kernels.perram_wertheim_3d_bends import hessians

SHAPES = {
    "spheres": (1.0, 1.0, 1.0),
    "nearly round": (1.01, 1.0, 1.0),
    "prolate": (1.5, 1.0, 1.0),
    "oblate": (0.5, 1.0, 1.0),
    "triaxial": (1.0, 1.3, 1.7),
    "long": (10.0, 1.0, 1.0),
    "flat": (1.0, 0.2, 2.0),
}
PLACES = ((2, -1 / 12), (1, 8 / 12), (-1, -8 / 12), (-2, 1 / 12))  # a stencil of fourth order
SEEDS = st.integers(0, 10**6)


def half_axes(name):
    ratios = np.array(SHAPES[name])
    return ratios / np.cbrt(ratios.prod())


def width(name):
    """The numbers of an orientation."""
    return 3 if len(set(SHAPES[name])) < 3 else 4


def contact(x, radii, shape, start=0.5):
    """√F, its slopes (9,) and second derivatives (9, 9), t*, and the frames, for a pair of bodies."""
    x, radii, frame = np.array(x, dtype=float), np.array(radii, dtype=float), np.empty((2, 9))
    pair = (np.array([0]), np.array([1]), np.zeros((3, 1)), np.array([float(start)]))
    root, rows = np.empty(1), np.empty((9, 1))
    pw.contacts(x, frame, radii, shape, *pair, root, rows)
    return root[0], rows[:, 0], hessians(x, frame, radii, shape, *pair, np.ones(1))[0], pair[-1][0], frame


def draw_pairs(name, count, seed):
    """x of two bodies that just touch, norms of all sizes, and their radii."""
    rng, o = np.random.default_rng(seed), width(name)
    for _ in range(count):
        x, radii = rng.standard_normal(6 + 2 * o), rng.uniform(0.5, 1.0, 2)
        x[:6] /= contact(x, radii, half_axes(name))[0]
        yield x, radii


def in_coordinates(x, rows, blocks, frame):
    """∇√F and ∇∇√F in x, from slopes and second derivatives in r and small turns."""
    o = (len(x) - 6) // 2
    turn, change = np.empty((2, 3, o)), np.zeros((9, len(x)))
    turning.turns(x, 2, frame, turn)
    change[:3, :3], change[:3, 3:6] = -np.eye(3), np.eye(3)
    change[3:6, 6 : 6 + o], change[6:, 6 + o :] = turn
    slopes, bends = change.T @ rows, change.T @ blocks @ change
    for start in (6, 6 + o):
        of_body = slice(start, start + o)
        s = x[of_body] / (x[of_body] @ x[of_body])
        twist = np.outer(s, slopes[of_body])
        bends[of_body, of_body] -= twist + twist.T
    return slopes, bends


@pytest.mark.parametrize("name", SHAPES)
def test_derivatives_agree_with_finite_differences(name):
    shape, h = half_axes(name), 1e-5
    for x, radii in draw_pairs(name, 12, 1):

        def value(y, radii=radii):
            return contact(y, radii, shape)[0]

        def slopes(y, radii=radii):
            _, rows, blocks, _, frame = contact(y, radii, shape)
            return in_coordinates(y, rows, blocks, frame)[0]

        _, rows, blocks, _, frame = contact(x, radii, shape)
        found, bends = in_coordinates(x, rows, blocks, frame)
        steps = h * np.eye(len(x))
        expected = np.array([sum(w * value(x + k * e) for k, w in PLACES) for e in steps]) / h
        np.testing.assert_allclose(found, expected, atol=1e-8 * abs(expected).max())
        expected = np.array([sum(w * slopes(x + k * e) for k, w in PLACES) for e in steps]) / h
        np.testing.assert_allclose(bends, expected, atol=1e-7 * abs(expected).max())
        np.testing.assert_array_equal(blocks, blocks.T)


def scale_until_touching(x, radii, name):
    """The largest s for which some plane separates both bodies times s: max over n of r·n / (h_i + h_j).

    Bodies come from SciPy's rotations (quaternions), or from A = c² + (a² − c²) u uᵀ (spheroids): no code is shared.
    """
    shape, o, matrices = half_axes(name), width(name), []
    for k, radius in enumerate(radii):
        q = x[6 + o * k : 6 + o * k + o]
        if o == 4:
            turn = Rotation.from_quat(q[[1, 2, 3, 0]]).as_matrix()
            matrices.append(radius**2 * turn @ np.diag(shape**2) @ turn.T)
        else:
            u = q / np.linalg.norm(q)
            across, along = shape[1] ** 2, shape[0] ** 2
            matrices.append(radius**2 * (across * np.eye(3) + (along - across) * np.outer(u, u)))
    r = x[3:6] - x[:3]

    def minus_scale(n):
        widths = [np.sqrt(n @ matrix @ n) for matrix in matrices]
        value = -(r @ n) / sum(widths)
        slope = sum(matrix @ n / w for matrix, w in zip(matrices, widths, strict=True))
        return value, (-r - value * slope) / sum(widths)

    starts = [r, *np.random.default_rng(0).standard_normal((8, 3))]
    found = [minimize(minus_scale, n, jac=True, method="BFGS", options={"gtol": 1e-13}) for n in starts]
    return -min(result.fun for result in found)


@pytest.mark.parametrize("name", SHAPES)
def test_bodies_scaled_by_the_root_of_f_just_touch(name):
    rng, shape = np.random.default_rng(2), half_axes(name)
    for x, radii in draw_pairs(name, 15, 2):
        x[:6] *= rng.uniform(0.5, 2.0)
        assert contact(x, radii, shape)[0] == pytest.approx(scale_until_touching(x, radii, name), rel=1e-11)


def test_spheres_are_exact():
    for x, radii in draw_pairs("spheres", 30, 3):
        root, rows, blocks, t, _ = contact(x, radii, np.ones(3))
        r, sigma = np.linalg.norm(x[3:6] - x[:3]), radii.sum()
        n = (x[3:6] - x[:3]) / r
        assert root == pytest.approx(r / sigma, rel=1e-14)
        assert t == pytest.approx(radii[0] / sigma, rel=1e-14)
        np.testing.assert_allclose(rows[:3], n / sigma, atol=1e-15 / sigma)
        across = (np.eye(3) - np.outer(n, n)) / (r * sigma)
        np.testing.assert_allclose(blocks[:3, :3], across, atol=1e-14 / (r * sigma))
        assert not rows[3:].any() and abs(blocks[3:]).max() < 1e-14


def test_in_a_plane_a_pair_is_one_of_ellipses():
    """Axes in the plane of both axes of revolution: the contact point lies in the plane too."""
    rng, alpha = np.random.default_rng(4), 1.7
    shape = np.array((alpha, 1.0, 1.0)) / np.cbrt(alpha)
    for _ in range(20):
        q, radii = np.concatenate((rng.standard_normal(2), rng.uniform(-4, 4, 2))), rng.uniform(0.5, 1.0, 2)
        axes = np.column_stack((np.cos(q[2:]), np.sin(q[2:]), np.zeros(2)))
        root = contact(np.concatenate((np.zeros(3), q[:2], [0.0], axes.ravel())), radii, shape)[0]
        # half axes R α^(2/3) and R α^(-1/3), in the plane R' √α and R'/√α
        of_plane, found = radii * alpha ** (1 / 6), np.empty(1)
        pair = (np.array([0]), np.array([1]), np.zeros((2, 1)), np.array([0.5]))
        plane.contacts(np.array([0.0, 0.0, *q]), of_plane, alpha, *pair, found, np.empty((4, 1)))
        assert root == pytest.approx(found[0], rel=1e-13)


@settings(max_examples=40)
@given(seed=SEEDS, name=st.sampled_from(sorted(SHAPES)))
def test_exchange_rotation_and_the_symmetries_of_a_body_change_nothing(seed, name):
    shape, rng, o = half_axes(name), np.random.default_rng(seed), width(name)
    x, radii = next(draw_pairs(name, 1, seed))
    root, rows, blocks, t, frame = contact(x, radii, shape)
    assert 0.0 < t < 1.0
    exchanged = np.concatenate((x[3:6], x[:3], x[6 + o :], x[6 : 6 + o]))
    assert contact(exchanged, radii[::-1], shape)[0] == pytest.approx(root, rel=1e-12)
    turn = Rotation.random(random_state=seed)
    turned = x.copy()
    turned[:6] = turn.apply(x[:6].reshape(2, 3)).ravel()
    for start in (6, 6 + o):
        q = x[start : start + o]
        if o == 3:
            turned[start : start + o] = turn.apply(q)
        else:
            turned[start : start + o] = (turn * Rotation.from_quat(q[[1, 2, 3, 0]])).as_quat()[[3, 0, 1, 2]]
    assert contact(turned, radii, shape)[0] == pytest.approx(root, rel=1e-12)
    for k in range(2):  # half turns about each axis, reversal, and another norm
        for axis in range(3):
            other, q = x.copy(), slice(6 + o * k, 6 + o * k + o)
            if o == 3:
                other[q] *= -1.0
            else:
                half = Rotation.from_rotvec(np.pi * np.eye(3)[axis])
                other[q] = (Rotation.from_quat(x[q][[1, 2, 3, 0]]) * half).as_quat()[[3, 0, 1, 2]]
            other[q] *= rng.uniform(0.1, 10.0)
            assert contact(other, radii, shape)[0] == pytest.approx(root, rel=1e-12)
    r = x[3:6] - x[:3]
    assert rows[:3] @ r == pytest.approx(root, rel=1e-12)  # Euler: √F is of first degree in r
    e = frame.reshape(2, 3, 3)
    torque = np.cross(r, rows[:3]) + rows[3:6] @ e[0] + rows[6:] @ e[1]  # a turn of the whole pair
    np.testing.assert_allclose(torque, 0.0, atol=1e-11)
    if o == 3:  # no spin, exactly
        assert rows[3] == rows[6] == 0.0
        expected = np.zeros((9, 9))  # a spin turns the axes of the other turns, half of it in the mean
        for first in (3, 6):
            expected[first, first + 1], expected[first, first + 2] = (
                0.5 * rows[first + 2],
                -0.5 * rows[first + 1],
            )
        of_spin = blocks[[3, 6]]
        np.testing.assert_allclose(abs(of_spin), abs(expected[[3, 6]]), atol=1e-12 * abs(blocks).max())


@settings(max_examples=40)
@given(seed=SEEDS, name=st.sampled_from(sorted(SHAPES)), t=st.floats(0.0, 1.0))
def test_any_t_bounds_f_from_below(seed, name, t):
    x, radii = next(draw_pairs(name, 1, seed))
    frame, shape = np.empty((2, 9)), half_axes(name)
    turning.frames(x, 2, frame)
    (rx, ry, rz), (ri, rj) = x[3:6] - x[:3], radii**2
    of_pair = pw.coefficients(rx, ry, rz, frame, 0, 1, ri, rj, shape**2)
    largest, lower = pw.maximise(0.5, np.inf, *of_pair)[1], pw.value(t, *of_pair)[0]
    assert lower <= largest * (1.0 + 1e-14)
    told_at_once = pw.maximise(t, 0.5 * lower, *of_pair)
    assert lower == 0.0 or told_at_once[:2] == (t, pytest.approx(lower, rel=1e-14))


@pytest.mark.parametrize("name", SHAPES)
def test_slopes_do_not_depend_on_the_start(name):
    for x, radii in draw_pairs(name, 10, 5):
        reference = contact(x, radii, half_axes(name))[1]
        for start in np.random.default_rng(0).uniform(1e-6, 1.0 - 1e-6, 20):
            rows = contact(x, radii, half_axes(name), start)[1]
            np.testing.assert_allclose(rows, reference, atol=1e-13 * abs(reference).max())


def test_coincident_centres_have_no_direction():
    for apart in (0.0, 1e-60):
        x = [0.0, 0.0, 0.0, apart, 0.0, 0.0, 1.0, 2.0, 3.0, -1.0, 0.5, 0.2]
        root, rows, blocks, t, _ = contact(x, (0.5, 0.7), half_axes("prolate"))
        assert root == 0.0 and not rows.any() and not blocks.any() and 0.0 < t < 1.0


@settings(max_examples=40)
@given(seed=SEEDS)
def test_frames_are_rotations(seed):
    rng = np.random.default_rng(seed)
    for o in (3, 4):
        q = rng.standard_normal((5, o)) * 10.0 ** rng.uniform(-3, 3)
        q[0] = -abs(q[0, -1]) * np.eye(o)[-1]  # along the axis where the frame of a vector is glued
        x, frame = np.concatenate((np.zeros(15), q.ravel())), np.empty((5, 9))
        turning.frames(x, 5, frame)
        e = frame.reshape(5, 3, 3)
        np.testing.assert_allclose(e @ e.transpose(0, 2, 1), np.tile(np.eye(3), (5, 1, 1)), atol=1e-15)
        np.testing.assert_allclose(np.linalg.det(e), 1.0, atol=1e-14)
        if o == 3:
            np.testing.assert_allclose(e[:, 0], q / np.linalg.norm(q, axis=1)[:, None], atol=1e-15)
        else:
            theirs = Rotation.from_quat(q[:, [1, 2, 3, 0]]).as_matrix().transpose(0, 2, 1)
            np.testing.assert_allclose(e, theirs, atol=1e-14)
        norms = np.linalg.norm(turning.unit(x, 5)[15:].reshape(5, o), axis=1)
        np.testing.assert_allclose(norms, 1.0, atol=4e-16)

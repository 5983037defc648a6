"""The contact function against separating lines, finite differences, closed formulas and its symmetries."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from unijam.particles.kernels import perram_wertheim as pw

angles = st.floats(-10.0, 10.0)
alphas = st.floats(1.0, 10.0)
sizes = st.floats(0.5, 2.0)


def contact(q, radii, alpha, start=0.5):
    """√F, its gradient (4,) and Hessian (4, 4) in q = (r_x, r_y, angle_i, angle_j), and t*."""
    x, radii = np.array([0.0, 0.0, *q]), np.array(radii, dtype=float)
    pair = (x, radii, float(alpha), np.array([0]), np.array([1]), np.zeros((2, 1)), np.array([float(start)]))
    root, rows = np.empty(1), np.empty((4, 1))
    pw.contacts(*pair, root, rows)
    return root[0], rows[:, 0], pw.hessians(*pair, np.ones(1))[0], pair[-1][0]


def scale_until_touching(q, radii, alpha):
    """The largest s for which some line separates both ellipses times s: max over n of r·n / (h_i + h_j)."""

    def half_width(n_angle, radius, angle):
        return radius * np.sqrt(alpha * np.cos(n_angle - angle) ** 2 + np.sin(n_angle - angle) ** 2 / alpha)

    def minus_scale(n_angle):
        along = q[0] * np.cos(n_angle) + q[1] * np.sin(n_angle)
        return -along / (half_width(n_angle, radii[0], q[2]) + half_width(n_angle, radii[1], q[3]))

    grid = np.linspace(0.0, 2.0 * np.pi, 4001)
    best = grid[np.argmin(minus_scale(grid))]
    bracket = (best - 2e-3, best + 2e-3)
    return -minimize_scalar(minus_scale, bounds=bracket, method="bounded", options={"xatol": 1e-10}).fun


def draw_pairs(count, seed):
    rng = np.random.default_rng(seed)
    q = np.column_stack((rng.normal(size=(count, 2)), rng.uniform(-7.0, 7.0, (count, 2))))
    return zip(q, rng.uniform(0.5, 1.0, (count, 2)), strict=True)


@pytest.mark.parametrize("alpha", [1.0, 1.05, 1.4, 4.0, 10.0])
def test_ellipses_scaled_by_the_root_of_f_just_touch(alpha):
    for q, radii in draw_pairs(40, 0):
        assert contact(q, radii, alpha)[0] == pytest.approx(scale_until_touching(q, radii, alpha), rel=1e-12)


@pytest.mark.parametrize("alpha", [1.0, 1.4, 4.0, 10.0])
def test_derivatives_agree_with_finite_differences(alpha):
    for q, radii in draw_pairs(30, 1):
        root, gradient, hessian, _ = contact(q, radii, alpha)
        q = q / np.array([root, root, 1.0, 1.0])  # at tangency, where contacts are
        _, gradient, hessian, _ = contact(q, radii, alpha)
        h = 3e-6 / alpha
        steps = h * np.eye(4)
        values = [contact(q + e, radii, alpha)[0] - contact(q - e, radii, alpha)[0] for e in steps]
        slopes = [contact(q + e, radii, alpha)[1] - contact(q - e, radii, alpha)[1] for e in steps]
        np.testing.assert_allclose(gradient, np.array(values) / (2 * h), atol=1e-7 * abs(gradient).max())
        np.testing.assert_allclose(hessian, np.array(slopes) / (2 * h), atol=1e-6 * abs(hessian).max())
        np.testing.assert_array_equal(hessian, hessian.T)


def test_circles_are_exact():
    for q, radii in draw_pairs(50, 2):
        root, gradient, hessian, t = contact(q, radii, 1.0)
        r, sigma = np.hypot(*q[:2]), sum(radii)
        n = q[:2] / r
        assert root == pytest.approx(r / sigma, rel=1e-15)
        assert t == pytest.approx(radii[0] / sigma, rel=1e-14)
        # a small component is a difference of large ones: rounding of the whole vector, not of itself
        np.testing.assert_allclose(gradient[:2], n / sigma, rtol=1e-14, atol=4e-16 / sigma)
        across = (np.eye(2) - np.outer(n, n)) / (r * sigma)
        np.testing.assert_allclose(hessian[:2, :2], across, atol=2e-15 / (r * sigma))
        assert not gradient[2:].any() and not hessian[2:].any()


@settings(max_examples=60, deadline=None)
@given(angles, angles, angles, st.floats(0.1, 3.0), sizes, sizes, alphas, angles)
def test_exchange_rotation_and_half_turns_change_nothing(
    along, first, second, r, size_i, size_j, alpha, turn
):
    q = np.array([r * np.cos(along), r * np.sin(along), first, second])
    root, gradient, _, t = contact(q, (size_i, size_j), alpha)
    assert contact(q[[0, 1, 3, 2]] * np.array([-1, -1, 1, 1]), (size_j, size_i), alpha)[0] == pytest.approx(
        root, rel=1e-13
    )
    rotated = [r * np.cos(along + turn), r * np.sin(along + turn), first + turn, second + turn]
    assert contact(rotated, (size_i, size_j), alpha)[0] == pytest.approx(root, rel=1e-13)
    assert contact(q + np.array([0, 0, np.pi, -np.pi]), (size_i, size_j), alpha)[0] == pytest.approx(
        root, rel=1e-13
    )
    assert gradient[:2] @ q[:2] == pytest.approx(root, rel=1e-13)  # Euler: √F is of first degree in r
    turning = gradient @ [-q[1], q[0], 1.0, 1.0]
    assert turning == pytest.approx(0.0, abs=1e-13 * abs(gradient).max() * (1.0 + r))
    assert 0.0 < t < 1.0


@pytest.mark.parametrize("alpha", [1.0, 1.4, 4.0])
def test_slopes_do_not_depend_on_the_start(alpha):
    for q, radii in draw_pairs(30, 3):
        reference = contact(q, radii, alpha)[1]
        for start in np.random.default_rng(0).uniform(1e-6, 1.0 - 1e-6, 20):
            slopes = contact(q, radii, alpha, start)[1]
            np.testing.assert_allclose(slopes, reference, atol=1e-14 * abs(reference).max())


@settings(max_examples=60, deadline=None)
@given(angles, angles, st.floats(0.1, 3.0), alphas, st.floats(0.0, 1.0))
def test_any_t_bounds_f_from_below(first, second, r, alpha, t):
    of_pair = pw.coefficients(
        r, 0.0, np.cos(first), np.sin(first), 1.0, np.cos(second), np.sin(second), 0.5, alpha
    )
    largest = pw.maximise(0.5, np.inf, *of_pair)[1]
    lower = pw.value(t, *of_pair)[0]
    assert lower <= largest * (1.0 + 1e-14)
    told_at_once = pw.maximise(t, 0.5 * lower, *of_pair)
    assert lower == 0.0 or told_at_once[:2] == (t, pytest.approx(lower, rel=1e-14))


def test_coincident_centres_have_no_direction():
    for q in ([0.0, 0.0, 0.3, 1.0], [1e-60, 0.0, 0.3, 1.0]):
        root, gradient, hessian, t = contact(q, (0.5, 0.7), 2.0)
        assert root == 0.0 and not gradient.any() and not hessian.any() and 0.0 < t < 1.0
    root, gradient, _, _ = contact([1e-40, 0.0, 0.3, 1.0], (0.5, 0.7), 2.0)
    assert root == pytest.approx(1e-40 * gradient[0], rel=1e-12)


def test_cosine_and_sine_are_good_to_rounding():
    turns = np.concatenate(
        (np.linspace(-30.0, 30.0, 5001), np.random.default_rng(0).uniform(-1e4, 1e4, 5000))
    )
    cos, sin = np.empty_like(turns), np.empty_like(turns)
    pw.axes(turns, cos, sin)
    np.testing.assert_allclose(cos, np.cos(turns), atol=2.3e-16, rtol=0.0)
    np.testing.assert_allclose(sin, np.sin(turns), atol=2.3e-16, rtol=0.0)

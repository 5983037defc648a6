"""Pairs of ellipsoids: the contact function of Perram and Wertheim in space, its derivatives, and loops over pairs.

F = max over 0 ≤ t ≤ 1 of t (1 − t) rᵀ [(1 − t) A + t B]⁻¹ r, where √F scales both ellipsoids until they touch.

All bodies have one shape, semi-axes R a_1, R a_2, R a_3 with a_1 a_2 a_3 = 1. As in the plane, no sum below has terms
of both signs, so that F is good to a few rounding errors at any aspect ratio: with y_k = e_k·r and z_l = f_l·r in both
frames, C_kl = e_k·f_l and D_kl = (e_k × f_l)·r,

    F(t) = t (1 − t) [(1 − t)² q_i + t (1 − t) m + t² q_j] / [(1 − t)³ d_i + (1 − t)² t m_i + (1 − t) t² m_j + t³ d_j]
    q_i = R_i⁴ Σ y_k²/a_k²,   m = R_i² R_j² Σ a_k² a_l² D_kl²,   d_i = R_i⁶,   m_i = R_i⁴ R_j² Σ C_kl² a_l²/a_k².

Coordinates of a pair are r = r_j − r_i and the angles of small turns of i and of j about the rows of their frames (see
`orientations`): nine numbers. `of_pair` stands for q_i, m, q_j, d_i, m_i, m_j, d_j.

Source: J. W. Perram and M. S. Wertheim, J. Comput. Phys. 58, 409 (1985).
"""

from math import sqrt

import numpy as np

from ...compiled import loop
from .neighbours import pairs_by_cells
from .orientations import FAST, frames
from .perram_wertheim import LAST, MANY, TINY

_Quotient = tuple[float, float, float, float, float, float, float]  # what F(t) is made of


@loop(fastmath=FAST, forceinline=True)
def value(
    t: float, qi: float, m: float, qj: float, di: float, mi: float, mj: float, dj: float
) -> tuple[float, float]:
    """F(t) and its denominator; F(t) is a lower bound of F at any t between 0 and 1."""
    w = 1.0 - t
    denominator = w * w * (w * di + t * mi) + t * t * (w * mj + t * dj)
    return w * t * (w * w * qi + w * t * m + t * t * qj) / denominator, denominator


@loop(fastmath=FAST, forceinline=True)
def approach(
    t: float, qi: float, m: float, qj: float, di: float, mi: float, mj: float, dj: float
) -> tuple[float, float, float]:
    """The step from t towards the root of h = F'(t) denominator², the last correction within it, and h(t).

    Halley's step, corrected by one of Newton's: of sixth order together, as in the plane (docs/decisions/029).
    """
    # N, D: numerator over t (1 − t), and denominator; n0 …, d0 …: numerator and denominator, and their derivatives
    w = 1.0 - t
    p, p1 = w * t, w - t
    n = w * w * qi + p * m + t * t * qj
    n_1, n_2 = 2.0 * (t * qj - w * qi) + p1 * m, 2.0 * (qi - m + qj)
    n0, n1, n2, n3 = (
        p * n,
        p1 * n + p * n_1,
        2.0 * (p1 * n_1 - n) + p * n_2,
        3.0 * p1 * n_2 - 6.0 * n_1,
    )
    d0 = w * w * (w * di + t * mi) + t * t * (w * mj + t * dj)
    d1 = 3.0 * (t * t * dj - w * w * di) + w * (w - 2.0 * t) * mi + t * (2.0 * w - t) * mj
    d2 = 6.0 * (w * di + t * dj) + (2.0 * t - 4.0 * w) * mi + (2.0 * w - 4.0 * t) * mj
    d3 = 6.0 * (mi - di - mj + dj)
    h0, h1 = n1 * d0 - n0 * d1, n2 * d0 - n0 * d2
    h2 = n3 * d0 + n2 * d1 - n1 * d2 - n0 * d3
    step = -2.0 * h0 * h1 / (2.0 * h1 * h1 - h0 * h2)
    y = t + step
    w = 1.0 - y
    p, p1 = w * y, w - y
    n = w * w * qi + p * m + y * y * qj
    n_1 = 2.0 * (y * qj - w * qi) + p1 * m
    n0, n1, n2 = p * n, p1 * n + p * n_1, 2.0 * (p1 * n_1 - n) + p * n_2
    d0 = w * w * (w * di + y * mi) + y * y * (w * mj + y * dj)
    d1 = 3.0 * (y * y * dj - w * w * di) + w * (w - 2.0 * y) * mi + y * (2.0 * w - y) * mj
    d2 = 6.0 * (w * di + y * dj) + (2.0 * y - 4.0 * w) * mi + (2.0 * w - 4.0 * y) * mj
    last = (n1 * d0 - n0 * d1) / (n2 * d0 - n0 * d2)
    return step - last, last, h0


@loop(fastmath=FAST)
def maximise(
    t: float,
    bound: float,
    qi: float,
    m: float,
    qj: float,
    di: float,
    mi: float,
    mj: float,
    dj: float,
) -> tuple[float, float, float]:
    """t*, F and the denominator at t*, from a start t between 0 and 1; ends early with an F(t) above `bound`.

    `bound` saves the search for pairs that are too far apart anyway; np.inf for none.
    """
    low, high = 0.0, 1.0
    for _ in range(100):  # a few suffice; bisection alone would need 53
        f, denominator = value(t, qi, m, qj, di, mi, mj, dj)
        if f > bound:
            return t, f, denominator
        step, last, slope = approach(t, qi, m, qj, di, mi, mj, dj)
        if abs(last) < LAST:  # before the bracket, which rounding may have closed on the wrong side of t
            t += step
            break
        if slope > 0.0:
            low = t
        else:
            high = t
        t += step
        if not low < t < high:  # NaN too: bisection instead
            t = 0.5 * (low + high)
    f, denominator = value(t, qi, m, qj, di, mi, mj, dj)
    return t, f, denominator


@loop(fastmath=FAST, forceinline=True)
def coefficients(
    rx: float, ry: float, rz: float, e: np.ndarray, i: int, j: int, ri: float, rj: float, a: np.ndarray
) -> _Quotient:
    """The seven coefficients of F(t) for bodies i and j with frames e, (n, 9), R² = ri and rj, and a² = a, (3,)."""
    y0 = rx * e[i, 0] + ry * e[i, 1] + rz * e[i, 2]
    y1 = rx * e[i, 3] + ry * e[i, 4] + rz * e[i, 5]
    y2 = rx * e[i, 6] + ry * e[i, 7] + rz * e[i, 8]
    z0 = rx * e[j, 0] + ry * e[j, 1] + rz * e[j, 2]
    z1 = rx * e[j, 3] + ry * e[j, 4] + rz * e[j, 5]
    z2 = rx * e[j, 6] + ry * e[j, 7] + rz * e[j, 8]
    c00 = e[i, 0] * e[j, 0] + e[i, 1] * e[j, 1] + e[i, 2] * e[j, 2]
    c01 = e[i, 0] * e[j, 3] + e[i, 1] * e[j, 4] + e[i, 2] * e[j, 5]
    c02 = e[i, 0] * e[j, 6] + e[i, 1] * e[j, 7] + e[i, 2] * e[j, 8]
    c10 = e[i, 3] * e[j, 0] + e[i, 4] * e[j, 1] + e[i, 5] * e[j, 2]
    c11 = e[i, 3] * e[j, 3] + e[i, 4] * e[j, 4] + e[i, 5] * e[j, 5]
    c12 = e[i, 3] * e[j, 6] + e[i, 4] * e[j, 7] + e[i, 5] * e[j, 8]
    c20 = e[i, 6] * e[j, 0] + e[i, 7] * e[j, 1] + e[i, 8] * e[j, 2]
    c21 = e[i, 6] * e[j, 3] + e[i, 7] * e[j, 4] + e[i, 8] * e[j, 5]
    c22 = e[i, 6] * e[j, 6] + e[i, 7] * e[j, 7] + e[i, 8] * e[j, 8]
    a0, a1, a2 = a[0], a[1], a[2]
    b0, b1, b2 = a1 * a2, a0 * a2, a0 * a1  # 1/a², since the product of all is one
    # (f_l × r) in the frame of i, for each l: e_k × f_l · r
    d00, d10, d20 = c10 * y2 - c20 * y1, c20 * y0 - c00 * y2, c00 * y1 - c10 * y0
    d01, d11, d21 = c11 * y2 - c21 * y1, c21 * y0 - c01 * y2, c01 * y1 - c11 * y0
    d02, d12, d22 = c12 * y2 - c22 * y1, c22 * y0 - c02 * y2, c02 * y1 - c12 * y0
    m0 = a0 * (d00 * d00) + a1 * (d10 * d10) + a2 * (d20 * d20)
    m1 = a0 * (d01 * d01) + a1 * (d11 * d11) + a2 * (d21 * d21)
    m2 = a0 * (d02 * d02) + a1 * (d12 * d12) + a2 * (d22 * d22)
    s0 = b0 * (a0 * (c00 * c00) + a1 * (c01 * c01) + a2 * (c02 * c02))
    s1 = b1 * (a0 * (c10 * c10) + a1 * (c11 * c11) + a2 * (c12 * c12))
    s2 = b2 * (a0 * (c20 * c20) + a1 * (c21 * c21) + a2 * (c22 * c22))
    t0 = a0 * (b0 * (c00 * c00) + b1 * (c01 * c01) + b2 * (c02 * c02))
    t1 = a1 * (b0 * (c10 * c10) + b1 * (c11 * c11) + b2 * (c12 * c12))
    t2 = a2 * (b0 * (c20 * c20) + b1 * (c21 * c21) + b2 * (c22 * c22))
    qi = ri * ri * (b0 * y0 * y0 + b1 * y1 * y1 + b2 * y2 * y2)
    qj = rj * rj * (b0 * z0 * z0 + b1 * z1 * z1 + b2 * z2 * z2)
    m = ri * rj * (a0 * m0 + a1 * m1 + a2 * m2)
    return (
        qi,
        m,
        qj,
        ri * ri * ri,
        ri * ri * rj * (s0 + s1 + s2),
        ri * rj * rj * (t0 + t1 + t2),
        rj * rj * rj,
    )


@loop(fastmath=FAST, forceinline=True)
def gradient(
    t: float,
    d: float,
    rx: float,
    ry: float,
    rz: float,
    e: np.ndarray,
    i: int,
    j: int,
    ri: float,
    rj: float,
    a: np.ndarray,
) -> tuple[float, float, float, float, float, float, float, float, float]:
    """∂F/∂(r, turns of i, turns of j) at t*, given the denominator d of F(t*); t is held, as F is stationary in it."""
    w = 1.0 - t
    a0, a1, a2 = a[0], a[1], a[2]
    # M = (1 − t) A + t B and v = M⁻¹ r in the frame of i, f: the axes of j there
    f00 = e[i, 0] * e[j, 0] + e[i, 1] * e[j, 1] + e[i, 2] * e[j, 2]
    f10 = e[i, 0] * e[j, 3] + e[i, 1] * e[j, 4] + e[i, 2] * e[j, 5]
    f20 = e[i, 0] * e[j, 6] + e[i, 1] * e[j, 7] + e[i, 2] * e[j, 8]
    f01 = e[i, 3] * e[j, 0] + e[i, 4] * e[j, 1] + e[i, 5] * e[j, 2]
    f11 = e[i, 3] * e[j, 3] + e[i, 4] * e[j, 4] + e[i, 5] * e[j, 5]
    f21 = e[i, 3] * e[j, 6] + e[i, 4] * e[j, 7] + e[i, 5] * e[j, 8]
    f02 = e[i, 6] * e[j, 0] + e[i, 7] * e[j, 1] + e[i, 8] * e[j, 2]
    f12 = e[i, 6] * e[j, 3] + e[i, 7] * e[j, 4] + e[i, 8] * e[j, 5]
    f22 = e[i, 6] * e[j, 6] + e[i, 7] * e[j, 7] + e[i, 8] * e[j, 8]
    y0 = rx * e[i, 0] + ry * e[i, 1] + rz * e[i, 2]
    y1 = rx * e[i, 3] + ry * e[i, 4] + rz * e[i, 5]
    y2 = rx * e[i, 6] + ry * e[i, 7] + rz * e[i, 8]
    g0, g1, g2 = t * rj * a0, t * rj * a1, t * rj * a2
    w0 = w * ri
    m00 = w0 * a0 + g0 * (f00 * f00) + g1 * (f10 * f10) + g2 * (f20 * f20)
    m11 = w0 * a1 + g0 * (f01 * f01) + g1 * (f11 * f11) + g2 * (f21 * f21)
    m22 = w0 * a2 + g0 * (f02 * f02) + g1 * (f12 * f12) + g2 * (f22 * f22)
    m01 = g0 * (f00 * f01) + g1 * (f10 * f11) + g2 * (f20 * f21)
    m02 = g0 * (f00 * f02) + g1 * (f10 * f12) + g2 * (f20 * f22)
    m12 = g0 * (f01 * f02) + g1 * (f11 * f12) + g2 * (f21 * f22)
    k00, k11, k22 = m11 * m22 - m12 * m12, m00 * m22 - m02 * m02, m00 * m11 - m01 * m01
    k01, k02, k12 = m02 * m12 - m01 * m22, m01 * m12 - m02 * m11, m01 * m02 - m00 * m12
    inverse = 1.0 / d
    v0 = (k00 * y0 + k01 * y1 + k02 * y2) * inverse
    v1 = (k01 * y0 + k11 * y1 + k12 * y2) * inverse
    v2 = (k02 * y0 + k12 * y1 + k22 * y2) * inverse
    u0 = f00 * v0 + f01 * v1 + f02 * v2
    u1 = f10 * v0 + f11 * v1 + f12 * v2
    u2 = f20 * v0 + f21 * v1 + f22 * v2
    p = 2.0 * w * t
    of_i, of_j = p * w * ri, p * t * rj
    return (
        p * (e[i, 0] * v0 + e[i, 3] * v1 + e[i, 6] * v2),
        p * (e[i, 1] * v0 + e[i, 4] * v1 + e[i, 7] * v2),
        p * (e[i, 2] * v0 + e[i, 5] * v1 + e[i, 8] * v2),
        of_i * (a2 - a1) * (v1 * v2),
        of_i * (a0 - a2) * (v2 * v0),
        of_i * (a1 - a0) * (v0 * v1),
        of_j * (a2 - a1) * (u1 * u2),
        of_j * (a0 - a2) * (u2 * u0),
        of_j * (a1 - a0) * (u0 * u1),
    )


@loop(fastmath=FAST)
def near_pairs(
    x: np.ndarray,
    edges: np.ndarray,
    radii: np.ndarray,
    shape: np.ndarray,
    ratio: float,
    skin: float,
    reach: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pairs i < j with √F < ratio + reach/σ whose centres are nearer than the longest half axes × ratio, plus skin.

    Parameters
    ----------
    x : (n_dof,) array
        Positions row by row, then orientations.
    edges, radii : (3, 3) and (n,) arrays
        Edges of the box, one a row, lower triangular, and radii R.
    shape : (3,) array
        Half axes of a body of R = 1.
    ratio : float
        λ over the λ that belongs to `radii`.
    skin, reach : float
        In the units of the box.

    Returns
    -------
    first, second : (m,) int64 arrays
        The pairs, in lexicographic order.
    shift : (3, m) array
        The vector to be added to r_j − r_i for the nearest image.
    t : (m,) array
        t*; where the search ended at the bound, the pair is not listed.
    """
    n, found, squares = len(radii), 0, shape * shape
    pairs = pairs_by_cells(x[: 3 * n], edges, ratio * shape.max() * radii + 0.5 * skin)
    frame = np.empty((n, 9))
    frames(x, n, frame)
    first, second = np.empty(len(pairs), dtype=np.int64), np.empty(len(pairs), dtype=np.int64)
    shift, t = np.empty((3, len(pairs))), np.empty(len(pairs))
    for k in range(len(pairs)):
        i, j = pairs[k, 0], pairs[k, 1]
        rx, ry, rz = x[3 * j] - x[3 * i], x[3 * j + 1] - x[3 * i + 1], x[3 * j + 2] - x[3 * i + 2]
        over = np.rint(rz / edges[2, 2])
        sx, sy, sz = -over * edges[2, 0], -over * edges[2, 1], -over * edges[2, 2]
        over = np.rint((ry + sy) / edges[1, 1])
        sx, sy = sx - over * edges[1, 0], sy - over * edges[1, 1]
        sx -= edges[0, 0] * np.rint((rx + sx) / edges[0, 0])
        rx, ry, rz = rx + sx, ry + sy, rz + sz
        sigma = radii[i] + radii[j]
        bound, start, f = (ratio + reach / sigma) ** 2, radii[i] / sigma, 0.0  # t* of two spheres, exactly
        if rx * rx + ry * ry + rz * rz > TINY:
            ri, rj = radii[i] ** 2, radii[j] ** 2
            of_pair = coefficients(rx, ry, rz, frame, i, j, ri, rj, squares)
            start, f, _ = maximise(start, bound, *of_pair)
        if f < bound:
            first[found], second[found], t[found] = i, j, start
            shift[0, found], shift[1, found], shift[2, found] = sx, sy, sz
            found += 1
    return first[:found].copy(), second[:found].copy(), shift[:, :found].copy(), t[:found].copy()


@loop(distinct=True, fastmath=FAST)
def slopes(
    x: np.ndarray,
    frame: np.ndarray,
    radii: np.ndarray,
    squares: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    shift: np.ndarray,
    t: np.ndarray,
    root: np.ndarray,
    rows: np.ndarray,
) -> int:
    """One step of t, (m,); fill root, (m,), with √F, and rows, (9, m), with its slopes.

    Returns the number of pairs whose √F is left NaN: one step was not enough, or the centres coincide. One loop
    without branches, so that it runs in vector registers.
    """
    bad = 0
    for k in range(len(first)):
        i, j = first[k], second[k]
        rx = x[3 * j] - x[3 * i] + shift[0, k]
        ry = x[3 * j + 1] - x[3 * i + 1] + shift[1, k]
        rz = x[3 * j + 2] - x[3 * i + 2] + shift[2, k]
        ri, rj = radii[i] * radii[i], radii[j] * radii[j]
        qi, m, qj, di, mi, mj, dj = coefficients(rx, ry, rz, frame, i, j, ri, rj, squares)
        step, last, _ = approach(t[k], qi, m, qj, di, mi, mj, dj)
        y = t[k] + step
        f, d = value(y, qi, m, qj, di, mi, mj, dj)
        g = gradient(y, d, rx, ry, rz, frame, i, j, ri, rj, squares)
        good = (abs(last) < LAST) & (y > 0.0) & (y < 1.0) & (rx * rx + ry * ry + rz * rz > TINY)
        bad += not good
        root[k] = sqrt(f) if good else np.nan
        # after a step out of the interval, or to NaN, start from its middle
        t[k] = y if (y > 0.0) & (y < 1.0) else 0.5
        scale = 0.5 / root[k]
        rows[0, k], rows[1, k], rows[2, k] = scale * g[0], scale * g[1], scale * g[2]
        rows[3, k], rows[4, k], rows[5, k] = scale * g[3], scale * g[4], scale * g[5]
        rows[6, k], rows[7, k], rows[8, k] = scale * g[6], scale * g[7], scale * g[8]
    return bad


@loop(fastmath=FAST)
def contacts(
    x: np.ndarray,
    frame: np.ndarray,
    radii: np.ndarray,
    shape: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    shift: np.ndarray,
    t: np.ndarray,
    root: np.ndarray,
    rows: np.ndarray,
) -> None:
    """Bring t (m,), root = √F (m,) and rows = its slopes (9, m) up to date at x, in place; zero where centres coincide.

    Parameters
    ----------
    x, radii : (n_dof,) and (n,) arrays
    frame : (n, 9) array
        Overwritten with the frames at x.
    shape : (3,) array
        Half axes of a body of R = 1.
    first, second, shift, t : arrays
        As `near_pairs` returns them; t from the last call.
    root, rows : (m,) and (9, m) arrays
        Overwritten.
    """
    n, squares = len(radii), shape * shape
    frames(x, n, frame)
    bad = slopes(x, frame, radii, squares, first, second, shift, t, root, rows)
    if bad > MANY * len(first):  # t is nearer now, so that a second pass settles most pairs
        bad = slopes(x, frame, radii, squares, first, second, shift, t, root, rows)
    for k in range(len(first) if bad else 0):
        if root[k] == root[k]:  # no NaN: settled
            continue
        i, j = first[k], second[k]
        rx = x[3 * j] - x[3 * i] + shift[0, k]
        ry = x[3 * j + 1] - x[3 * i + 1] + shift[1, k]
        rz = x[3 * j + 2] - x[3 * i + 2] + shift[2, k]
        root[k], rows[:, k], t[k] = 0.0, 0.0, radii[i] / (radii[i] + radii[j])
        if rx * rx + ry * ry + rz * rz > TINY:
            ri, rj = radii[i] ** 2, radii[j] ** 2
            of_pair = coefficients(rx, ry, rz, frame, i, j, ri, rj, squares)
            t[k], f, d = maximise(t[k], np.inf, *of_pair)
            g = gradient(t[k], d, rx, ry, rz, frame, i, j, ri, rj, squares)
            root[k] = sqrt(f)
            for row in range(9):
                rows[row, k] = 0.5 * g[row] / root[k]

"""Pairs of ellipses: the contact function of Perram and Wertheim, its derivatives, and loops over pairs.

F = max over 0 ≤ t ≤ 1 of t (1 − t) rᵀ [(1 − t) A + t B]⁻¹ r, where √F scales both ellipses until they touch.

Ellipses of one aspect ratio α, semi-axes R√α and R/√α: a pair is r = r_j − r_i and, for each, the long axis
(cos, sin) and R². In the frames of the axes no sum below has terms of both signs, so F is good to a few
rounding errors at any α:

    F(t) = t (1 − t) [(1 − t) q_i + t q_j] / [(1 − t)² d_i + t (1 − t) m + t² d_j]
    q = rᵀ adj(A) r,   d = det A = R⁴,   m = tr(adj(A) B).

Arguments of one pair are numbers: t; rx, ry of r; ci, si = (cos, sin) of the long axis of i, and ri = R_i²; likewise
cj, sj, rj. `of_pair` stands for q_i, q_j, d_i, m, d_j. Loops over pairs take x, (3n,), as `Ellipses.pack` makes it,
radii (n,), and of m pairs first, second (m,), shift (2, m) and t (m,), as `near_pairs` returns them.

Source: J. W. Perram and M. S. Wertheim, J. Comput. Phys. 58, 409 (1985).
"""

from math import sqrt

import numpy as np

from ...compiled import loop
from .neighbours import pairs_by_cells

LAST = 3e-9  # t is accepted where the last correction is smaller: the error that is left is its square, about 1e-17
MANY = 0.05  # share of the pairs from which on another step for all is cheaper than a search for each
TINY = 1e-100  # squared distance below which two centres coincide: √F = 0, without a direction

# Allowed: −0 for 0, and a product with the inverse for a quotient. Not allowed: another order of terms, on which the
# accuracy of F rests, and fused multiply-adds, with which a fresh compilation and numba's cache give different bits.
FAST = {"nsz", "arcp"}

_Quotient = tuple[float, float, float, float, float]  # what F(t) is made of: see `coefficients`


@loop(fastmath=FAST)
def coefficients(
    rx: float, ry: float, ci: float, si: float, ri: float, cj: float, sj: float, rj: float, alpha: float
) -> _Quotient:
    """The five coefficients q_i, q_j, d_i, m, d_j of F(t), for one pair."""
    # u, n: r along the long axis and across it, of either ellipse; c, s: cosine and sine of the angle between the axes
    ui, ni = rx * ci + ry * si, ry * ci - rx * si
    uj, nj = rx * cj + ry * sj, ry * cj - rx * sj
    c, s = ci * cj + si * sj, ci * sj - si * cj
    flat = 1.0 / alpha
    mixed = ri * rj * (2.0 * c * c + (alpha * alpha + flat * flat) * s * s)
    qi, qj = ri * (flat * ui * ui + alpha * ni * ni), rj * (flat * uj * uj + alpha * nj * nj)
    return qi, qj, ri * ri, mixed, rj * rj


@loop(fastmath=FAST)
def value(t: float, qi: float, qj: float, di: float, mixed: float, dj: float) -> tuple[float, float]:
    """F(t) and its denominator, two numbers; F(t) is a lower bound of F at any t between 0 and 1."""
    w = 1.0 - t
    denominator = w * w * di + w * t * mixed + t * t * dj
    return w * t * (w * qi + t * qj) / denominator, denominator


@loop(fastmath=FAST)
def approach(
    t: float, qi: float, qj: float, di: float, mixed: float, dj: float
) -> tuple[float, float, float]:
    """The step from t towards the root of h = F'(t) denominator², the last correction within it, and h(t).

    Halley's step, corrected by one of Newton's on h itself, a polynomial of fourth degree: of sixth order together.
    """
    w = 1.0 - t
    # n0, n1, n2 and d0, d1, d2: numerator and denominator of F and their derivatives in t; h0 … h4: those of h
    q, q1 = w * qi + t * qj, qj - qi
    n0, n1, n2 = w * t * q, (w - t) * q + w * t * q1, 2.0 * ((w - t) * q1 - q)
    d0 = w * w * di + w * t * mixed + t * t * dj
    d1, d2 = (w - t) * mixed + 2.0 * (t * dj - w * di), 2.0 * (di - mixed + dj)
    h0, h1 = n1 * d0 - n0 * d1, n2 * d0 - n0 * d2
    h2 = n2 * d1 - n1 * d2 - 6.0 * q1 * d0
    h3, h4 = -2.0 * q1 * d1, -0.5 * q1 * d2  # over 3! and 4!
    step = -2.0 * h0 * h1 / (2.0 * h1 * h1 - h0 * h2)
    left = h0 + step * (h1 + step * (0.5 * h2 + step * (h3 + step * h4)))
    slope = h1 + step * (h2 + step * (3.0 * h3 + step * (4.0 * h4)))
    last = left / slope
    return step - last, last, h0


@loop(fastmath=FAST)
def maximise(
    t: float, bound: float, qi: float, qj: float, di: float, mixed: float, dj: float
) -> tuple[float, float, float]:
    """t*, F and the denominator at t*, from a start t between 0 and 1; ends early with an F(t) above `bound`.

    `bound` saves the search for pairs that are too far apart anyway; np.inf for none.
    """
    low, high = 0.0, 1.0
    for _ in range(100):  # a few suffice; bisection alone would need 53
        f, denominator = value(t, qi, qj, di, mixed, dj)
        if f > bound:
            return t, f, denominator
        step, last, slope = approach(t, qi, qj, di, mixed, dj)
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
    f, denominator = value(t, qi, qj, di, mixed, dj)
    return t, f, denominator


@loop(fastmath=FAST)
def gradient(
    t: float,
    denominator: float,
    rx: float,
    ry: float,
    ci: float,
    si: float,
    ri: float,
    cj: float,
    sj: float,
    rj: float,
    alpha: float,
) -> tuple[float, float, float, float]:
    """∂F/∂(r_x, r_y, angle_i, angle_j) at t*, four numbers, given the denominator of F(t*).

    t is held: F is stationary in t at t*, so the change of t* does not matter to first order.
    """
    # u, n: products of (1 − t) adj(A) and t adj(B) with r, along and across each long axis
    w, flat = 1.0 - t, 1.0 / alpha
    ui, ni = w * ri * flat * (rx * ci + ry * si), w * ri * alpha * (ry * ci - rx * si)
    uj, nj = t * rj * flat * (rx * cj + ry * sj), t * rj * alpha * (ry * cj - rx * sj)
    inverse = 1.0 / denominator
    vx = (ui * ci - ni * si + uj * cj - nj * sj) * inverse  # v = M⁻¹ r, M = (1 − t) A + t B
    vy = (ui * si + ni * ci + uj * sj + nj * cj) * inverse
    p, e = 2.0 * w * t, flat - alpha  # e: ∂A/∂angle is R² (α − 1/α) times a matrix of cosines and sines
    fi = w * ri * e * (vx * ci + vy * si) * (vy * ci - vx * si)
    fj = t * rj * e * (vx * cj + vy * sj) * (vy * cj - vx * sj)
    return p * vx, p * vy, p * fi, p * fj


@loop(fastmath=FAST)
def hessian(
    t: float,
    rx: float,
    ry: float,
    ci: float,
    si: float,
    ri: float,
    cj: float,
    sj: float,
    rj: float,
    alpha: float,
    factor: float,
    out: np.ndarray,
) -> None:
    """Fill out, (4, 4), with factor × the second derivatives of √F in (r_x, r_y, angle_i, angle_j) at t*.

    They follow from F_qq − F_qt F_tqᵀ / F_tt: at the maximum over t, t* moves with the coordinates q.
    """
    w, p, p1, flat = 1.0 - t, t * (1.0 - t), 1.0 - 2.0 * t, 1.0 / alpha
    ei, ej = ri * (alpha - flat), rj * (alpha - flat)
    axx, axy, ayy = ri * flat + ei * ci * ci, ei * ci * si, ri * flat + ei * si * si
    bxx, bxy, byy = rj * flat + ej * cj * cj, ej * cj * sj, rj * flat + ej * sj * sj
    of_pair = coefficients(rx, ry, ci, si, ri, cj, sj, rj, alpha)
    f, d = value(t, *of_pair)
    ixx, ixy, iyy = (w * ayy + t * byy) / d, -(w * axy + t * bxy) / d, (w * axx + t * bxx) / d
    gx, gy, gi, gj = gradient(t, d, rx, ry, ci, si, ri, cj, sj, rj, alpha)
    vx, vy = 0.5 * gx / p, 0.5 * gy / p
    ui, ni, uj, nj = vx * ci + vy * si, vy * ci - vx * si, vx * cj + vy * sj, vy * cj - vx * sj
    # k_i = (1 − t) ∂A/∂angle_i v, k_j likewise, k_t = (B − A) v;  m = M⁻¹ k, so that ∂v = −m
    kix, kiy = w * ei * (ui * -si + ni * ci), w * ei * (ui * ci + ni * si)
    kjx, kjy = t * ej * (uj * -sj + nj * cj), t * ej * (uj * cj + nj * sj)
    ktx, kty = (bxx - axx) * vx + (bxy - axy) * vy, (bxy - axy) * vx + (byy - ayy) * vy
    mix, miy = ixx * kix + ixy * kiy, ixy * kix + iyy * kiy
    mjx, mjy = ixx * kjx + ixy * kjy, ixy * kjx + iyy * kjy
    mtx, mty = ixx * ktx + ixy * kty, ixy * ktx + iyy * kty
    out[0, 0], out[0, 1], out[1, 1] = 2.0 * p * ixx, 2.0 * p * ixy, 2.0 * p * iyy
    out[0, 2], out[1, 2], out[0, 3], out[1, 3] = (
        -2.0 * p * mix,
        -2.0 * p * miy,
        -2.0 * p * mjx,
        -2.0 * p * mjy,
    )
    out[2, 2] = 2.0 * p * (kix * mix + kiy * miy + w * ei * (ui * ui - ni * ni))
    out[3, 3] = 2.0 * p * (kjx * mjx + kjy * mjy + t * ej * (uj * uj - nj * nj))
    out[2, 3] = 2.0 * p * (kix * mjx + kiy * mjy)
    ft = (
        2.0 * (p1 * vx - p * mtx),
        2.0 * (p1 * vy - p * mty),
        gi * (p1 / p - 1.0 / w) + 2.0 * p * (kix * mtx + kiy * mty),
        gj * (p1 / p + 1.0 / t) + 2.0 * p * (kjx * mtx + kjy * mty),
    )
    ftt = -2.0 * f / p - 2.0 * p1 * (vx * ktx + vy * kty) + 2.0 * p * (ktx * mtx + kty * mty)
    # below: ∇∇√F = (∇∇F − ∇F ⊗ ∇F/(2F)) / (2√F)
    g, scale = (gx, gy, gi, gj), 0.5 * factor / sqrt(f)
    for k in range(4):
        for m in range(k, 4):
            out[k, m] = scale * (out[k, m] - ft[k] * ft[m] / ftt - 0.5 * g[k] * g[m] / f)
            out[m, k] = out[k, m]


@loop(distinct=True, fastmath=FAST)
def axes(angles: np.ndarray, cos: np.ndarray, sin: np.ndarray) -> None:
    """Fill cos and sin, (n,), with those of angles, (n,): Cody and Waite's reduction, then fdlibm's polynomials.

    Written out so that the loop runs in vector registers.
    """
    for k in range(len(angles)):
        # π/2 in three parts, each but the last with trailing zeros, so that the products with `quarter` are exact
        quarter = np.rint(angles[k] * (2.0 / np.pi))
        y = angles[k] - quarter * 1.57079632673412561417
        y -= quarter * 6.07710050630396597660e-11
        y -= quarter * 2.02226624879595063154e-21
        z = y * y
        s = 2.75573137070700676789e-06 + z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10)
        s = 8.33333333332248946124e-03 + z * (-1.98412698298579493134e-04 + z * s)
        s = y + y * z * (-1.66666666666666324348e-01 + z * s)
        c = -2.75573143513906633035e-07 + z * (2.08757232129817482790e-09 - z * 1.13596475577881948265e-11)
        c = -1.38888888888741095749e-03 + z * (2.48015872894767294178e-05 + z * c)
        c = 1.0 - (0.5 * z - z * z * (4.16666666666666019037e-02 + z * c))
        turn = quarter - 4.0 * np.floor(0.25 * quarter)
        odd = (turn == 1.0) | (turn == 3.0)
        along, across = s if odd else c, c if odd else s
        cos[k] = -along if (turn == 1.0) | (turn == 2.0) else along
        sin[k] = -across if turn >= 2.0 else across


@loop(fastmath=FAST)
def near_pairs(
    x: np.ndarray, edges: np.ndarray, radii: np.ndarray, alpha: float, ratio: float, skin: float, reach: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pairs i < j with √F < ratio + reach/σ whose centres are nearer than ratio (a_i + a_j) + skin.

    Parameters
    ----------
    x : (3n,) array
        Positions row by row, then angles.
    edges, radii : (2, 2) and (n,) arrays
        Edges of the box, one a row, lower triangular, and radii R.
    alpha : float
        Aspect ratio.
    ratio : float
        λ over the λ that belongs to `radii`.
    skin, reach : float
        In the units of the box.

    Returns
    -------
    first, second : (m,) int64 arrays
        The pairs, in lexicographic order.
    shift : (2, m) array
        The vector to be added to r_j − r_i for the nearest image.
    t : (m,) array
        t*; where the search ended at the bound, the pair is not listed.
    """
    n, found = len(radii), 0
    wide, high, tilt = edges[0, 0], edges[1, 1], edges[1, 0]
    pairs = pairs_by_cells(x[: 2 * n], edges, ratio * sqrt(alpha) * radii + 0.5 * skin)
    cos, sin = np.empty(n), np.empty(n)
    axes(x[2 * n :], cos, sin)
    first, second = np.empty(len(pairs), dtype=np.int64), np.empty(len(pairs), dtype=np.int64)
    shift, t = np.empty((2, len(pairs))), np.empty(len(pairs))
    for k in range(len(pairs)):
        i, j = pairs[k, 0], pairs[k, 1]
        rx, ry = x[2 * j] - x[2 * i], x[2 * j + 1] - x[2 * i + 1]
        over = np.rint(ry / high)
        sx, sy = -over * tilt, -over * high
        sx -= wide * np.rint((rx + sx) / wide)
        rx, ry, ri, rj = rx + sx, ry + sy, radii[i] ** 2, radii[j] ** 2
        sigma = radii[i] + radii[j]
        bound, start, f = (ratio + reach / sigma) ** 2, radii[i] / sigma, 0.0  # t* of two discs, exactly
        if rx * rx + ry * ry > TINY:
            of_pair = coefficients(rx, ry, cos[i], sin[i], ri, cos[j], sin[j], rj, alpha)
            start, f, _ = maximise(start, bound, *of_pair)
        if f < bound:
            first[found], second[found], shift[0, found], shift[1, found], t[found] = i, j, sx, sy, start
            found += 1
    return first[:found].copy(), second[:found].copy(), shift[:, :found].copy(), t[:found].copy()


@loop(distinct=True, fastmath=FAST)
def slopes(
    x: np.ndarray,
    cos: np.ndarray,
    sin: np.ndarray,
    radii: np.ndarray,
    alpha: float,
    first: np.ndarray,
    second: np.ndarray,
    shift: np.ndarray,
    t: np.ndarray,
    root: np.ndarray,
    rows: np.ndarray,
) -> int:
    """One step of t, (m,); fill root, (m,), with √F, and rows, (4, m), with ∂√F/∂(r_x, r_y, angle_i, angle_j).

    Returns the number of pairs whose √F is left NaN: one step was not enough, or the centres coincide. One loop
    without branches, so that it runs in vector registers.
    """
    bad = 0
    for k in range(len(first)):
        i, j = first[k], second[k]
        rx, ry = x[2 * j] - x[2 * i] + shift[0, k], x[2 * j + 1] - x[2 * i + 1] + shift[1, k]
        ci, si, ri, cj, sj, rj = cos[i], sin[i], radii[i] ** 2, cos[j], sin[j], radii[j] ** 2
        qi, qj, di, mixed, dj = coefficients(rx, ry, ci, si, ri, cj, sj, rj, alpha)
        step, last, _ = approach(t[k], qi, qj, di, mixed, dj)
        y = t[k] + step
        f, d = value(y, qi, qj, di, mixed, dj)
        g = gradient(y, d, rx, ry, ci, si, ri, cj, sj, rj, alpha)
        good = (abs(last) < LAST) & (y > 0.0) & (y < 1.0) & (rx * rx + ry * ry > TINY)
        bad += not good
        root[k] = sqrt(f) if good else np.nan
        # after a step out of the interval, or to NaN, start from its middle
        t[k] = y if (y > 0.0) & (y < 1.0) else 0.5
        scale = 0.5 / root[k]
        rows[0, k], rows[1, k], rows[2, k], rows[3, k] = (
            scale * g[0],
            scale * g[1],
            scale * g[2],
            scale * g[3],
        )
    return bad


@loop(fastmath=FAST)
def contacts(
    x: np.ndarray,
    radii: np.ndarray,
    alpha: float,
    first: np.ndarray,
    second: np.ndarray,
    shift: np.ndarray,
    t: np.ndarray,
    root: np.ndarray,
    rows: np.ndarray,
) -> None:
    """Bring t (m,), root = √F (m,) and rows = its slopes (4, m) up to date at x, in place; zero where centres coincide.

    Parameters
    ----------
    x, radii : (3n,) and (n,) arrays
    alpha : float
        Aspect ratio.
    first, second, shift, t : arrays
        As `near_pairs` returns them; t from the last call.
    root, rows : (m,) and (4, m) arrays
        Overwritten.
    """
    n = len(radii)
    cos, sin = np.empty(n), np.empty(n)
    axes(x[2 * n :], cos, sin)
    bad = slopes(x, cos, sin, radii, alpha, first, second, shift, t, root, rows)
    if bad > MANY * len(first):  # t is nearer now, so that a second pass settles most pairs
        bad = slopes(x, cos, sin, radii, alpha, first, second, shift, t, root, rows)
    for k in range(len(first) if bad else 0):
        if root[k] == root[k]:  # no NaN: settled
            continue
        i, j = first[k], second[k]
        rx, ry = x[2 * j] - x[2 * i] + shift[0, k], x[2 * j + 1] - x[2 * i + 1] + shift[1, k]
        root[k], rows[:, k], t[k] = 0.0, 0.0, radii[i] / (radii[i] + radii[j])
        if rx * rx + ry * ry > TINY:
            ci, si, ri, cj, sj, rj = cos[i], sin[i], radii[i] ** 2, cos[j], sin[j], radii[j] ** 2
            of_pair = coefficients(rx, ry, ci, si, ri, cj, sj, rj, alpha)
            t[k], f, d = maximise(t[k], np.inf, *of_pair)
            g = gradient(t[k], d, rx, ry, ci, si, ri, cj, sj, rj, alpha)
            root[k] = sqrt(f)
            for row in range(4):
                rows[row, k] = 0.5 * g[row] / root[k]


@loop(fastmath=FAST)
def hessians(
    x: np.ndarray,
    radii: np.ndarray,
    alpha: float,
    first: np.ndarray,
    second: np.ndarray,
    shift: np.ndarray,
    t: np.ndarray,
    factors: np.ndarray,
) -> np.ndarray:
    """Second derivatives of √F in (r_x, r_y, angle_i, angle_j), times factors (m,): (m, 4, 4).

    t, (m,), must be up to date (see `contacts`). Zero where centres coincide.
    """
    n, out = len(radii), np.zeros((len(first), 4, 4))
    cos, sin = np.empty(n), np.empty(n)
    axes(x[2 * n :], cos, sin)
    for k in range(len(first)):
        i, j = first[k], second[k]
        rx, ry = x[2 * j] - x[2 * i] + shift[0, k], x[2 * j + 1] - x[2 * i + 1] + shift[1, k]
        if rx * rx + ry * ry > TINY:
            ri, rj = radii[i] ** 2, radii[j] ** 2
            hessian(t[k], rx, ry, cos[i], sin[i], ri, cos[j], sin[j], rj, alpha, factors[k], out[k])
    return out


@loop(inline="always", fastmath=FAST)
def push_pair(total: np.ndarray, n: int, i: int, j: int, rows: np.ndarray, k: int, weight: float) -> None:
    """Add weight × rows[:, k], in (r_x, r_y, angle_i, angle_j), to the entries of i and j in total, (3n,).

    r = r_j − r_i, hence the minus at i.
    """
    total[2 * i] -= weight * rows[0, k]
    total[2 * i + 1] -= weight * rows[1, k]
    total[2 * j] += weight * rows[0, k]
    total[2 * j + 1] += weight * rows[1, k]
    total[2 * n + i] += weight * rows[2, k]
    total[2 * n + j] += weight * rows[3, k]


@loop(fastmath=FAST)
def push(first: np.ndarray, second: np.ndarray, rows: np.ndarray, weights: np.ndarray, n: int) -> np.ndarray:
    """Jᵀ w, (3n,), of pairs first, second (m,), rows (4, m) in (r_x, r_y, angle_i, angle_j) and weights (m,)."""
    total = np.zeros(3 * n)
    for k in range(len(first)):
        push_pair(total, n, first[k], second[k], rows, k, weights[k])
    return total


@loop(fastmath=FAST)
def outer(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The matrices weights × rows ⊗ rows, one for each pair: (4, m), (m,) -> (m, 4, 4)."""
    out = np.empty((len(weights), 4, 4))
    for k in range(len(weights)):
        for row in range(4):
            for column in range(4):
                out[k, row, column] = weights[k] * rows[row, k] * rows[column, k]
    return out

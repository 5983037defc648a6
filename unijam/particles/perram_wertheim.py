"""Pairs of ellipses: the contact function of Perram and Wertheim, its derivatives, and loops over pairs.

F = max over 0 ≤ t ≤ 1 of t (1 − t) rᵀ [(1 − t) A + t B]⁻¹ r, where √F scales both ellipses until they touch.

A pair is r = r_j − r_i and, for each ellipse, its axis (cos, sin) and its semi-axes (a, b). In the frames of
the axes no sum below has terms of both signs, so F is good to a few rounding errors at any aspect ratio:

    F(t) = t (1 − t) [(1 − t) q_i + t q_j] / [(1 − t)² d_i + t (1 − t) m + t² d_j]
    q = rᵀ adj(A) r,   d = det A = (a b)²,   m = tr(adj(A) B).

Source: J. W. Perram and M. S. Wertheim, J. Comput. Phys. 58, 409 (1985).
"""

from math import sqrt

import numpy as np
from numba import njit

STEP = 1e-7  # Halley's method is of third order: after a step this small, t is good to rounding
TINY = 1e-100  # squared distance below which two centres coincide: √F = 0, without a direction

_flags = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz", "arcp"}}


@njit(**_flags)
def coefficients(rx, ry, ci, si, ai, bi, cj, sj, aj, bj):
    """q_i, q_j, d_i, m, d_j of F(t), for one pair."""
    ui, ni = rx * ci + ry * si, ry * ci - rx * si
    uj, nj = rx * cj + ry * sj, ry * cj - rx * sj
    c, s = ci * cj + si * sj, ci * sj - si * cj
    mixed = (bi * aj * c) ** 2 + (bi * bj * s) ** 2 + (ai * aj * s) ** 2 + (ai * bj * c) ** 2
    qi, qj = (bi * ui) ** 2 + (ai * ni) ** 2, (bj * uj) ** 2 + (aj * nj) ** 2
    return qi, qj, (ai * bi) ** 2, mixed, (aj * bj) ** 2


@njit(**_flags)
def maximise(t, bound, qi, qj, di, mixed, dj):
    """(t*, F), from a start t; any F(t) bounds F from below, and one above `bound` is returned at once."""
    low, high = 0.0, 1.0
    for _ in range(100):
        w = 1.0 - t
        q, q1 = w * qi + t * qj, qj - qi
        numerator, denominator = w * t * q, w * w * di + w * t * mixed + t * t * dj
        if numerator > bound * denominator:
            return t, numerator / denominator
        n1, n2 = (w - t) * q + w * t * q1, 2.0 * ((w - t) * q1 - q)
        d1, d2 = (w - t) * mixed + 2.0 * (t * dj - w * di), 2.0 * (di - mixed + dj)
        h0, h1 = n1 * denominator - numerator * d1, n2 * denominator - numerator * d2  # h = F' denominator²
        h2 = n2 * d1 - n1 * d2 - 6.0 * q1 * denominator
        step = -2.0 * h0 * h1 / (2.0 * h1 * h1 - h0 * h2)
        if abs(step) < STEP:  # before the bracket, which rounding may have closed on the wrong side of t
            t += step
            break
        if h0 > 0.0:
            low = t
        else:
            high = t
        t += step
        if not low < t < high:
            t = 0.5 * (low + high)
    w = 1.0 - t
    return t, w * t * (w * qi + t * qj) / (w * w * di + w * t * mixed + t * t * dj)


@njit(**_flags)
def gradient(t, rx, ry, ci, si, ai, bi, cj, sj, aj, bj, denominator):
    """∂F/∂(r_x, r_y, angle_i, angle_j) at t*: by the envelope theorem, t held."""
    w = 1.0 - t
    ui, ni = bi * bi * (rx * ci + ry * si), ai * ai * (ry * ci - rx * si)
    uj, nj = bj * bj * (rx * cj + ry * sj), aj * aj * (ry * cj - rx * sj)
    vx = (w * (ui * ci - ni * si) + t * (uj * cj - nj * sj)) / denominator
    vy = (w * (ui * si + ni * ci) + t * (uj * sj + nj * cj)) / denominator
    fi = (bi - ai) * (bi + ai) * (vx * ci + vy * si) * (vy * ci - vx * si)
    fj = (bj - aj) * (bj + aj) * (vx * cj + vy * sj) * (vy * cj - vx * sj)
    p = 2.0 * w * t
    return p * vx, p * vy, p * w * fi, p * t * fj


@njit(**_flags)
def hessian(t, rx, ry, ci, si, ai, bi, cj, sj, aj, bj, out):
    """Fill out, (4, 4), with the second derivatives of √F, from those of F: F_qq − F_qt F_tqᵀ / F_tt."""
    w, p, p1 = 1.0 - t, t * (1.0 - t), 1.0 - 2.0 * t
    ei, ej = (ai - bi) * (ai + bi), (aj - bj) * (aj + bj)
    axx, axy, ayy = bi * bi + ei * ci * ci, ei * ci * si, bi * bi + ei * si * si
    bxx, bxy, byy = bj * bj + ej * cj * cj, ej * cj * sj, bj * bj + ej * sj * sj
    _, _, di, mixed, dj = coefficients(rx, ry, ci, si, ai, bi, cj, sj, aj, bj)
    d = w * w * di + w * t * mixed + t * t * dj
    ixx, ixy, iyy = (w * ayy + t * byy) / d, -(w * axy + t * bxy) / d, (w * axx + t * bxx) / d
    gx, gy, gi, gj = gradient(t, rx, ry, ci, si, ai, bi, cj, sj, aj, bj, d)
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
    value = rx * vx + ry * vy
    ft = (
        2.0 * (p1 * vx - p * mtx),
        2.0 * (p1 * vy - p * mty),
        gi * (p1 / p - 1.0 / w) + 2.0 * p * (kix * mtx + kiy * mty),
        gj * (p1 / p + 1.0 / t) + 2.0 * p * (kjx * mtx + kjy * mty),
    )
    ftt = -2.0 * value - 2.0 * p1 * (vx * ktx + vy * kty) + 2.0 * p * (ktx * mtx + kty * mty)
    g, root = (gx, gy, gi, gj), sqrt(p * value)
    for k in range(4):
        for m in range(k, 4):
            out[k, m] = (out[k, m] - ft[k] * ft[m] / ftt - 0.5 * g[k] * g[m] / (p * value)) / (2.0 * root)
            out[m, k] = out[k, m]


@njit(**_flags)
def near_pairs(x, side, a, b, pairs, farthest):
    """Of pairs (m, 2) those with √F < farthest (m,): their places in `pairs`, periodic shifts, t* and √F."""
    n, found = len(a), 0
    cos, sin = np.cos(x[2 * n :]), np.sin(x[2 * n :])
    place, shift = np.empty(len(pairs), dtype=np.int64), np.empty((len(pairs), 2))
    t, root = np.empty(len(pairs)), np.empty(len(pairs))
    for k in range(len(pairs)):
        i, j = pairs[k, 0], pairs[k, 1]
        rx, ry = x[2 * j] - x[2 * i], x[2 * j + 1] - x[2 * i + 1]
        sx, sy = -side * np.rint(rx / side), -side * np.rint(ry / side)
        rx, ry = rx + sx, ry + sy
        start, f = b[i] / (b[i] + b[j]), 0.0
        if rx * rx + ry * ry > TINY:
            of_pair = coefficients(rx, ry, cos[i], sin[i], a[i], b[i], cos[j], sin[j], a[j], b[j])
            start, f = maximise(start, farthest[k] ** 2, *of_pair)
        if f < farthest[k] ** 2:
            place[found], shift[found, 0], shift[found, 1], t[found], root[found] = k, sx, sy, start, sqrt(f)
            found += 1
    return place[:found], shift[:found], t[:found], root[:found]


@njit(**_flags)
def gradients(x, a, b, pairs, shift, t):
    """∂√F/∂(r_x, r_y, angle_i, angle_j) of each pair, (m, 4); zero for coincident centres."""
    n, out = len(a), np.zeros((len(pairs), 4))
    cos, sin = np.cos(x[2 * n :]), np.sin(x[2 * n :])
    for k in range(len(pairs)):
        i, j = pairs[k, 0], pairs[k, 1]
        rx, ry = x[2 * j] - x[2 * i] + shift[k, 0], x[2 * j + 1] - x[2 * i + 1] + shift[k, 1]
        if rx * rx + ry * ry > TINY:
            qi, qj, di, mixed, dj = coefficients(
                rx, ry, cos[i], sin[i], a[i], b[i], cos[j], sin[j], a[j], b[j]
            )
            w = 1.0 - t[k]
            d = w * w * di + w * t[k] * mixed + t[k] * t[k] * dj
            scale = 0.5 / sqrt(w * t[k] * (w * qi + t[k] * qj) / d)
            g = gradient(t[k], rx, ry, cos[i], sin[i], a[i], b[i], cos[j], sin[j], a[j], b[j], d)
            out[k, 0], out[k, 1], out[k, 2], out[k, 3] = (
                g[0] * scale,
                g[1] * scale,
                g[2] * scale,
                g[3] * scale,
            )
    return out


@njit(**_flags)
def hessians(x, a, b, pairs, shift, t):
    """Second derivatives of √F in (r_x, r_y, angle_i, angle_j), (m, 4, 4); zero for coincident centres."""
    n, out = len(a), np.zeros((len(pairs), 4, 4))
    cos, sin = np.cos(x[2 * n :]), np.sin(x[2 * n :])
    for k in range(len(pairs)):
        i, j = pairs[k, 0], pairs[k, 1]
        rx, ry = x[2 * j] - x[2 * i] + shift[k, 0], x[2 * j + 1] - x[2 * i + 1] + shift[k, 1]
        if rx * rx + ry * ry > TINY:
            hessian(t[k], rx, ry, cos[i], sin[i], a[i], b[i], cos[j], sin[j], a[j], b[j], out[k])
    return out


@njit(**_flags)
def evaluate(x, ratio, threshold, built, skin, radii, a, b, pairs, shift, t):
    """(valid, Σ Δ², overlaps above threshold, Σ Δ σ, ∇ ½ΣΔ²) over Δ = σ (ratio − √F) > 0 of listed pairs.

    built: x, then the ratio, for which the list was made; where it is outdated, `valid` is False and no more
    is told. t, (m,), is brought up to date.
    """
    n, largest = len(a), 0.0
    for i in range(n):
        dx, dy, turn = (
            x[2 * i] - built[2 * i],
            x[2 * i + 1] - built[2 * i + 1],
            x[2 * n + i] - built[2 * n + i],
        )
        moved = sqrt(dx * dx + dy * dy) + (a[i] - b[i]) * abs(turn) + a[i] * max(0.0, ratio - built[3 * n])
        largest = max(largest, moved) if moved == moved else np.inf
    total = np.zeros(3 * n)
    squares, count, load = 0.0, 0, 0.0
    if not 2.0 * largest <= skin:
        return False, squares, count, load, total
    cos, sin = np.cos(x[2 * n :]), np.sin(x[2 * n :])
    for k in range(len(pairs)):
        i, j = pairs[k, 0], pairs[k, 1]
        rx, ry = x[2 * j] - x[2 * i] + shift[k, 0], x[2 * j + 1] - x[2 * i + 1] + shift[k, 1]
        sigma, f, d = radii[i] + radii[j], 0.0, 1.0
        if rx * rx + ry * ry > TINY:
            of_pair = coefficients(rx, ry, cos[i], sin[i], a[i], b[i], cos[j], sin[j], a[j], b[j])
            t[k], f = maximise(t[k], ratio * ratio, *of_pair)
        if f >= ratio * ratio:
            continue
        root = sqrt(f)
        delta = sigma * (ratio - root)
        squares += delta * delta
        count += delta > threshold
        load += delta * sigma
        if f > 0.0:
            w = 1.0 - t[k]
            d = w * w * of_pair[2] + w * t[k] * of_pair[3] + t[k] * t[k] * of_pair[4]
            g = gradient(t[k], rx, ry, cos[i], sin[i], a[i], b[i], cos[j], sin[j], a[j], b[j], d)
            weight = -0.5 * delta * sigma / root
            total[2 * i] -= weight * g[0]
            total[2 * i + 1] -= weight * g[1]
            total[2 * j] += weight * g[0]
            total[2 * j + 1] += weight * g[1]
            total[2 * n + i] += weight * g[2]
            total[2 * n + j] += weight * g[3]
    return True, squares, count, load, total


@njit(**_flags)
def push(pairs, rows, weights, n):
    """Jᵀ w, (3n,), of rows (m, 4) in (r_x, r_y, angle_i, angle_j)."""
    total = np.zeros(3 * n)
    for k in range(len(pairs)):
        i, j, w = pairs[k, 0], pairs[k, 1], weights[k]
        total[2 * i] -= w * rows[k, 0]
        total[2 * i + 1] -= w * rows[k, 1]
        total[2 * j] += w * rows[k, 0]
        total[2 * j + 1] += w * rows[k, 1]
        total[2 * n + i] += w * rows[k, 2]
        total[2 * n + j] += w * rows[k, 3]
    return total


@njit(**_flags)
def assemble(pairs, blocks, n):
    """Symmetric csc matrix (data, indices, indptr) of a 4 × 4 block in (r_x, r_y, angle_i, angle_j) a pair.

    Rows and columns are 2n coordinates, then n angles. Pairs i < j come in lexicographic order, so the
    partners of a particle do too, and indices are sorted. The diagonal is always stored: a shift finds its place.
    """
    below, above = (
        np.zeros(n, dtype=np.int64),
        np.zeros(n, dtype=np.int64),
    )  # partners before, after a particle
    for k in range(len(pairs)):
        above[pairs[k, 0]] += 1
        below[pairs[k, 1]] += 1
    indptr = np.zeros(3 * n + 1, dtype=np.int32)
    for i in range(n):
        length = 3 * (below[i] + 1 + above[i])
        indptr[2 * i + 1] = indptr[2 * i + 2] = indptr[2 * n + i + 1] = length
    for column in range(3 * n):
        indptr[column + 1] += indptr[column]
    data, indices = np.zeros(indptr[3 * n]), np.empty(indptr[3 * n], dtype=np.int32)
    next_below, next_above = np.zeros(n, dtype=np.int64), below + 1
    places = np.empty((2, 2), dtype=np.int64)
    for k in range(-n, len(pairs)):  # first each particle with itself
        i, j = (pairs[k, 0], pairs[k, 1]) if k >= 0 else (k + n, k + n)
        places[0, 0], places[1, 1] = below[i], below[j]
        if k >= 0:
            places[1, 0], places[0, 1] = next_above[i], next_below[j]
            next_above[i] += 1
            next_below[j] += 1
        for column_end in range(2 if k >= 0 else 1):
            q = j if column_end else i
            partners = below[q] + 1 + above[q]
            for row_end in range(2 if k >= 0 else 1):
                p, place = (j if row_end else i), places[row_end, column_end]
                for v in range(3):
                    first = indptr[2 * q + v] if v < 2 else indptr[2 * n + q]
                    for u in range(3):
                        entry = first + (2 * place + u if u < 2 else 2 * partners + place)
                        indices[entry] = 2 * p + u if u < 2 else 2 * n + p
                        if k >= 0:
                            sign = (-1.0 if u < 2 and not row_end else 1.0) * (
                                -1.0 if v < 2 and not column_end else 1.0
                            )
                            row, column = (u if u < 2 else 2 + row_end), (v if v < 2 else 2 + column_end)
                            data[entry] += sign * blocks[k, row, column]
    return data, indices, indptr

"""Pairs of spheroids at full speed: the contact function of `perram_wertheim_3d` by the axes of revolution alone.

With unit axes u and w, a and c the squares of the half axes along and across, a c² = 1, C = u·w, S² = 1 − C²:

    q_i = R_i⁴ (a c |r × u|² + c² (r·u)²),   m_i = R_i⁴ R_j² (1 + 2 C² + c (a² + c²) S²),
    m = R_i² R_j² ((a − c)² (r·u × w)² + a c (|r × u|² + |r × w|²) + c² ((r·u)² + (r·w)²)),

no term of which is negative; and M = κ + β u uᵀ + γ w wᵀ, so that v = M⁻¹ r = (r − β A u − γ B w)/κ with A = u·v and
B = w·v. Slopes are ∂√F/∂r = g, ∂√F/∂u = −β A g and ∂√F/∂w = −γ B g: five numbers a pair, g, −β A and −γ B.
"""

from math import sqrt

import numpy as np

from ...compiled import loop
from .orientations import FAST
from .perram_wertheim import LAST, MANY, TINY
from .perram_wertheim_3d import approach, maximise, value

_Quotient = tuple[float, float, float, float, float, float, float]


@loop(fastmath=FAST)
def unit_axes(x: np.ndarray, n: int, out: np.ndarray) -> None:
    """Fill out, (n, 9), with the unit axis of each spheroid of x, (6n,), in its first three columns."""
    for i in range(n):
        u, v, w = x[3 * n + 3 * i], x[3 * n + 3 * i + 1], x[3 * n + 3 * i + 2]
        scale = 1.0 / sqrt(u * u + v * v + w * w)
        out[i, 0], out[i, 1], out[i, 2] = u * scale, v * scale, w * scale


@loop(fastmath=FAST, forceinline=True)
def coefficients(
    rx: float, ry: float, rz: float, e: np.ndarray, i: int, j: int, ri: float, rj: float, a: float, c: float
) -> _Quotient:
    """The seven coefficients of F(t) for spheroids i and j with unit axes e, (n, 9), R² = ri and rj."""
    ux, uy, uz, wx, wy, wz = e[i, 0], e[i, 1], e[i, 2], e[j, 0], e[j, 1], e[j, 2]
    ru, rw, cos = rx * ux + ry * uy + rz * uz, rx * wx + ry * wy + rz * wz, ux * wx + uy * wy + uz * wz
    ax, ay, az = ry * uz - rz * uy, rz * ux - rx * uz, rx * uy - ry * ux
    bx, by, bz = ry * wz - rz * wy, rz * wx - rx * wz, rx * wy - ry * wx
    across, there, twist = (
        ax * ax + ay * ay + az * az,
        bx * bx + by * by + bz * bz,
        ax * wx + ay * wy + az * wz,
    )
    along, beyond = ru * ru, rw * rw
    m = (a - c) * (a - c) * (twist * twist) + a * c * (across + there) + c * c * (along + beyond)
    mixed = 1.0 + 2.0 * (cos * cos) + c * (a * a + c * c) * (1.0 - cos * cos)
    qi, qj = a * c * across + c * c * along, a * c * there + c * c * beyond
    of_i, of_j = ri * ri, rj * rj
    return (
        of_i * qi,
        ri * rj * m,
        of_j * qj,
        of_i * ri,
        of_i * rj * mixed,
        ri * of_j * mixed,
        of_j * rj,
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
    a: float,
    c: float,
) -> tuple[float, float, float, float, float]:
    """∂F/∂r, three numbers, −β A and −γ B at t*, given the denominator d of F(t*)."""
    ux, uy, uz, wx, wy, wz = e[i, 0], e[i, 1], e[i, 2], e[j, 0], e[j, 1], e[j, 2]
    ru, rw, cos = rx * ux + ry * uy + rz * uz, rx * wx + ry * wy + rz * wz, ux * wx + uy * wy + uz * wz
    s = 1.0 - t
    kappa, beta, gamma = (s * ri + t * rj) * c, s * ri * (a - c), t * rj * (a - c)
    inverse = kappa / d  # of det M / κ
    of_i = -beta * inverse * ((kappa + gamma) * ru - gamma * cos * rw)
    of_j = -gamma * inverse * ((kappa + beta) * rw - beta * cos * ru)
    p = 2.0 * s * t / kappa
    return (
        p * (rx + of_i * ux + of_j * wx),
        p * (ry + of_i * uy + of_j * wy),
        p * (rz + of_i * uz + of_j * wz),
        of_i,
        of_j,
    )


@loop(distinct=True, fastmath=FAST)
def slopes(
    x: np.ndarray,
    e: np.ndarray,
    radii: np.ndarray,
    a: float,
    c: float,
    first: np.ndarray,
    second: np.ndarray,
    shift: np.ndarray,
    t: np.ndarray,
    root: np.ndarray,
    rows: np.ndarray,
) -> int:
    """One step of t, (m,); fill root, (m,), with √F, and rows[:5] with its slopes: as `perram_wertheim_3d.slopes`."""
    bad = 0
    for k in range(len(first)):
        i, j = first[k], second[k]
        rx = x[3 * j] - x[3 * i] + shift[0, k]
        ry = x[3 * j + 1] - x[3 * i + 1] + shift[1, k]
        rz = x[3 * j + 2] - x[3 * i + 2] + shift[2, k]
        ri, rj = radii[i] * radii[i], radii[j] * radii[j]
        qi, m, qj, di, mi, mj, dj = coefficients(rx, ry, rz, e, i, j, ri, rj, a, c)
        step, last, _ = approach(t[k], qi, m, qj, di, mi, mj, dj)
        y = t[k] + step
        f, d = value(y, qi, m, qj, di, mi, mj, dj)
        g = gradient(y, d, rx, ry, rz, e, i, j, ri, rj, a, c)
        good = (abs(last) < LAST) & (y > 0.0) & (y < 1.0) & (rx * rx + ry * ry + rz * rz > TINY)
        bad += not good
        root[k] = sqrt(f) if good else np.nan
        t[k] = y if (y > 0.0) & (y < 1.0) else 0.5
        scale = 0.5 / root[k]
        rows[0, k], rows[1, k], rows[2, k] = scale * g[0], scale * g[1], scale * g[2]
        rows[3, k], rows[4, k] = g[3], g[4]
    return bad


@loop(fastmath=FAST)
def axis_contacts(
    x: np.ndarray,
    e: np.ndarray,
    radii: np.ndarray,
    shape: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    shift: np.ndarray,
    t: np.ndarray,
    root: np.ndarray,
    rows: np.ndarray,
) -> None:
    """Bring t, root and rows[:5] up to date at x, and e to the axes: as `perram_wertheim_3d.contacts`."""
    n, a, c = len(radii), shape[0] * shape[0], shape[1] * shape[1]
    unit_axes(x, n, e)
    bad = slopes(x, e, radii, a, c, first, second, shift, t, root, rows)
    if bad > MANY * len(first):
        bad = slopes(x, e, radii, a, c, first, second, shift, t, root, rows)
    for k in range(len(first) if bad else 0):
        if root[k] == root[k]:  # no NaN: settled
            continue
        i, j = first[k], second[k]
        rx = x[3 * j] - x[3 * i] + shift[0, k]
        ry = x[3 * j + 1] - x[3 * i + 1] + shift[1, k]
        rz = x[3 * j + 2] - x[3 * i + 2] + shift[2, k]
        root[k], rows[:, k], t[k] = 0.0, 0.0, radii[i] / (radii[i] + radii[j])
        if rx * rx + ry * ry + rz * rz > TINY:
            ri, rj = radii[i] * radii[i], radii[j] * radii[j]
            of_pair = coefficients(rx, ry, rz, e, i, j, ri, rj, a, c)
            t[k], f, d = maximise(t[k], np.inf, *of_pair)
            g = gradient(t[k], d, rx, ry, rz, e, i, j, ri, rj, a, c)
            root[k] = sqrt(f)
            for row in range(3):
                rows[row, k] = 0.5 * g[row] / root[k]
            rows[3, k], rows[4, k] = g[3], g[4]


@loop(fastmath=FAST)
def axis_coordinates(x: np.ndarray, n: int, e: np.ndarray, pushes: np.ndarray, total: np.ndarray) -> None:
    """Fill total, (6n,), from pushes, (n, 6): forces, and ∂/∂(unit axis) less its part along the axis."""
    for i in range(n):
        start = 3 * n + 3 * i
        along, square = 0.0, 0.0
        for k in range(3):
            total[3 * i + k] = pushes[i, k]
            along += e[i, k] * pushes[i, 3 + k]
            square += x[start + k] * x[start + k]
        scale = 1.0 / sqrt(square)
        for k in range(3):
            total[start + k] = scale * (pushes[i, 3 + k] - along * e[i, k])


@loop(fastmath=FAST)
def add_forces(
    first: np.ndarray,
    second: np.ndarray,
    radii: np.ndarray,
    ratio: float,
    root: np.ndarray,
    rows: np.ndarray,
    threshold: float,
    pushes: np.ndarray,
) -> tuple[float, int, float]:
    """Σ Δ², N_Δ and Σ Δ σ of the pairs with Δ = σ (ratio − √F) > 0; adds ∇ ½ΣΔ² to pushes, (n, 6)."""
    squares, count, load = 0.0, 0, 0.0
    for k in range(len(first)):
        if root[k] < ratio:
            i, j = first[k], second[k]
            sigma = radii[i] + radii[j]
            delta = sigma * (ratio - root[k])
            squares += delta * delta
            count += delta > threshold
            load += delta * sigma
            weight = -delta * sigma
            gx, gy, gz = weight * rows[0, k], weight * rows[1, k], weight * rows[2, k]
            of_i, of_j = rows[3, k], rows[4, k]
            pushes[i, 0] -= gx
            pushes[i, 1] -= gy
            pushes[i, 2] -= gz
            pushes[i, 3] += of_i * gx
            pushes[i, 4] += of_i * gy
            pushes[i, 5] += of_i * gz
            pushes[j, 0] += gx
            pushes[j, 1] += gy
            pushes[j, 2] += gz
            pushes[j, 3] += of_j * gx
            pushes[j, 4] += of_j * gy
            pushes[j, 5] += of_j * gz
    return squares, count, load

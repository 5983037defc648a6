"""Second derivatives of the contact function of ellipsoids (see `perram_wertheim_3d`), in r and small turns of both."""

from math import sqrt

import numpy as np

from ...compiled import loop
from .orientations import FAST
from .perram_wertheim import TINY


@loop(fastmath=FAST)
def hessians(
    x: np.ndarray,
    frame: np.ndarray,
    radii: np.ndarray,
    shape: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    shift: np.ndarray,
    t: np.ndarray,
    factors: np.ndarray,
) -> np.ndarray:
    """Second derivatives of √F in (r, turns of i, turns of j), times factors (m,): (m, 9, 9).

    frame and t must be up to date (see `contacts`). Zero where centres coincide. With v = M⁻¹ r, M = (1 − t) A + t B
    and G = rᵀ M⁻¹ r, the coordinates c and t of a pair have w_c = ∂r/∂c − (∂M/∂c) v and

        G_c = 2 v·∂r/∂c − vᵀ(∂M/∂c)v,   G_cc' = 2 w_c·M⁻¹ w_c' − vᵀ(∂²M/∂c∂c')v;

    t* moves with the coordinates, so that F = t (1 − t) G has the second derivatives F_cc' − F_ct F_c't / F_tt.
    """
    out, squares = np.zeros((len(first), 9, 9)), shape * shape
    a, b, inverse, mixed = np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3))
    r, v, av, bv, e = np.empty(3), np.empty(3), np.empty(3), np.empty(3), np.empty((2, 3, 3))
    w, solved, g, ft, turn = np.empty((10, 3)), np.empty((10, 3)), np.empty(10), np.empty(9), np.empty(3)
    for k in range(len(first)):
        i, j = first[k], second[k]
        for c in range(3):
            r[c] = x[3 * j + c] - x[3 * i + c] + shift[c, k]
        if not r[0] * r[0] + r[1] * r[1] + r[2] * r[2] > TINY:
            continue
        s = 1.0 - t[k]
        p, p1 = s * t[k], s - t[k]
        ri, rj = radii[i] * radii[i], radii[j] * radii[j]
        for axis in range(3):
            for c in range(3):
                e[0, axis, c], e[1, axis, c] = frame[i, 3 * axis + c], frame[j, 3 * axis + c]
        for c in range(3):
            for d in range(3):
                a[c, d] = b[c, d] = 0.0
                for axis in range(3):
                    a[c, d] += ri * squares[axis] * (e[0, axis, c] * e[0, axis, d])
                    b[c, d] += rj * squares[axis] * (e[1, axis, c] * e[1, axis, d])
                mixed[c, d] = s * a[c, d] + t[k] * b[c, d]
        _invert(mixed, inverse)
        _times(inverse, r, v)
        _times(a, v, av)
        _times(b, v, bv)
        for c in range(10):
            for d in range(3):
                w[c, d] = 0.0
        for c in range(3):
            w[c, c], g[c] = 1.0, 2.0 * v[c]
            w[9, c] = av[c] - bv[c]
        for body in range(2):
            for axis in range(3):
                c = 3 + 3 * body + axis
                _cross(e[body, axis], v, turn)
                share = s if body == 0 else t[k]
                if body == 0:
                    _times(a, turn, w[c])
                    _cross(e[body, axis], av, turn)
                else:
                    _times(b, turn, w[c])
                    _cross(e[body, axis], bv, turn)
                for d in range(3):
                    w[c, d] = share * (w[c, d] - turn[d])  # −(∂M/∂θ) v
                g[c] = _dot(v, w[c])
        g[9] = _dot(v, w[9])
        for c in range(10):
            _times(inverse, w[c], solved[c])
        f = p * _dot(r, v)
        for c in range(9):
            change = 2.0 * _dot(w[c], solved[9])
            if c >= 6:
                change += g[c] / t[k]
            elif c >= 3:
                change -= g[c] / s
            ft[c] = p1 * g[c] + p * change
        ftt = -2.0 * f / p + 2.0 * p1 * g[9] + 2.0 * p * _dot(w[9], solved[9])
        scale = 0.5 * factors[k] / sqrt(f)
        for c in range(9):
            for d in range(c, 9):
                bend = 2.0 * _dot(w[c], solved[d])
                if c >= 3 and (c < 6) == (d < 6):  # turns of one body: vᵀ(∂²M)v, by w = −(∂M/∂θ) v
                    body, row, column = (0, c - 3, d - 3) if c < 6 else (1, c - 6, d - 6)
                    _cross(w[d], v, turn)
                    bend += _dot(e[body, row], turn)
                    _cross(w[c], v, turn)
                    bend += _dot(e[body, column], turn)
                # ∇∇√F = (∇∇F − ∇F ⊗ ∇F/(2F)) / (2√F)
                of_f = p * bend - ft[c] * ft[d] / ftt - 0.5 * p * p * g[c] * g[d] / f
                out[k, c, d] = scale * of_f
                out[k, d, c] = out[k, c, d]
    return out


@loop(fastmath=FAST)
def _dot(a: np.ndarray, b: np.ndarray) -> float:
    product: float = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
    return product


@loop(fastmath=FAST)
def _cross(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    out[0], out[1], out[2] = (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


@loop(fastmath=FAST)
def _times(matrix: np.ndarray, vector: np.ndarray, out: np.ndarray) -> None:
    for c in range(3):
        out[c] = _dot(matrix[c], vector)


@loop(fastmath=FAST)
def _invert(m: np.ndarray, out: np.ndarray) -> None:
    """Fill out, (3, 3), with the inverse of a symmetric m."""
    out[0, 0], out[1, 1] = m[1, 1] * m[2, 2] - m[1, 2] * m[1, 2], m[0, 0] * m[2, 2] - m[0, 2] * m[0, 2]
    out[2, 2], out[0, 1] = m[0, 0] * m[1, 1] - m[0, 1] * m[0, 1], m[0, 2] * m[1, 2] - m[0, 1] * m[2, 2]
    out[0, 2], out[1, 2] = m[0, 1] * m[1, 2] - m[0, 2] * m[1, 1], m[0, 1] * m[0, 2] - m[0, 0] * m[1, 2]
    d = m[0, 0] * out[0, 0] + m[0, 1] * out[0, 1] + m[0, 2] * out[0, 2]
    for c in range(3):
        for e in range(c, 3):
            out[c, e] /= d
            out[e, c] = out[c, e]

"""Orientations of bodies in space: axis vectors or quaternions of any norm, their frames, and turns by small angles.

A body of revolution has an axis vector, (3,), and no spin; any other body a quaternion, (4,), that turns the box's axes
into the body's. Neither has a singular place, and the norm of both has no effect: it is a symmetry.

Contacts see a body by its frame, three orthonormal rows e_1, e_2, e_3 (e_1 is the axis of a body of revolution), and
by the angles θ_1, θ_2, θ_3 of a small turn about them. `turns` gives T = ∂θ/∂q for the orientation q as it stands in
x. Since θ depends on the direction of q alone, the second derivatives of a function of θ are, in q,

    ∇∇ = Tᵀ (∂∂/∂θ∂θ) T − (s gᵀ + g sᵀ),   s = q/|q|²,   g = Tᵀ ∂/∂θ.
"""

from math import sqrt

import numpy as np

from ...compiled import loop

# Allowed: −0 for 0, and a product with the inverse for a quotient; see `perram_wertheim`.
FAST = {"nsz", "arcp"}


@loop(fastmath=FAST)
def frames(x: np.ndarray, n: int, out: np.ndarray) -> None:
    """Fill out, (n, 9), with e_1, e_2, e_3 of each body of x, (3n + o n,), o = 3 (axis vectors) or 4 (quaternions)."""
    o = len(x) // n - 3
    for i in range(n):
        start = 3 * n + o * i
        if o == 3:
            u, v, w = x[start], x[start + 1], x[start + 2]
            scale = 1.0 / sqrt(u * u + v * v + w * w)
            u, v, w = u * scale, v * scale, w * scale
            # two vectors across the axis: T. Duff et al., J. Comput. Graph. Tech. 6, 1 (2017)
            sign = 1.0 if w >= 0.0 else -1.0
            a = -1.0 / (sign + w)
            b = u * v * a
            out[i, 0], out[i, 1], out[i, 2] = u, v, w
            out[i, 3], out[i, 4], out[i, 5] = 1.0 + sign * u * u * a, sign * b, -sign * u
            out[i, 6], out[i, 7], out[i, 8] = b, sign + v * v * a, -v
        else:
            s, u, v, w = x[start], x[start + 1], x[start + 2], x[start + 3]
            scale = 1.0 / sqrt(s * s + u * u + v * v + w * w)
            s, u, v, w = s * scale, u * scale, v * scale, w * scale
            out[i, 0], out[i, 1], out[i, 2] = (
                1.0 - 2.0 * (v * v + w * w),
                2.0 * (u * v + s * w),
                2.0 * (u * w - s * v),
            )
            out[i, 3], out[i, 4], out[i, 5] = (
                2.0 * (u * v - s * w),
                1.0 - 2.0 * (u * u + w * w),
                2.0 * (v * w + s * u),
            )
            out[i, 6], out[i, 7], out[i, 8] = (
                2.0 * (u * w + s * v),
                2.0 * (v * w - s * u),
                1.0 - 2.0 * (u * u + v * v),
            )


@loop(fastmath=FAST)
def turns(x: np.ndarray, n: int, frame: np.ndarray, out: np.ndarray) -> None:
    """Fill out, (n, 3, o), with T = ∂θ/∂q of each body, θ about the rows of its frame, (n, 9)."""
    o = len(x) // n - 3
    for i in range(n):
        start = 3 * n + o * i
        square = 0.0
        for k in range(o):
            square += x[start + k] * x[start + k]
        if o == 3:  # a turn by θ moves the axis by θ_3 e_2 − θ_2 e_3
            scale = 1.0 / sqrt(square)
            for k in range(3):
                out[i, 0, k] = 0.0
                out[i, 1, k] = -scale * frame[i, 6 + k]
                out[i, 2, k] = scale * frame[i, 3 + k]
        else:  # θ is twice the vector part of q⁻¹ δq
            scale = 2.0 / square
            s, u, v, w = scale * x[start], scale * x[start + 1], scale * x[start + 2], scale * x[start + 3]
            out[i, 0, 0], out[i, 0, 1], out[i, 0, 2], out[i, 0, 3] = -u, s, w, -v
            out[i, 1, 0], out[i, 1, 1], out[i, 1, 2], out[i, 1, 3] = -v, -w, s, u
            out[i, 2, 0], out[i, 2, 1], out[i, 2, 2], out[i, 2, 3] = -w, v, -u, s


@loop(fastmath=FAST)
def to_coordinates(x: np.ndarray, n: int, frame: np.ndarray, pushes: np.ndarray, total: np.ndarray) -> None:
    """Fill total, (n_dof,), with forces and Tᵀ torques, pushes (n, 6); torques are about the rows of frames, (n, 9)."""
    o = len(x) // n - 3
    for i in range(n):
        start = 3 * n + o * i
        for k in range(3):
            total[3 * i + k] = pushes[i, k]
        a, b, c = pushes[i, 3], pushes[i, 4], pushes[i, 5]
        square = 0.0
        for k in range(o):
            square += x[start + k] * x[start + k]
        if o == 3:
            scale = 1.0 / sqrt(square)
            for k in range(3):
                total[start + k] = scale * (c * frame[i, 3 + k] - b * frame[i, 6 + k])
        else:
            scale = 2.0 / square
            a, b, c = scale * a, scale * b, scale * c
            s, u, v, w = x[start], x[start + 1], x[start + 2], x[start + 3]
            total[start] = -a * u - b * v - c * w
            total[start + 1] = a * s - b * w + c * v
            total[start + 2] = a * w + b * s - c * u
            total[start + 3] = -a * v + b * u + c * s


@loop(fastmath=FAST)
def unit(x: np.ndarray, n: int) -> np.ndarray:
    """x with orientations of norm one, a new array."""
    o, kept = len(x) // n - 3, x.copy()
    for i in range(n):
        start, square = 3 * n + o * i, 0.0
        for k in range(o):
            square += x[start + k] * x[start + k]
        for k in range(o):
            kept[start + k] = x[start + k] / sqrt(square)
    return kept

"""The vector arithmetic of first-order methods: one pass over memory for each function, if x is a NumPy array.

NumPy would pass over memory once for each operator, and a packing of a thousand particles is evaluated in the
time of ten such passes. Tensors keep torch's operators; each call moves one small tensor off the device.
Compiled code may call `dot`, `products`, `moved` and `blend` too.
"""

from typing import Any

import numpy as np

from ..compiled import COMPILED, loop, overload
from ..support.arrays import Array, namespace


def dot(a: Array, b: Array) -> float:
    """a·b of two vectors, (n,)."""
    return _dot(a, b) if COMPILED and _is_vector(a) else float(a @ b)


def products(a: Array, b: Array) -> tuple[float, float]:
    """a·a and a·b of two vectors, (n,)."""
    if COMPILED and _is_vector(a):
        square, product = _products(a, b)
    else:
        square, product = _scalars(a @ a, a @ b)
    return square, product


def moved(y: Array, step: float, direction: Array) -> Array:
    """y + step × direction, (n,), a new array."""
    if COMPILED and _is_vector(y):
        return _moved(y, step, direction)
    return y + step * direction


def blend(a: float, v: Array, b: float, w: Array) -> tuple[Array, float, float, float]:
    """u = a v + b w, (n,), a new array; then u·u, u·v and the largest |component| of u."""
    if COMPILED and _is_vector(v):
        u, square, product, largest = _blend(a, v, b, w)
        return u, square, product, largest
    u = a * v + b * w
    square, product, largest = _scalars(u @ u, u @ v, abs(u).max())
    return u, square, product, largest


def adam_move(
    y: Array,
    gradient: Array,
    first: Array,
    second: Array,
    keep1: float,
    keep2: float,
    rate: float,
    epsilon: float,
) -> Array:
    """One step of Adam: y − rate × m / (√v + ε), (n,), a new array.

    Before that the moments are updated in place: `first` m ← keep1 m + (1 − keep1) g, and `second`
    v ← keep2 v + (1 − keep2) g². Tensors may have a leading axis, and `rate` one number for each replica.
    """
    if _is_vector(y):
        new = np.empty(len(y))
        _adam_move(new, y, gradient, first, second, keep1, keep2, rate, epsilon)
        return new
    first.mul_(keep1).add_(gradient, alpha=1 - keep1)
    second.mul_(keep2).addcmul_(gradient, gradient, value=1 - keep2)
    damped = second.sqrt().add_(epsilon)
    if isinstance(rate, float):
        return y.addcdiv(first, damped, value=-rate)
    return y - rate * first / damped  # a tensor: one rate for each replica


def _is_vector(a: Array) -> bool:
    return type(a) is np.ndarray and a.ndim == 1 and a.dtype == np.float64


def _scalars(*values: Array) -> list[float]:
    floats: list[float] = namespace(*values).stack(values).tolist()
    return floats


# Sums may be in any order, so that they vectorise. NaN and infinity are not looked for here: the loop of a
# method tests the energy of each point.
_fast = {"contract", "nsz", "reassoc", "nnan", "ninf"}


@loop(forceinline=True, fastmath=_fast)
def _dot(a: Array, b: Array) -> Any:
    product = 0.0
    for i in range(len(a)):
        product += a[i] * b[i]
    return product


@loop(forceinline=True, fastmath=_fast)
def _products(a: Array, b: Array) -> Any:
    square, product = 0.0, 0.0
    for i in range(len(a)):
        square += a[i] * a[i]
        product += a[i] * b[i]
    return square, product


@loop(forceinline=True, fastmath=_fast)
def _moved(y: Array, step: float, direction: Array) -> Any:
    new = np.empty(len(y))
    for i in range(len(new)):
        new[i] = y[i] + step * direction[i]
    return new


@loop(forceinline=True, fastmath=_fast)
def _blend(a: float, v: Array, b: float, w: Array) -> Any:
    u = np.empty(len(v))
    square, product = 0.0, 0.0
    # |u| are ordered as their bits, read as integers, are; the maximum of integers vectorises
    bits, largest = u.view(np.int64), np.int64(0)
    for i in range(len(u)):
        old = v[i]
        new = a * old + b * w[i]
        square += new * new
        product += new * old
        u[i] = new
        largest = max(largest, bits[i] & np.int64(0x7FFFFFFFFFFFFFFF))  # without the bit of the sign
    return u, square, product, np.int64(largest).view(np.float64)


@loop(forceinline=True, fastmath=_fast)
def _adam_move(
    new: Array,
    y: Array,
    gradient: Array,
    first: Array,
    second: Array,
    keep1: float,
    keep2: float,
    rate: float,
    epsilon: float,
) -> None:
    for i in range(len(new)):
        first[i] = keep1 * first[i] + (1 - keep1) * gradient[i]
        second[i] = keep2 * second[i] + (1 - keep2) * gradient[i] * gradient[i]
        new[i] = y[i] - rate * first[i] / (np.sqrt(second[i]) + epsilon)


overload(dot)(lambda a, b: lambda a, b: _dot(a, b))
overload(products)(lambda a, b: lambda a, b: _products(a, b))
overload(moved)(lambda y, step, direction: lambda y, step, direction: _moved(y, step, direction))
overload(blend)(lambda a, v, b, w: lambda a, v, b, w: _blend(a, v, b, w))

"""Compiled loops: the only room that imports numba and llvmlite.

Other rooms import the decorators `loop`, `inline` and `overload` from here, `implements` and its stubs from `dispatch`,
and functions of vector registers from `simd`.
"""

from .loops import COMPILED, inline, loop, overload

__all__ = ["COMPILED", "inline", "loop", "overload"]

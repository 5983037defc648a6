"""Compiled loops: the only room that imports numba and llvmlite.

Other rooms take their decorators from here: `loop`, `inline`, `overload`, and `implements` with its stubs from
`dispatch`; numbers side by side in one register from `simd`.
"""

from .loops import COMPILED, inline, loop, overload

__all__ = ["COMPILED", "inline", "loop", "overload"]

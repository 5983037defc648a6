"""Matrix products inside compiled loops, by the linear algebra that SciPy brings (OpenBLAS, MKL, Accelerate)."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

import numpy as np
from numba import types
from numba.np.linalg import _BLAS, ensure_blas
from threadpoolctl import ThreadpoolController

from ..support.arrays import Array
from .loops import overload

_DOUBLE = ord("d")  # numba's and BLAS's names of the type and of the two forms of a factor
_AS_IT_IS, _TRANSPOSED = ord("n"), ord("t")


def subtract_product(
    target: Array, target_row: int, a: Array, a_row: int, b: Array, b_row: int, m: int, n: int, k: int
) -> None:
    """target −= bᵀ a for matrices by rows in flat arrays of floats: a is (k, m), b is (k, n), the target (n, m).

    Parameters
    ----------
    target, a, b : 1-D arrays
        From the first entry of each matrix on.
    target_row, a_row, b_row : int
        How many entries lie between the beginnings of two rows; at least the length of a row.
    m, n, k : int
        Sizes.
    """
    rows = np.lib.stride_tricks.as_strided
    bytes_ = target.itemsize
    whole = rows(target, (n, m), (bytes_ * target_row, bytes_))
    whole -= rows(b, (k, n), (bytes_ * b_row, bytes_)).T @ rows(a, (k, m), (bytes_ * a_row, bytes_))


@overload(subtract_product, strict=False)
def _subtract_product(
    target: Any, target_row: Any, a: Any, a_row: Any, b: Any, b_row: Any, m: Any, n: Any, k: Any
) -> Any:
    ensure_blas()
    gemm = _BLAS().numba_xxgemm(types.float64)

    def product(
        target: Any, target_row: Any, a: Any, a_row: Any, b: Any, b_row: Any, m: Any, n: Any, k: Any
    ) -> None:
        minus, one = np.full(1, -1.0), np.full(1, 1.0)
        # BLAS counts matrices by columns: there a is (m, k), b is (n, k), and the target (m, n)
        gemm(
            _DOUBLE, _AS_IT_IS, _TRANSPOSED, m, n, k, minus.ctypes, a.ctypes, a_row,
            b.ctypes, b_row, one.ctypes, target.ctypes, target_row,
        )  # fmt: skip

    return product


_controlled = Lock()  # held by the thread of Python that has set the number of BLAS's threads


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()  # it looks through all libraries of the process, which takes milliseconds


@contextmanager
def one_thread() -> Iterator[None]:
    """Let BLAS use one thread.

    Threads of BLAS wait for the next product in a loop that does nothing: with the small products of a sparse factor
    they cost more time than they save. One thread also sums in one order on every machine.
    """
    # The number belongs to the whole process. While one thread of Python has set it, others find it set.
    if not _controlled.acquire(blocking=False):
        yield
        return
    try:
        with _controller().limit(limits=1, user_api="blas"):
            yield
    finally:
        _controlled.release()

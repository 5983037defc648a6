"""Factors of symmetric sparse matrices: LU without row exchanges, in an order that is found once and kept.

To find the order takes three times as long as to factor; a contact network that has lost or won a few contacts is
eliminated as well in the order of the old one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla
from numba import njit

from .arrays import Array

WORSE = 1.3  # times as many entries in L and U as the order had at first: a new one is found


@dataclass(frozen=True)
class Factor:
    """A factored symmetric matrix: `solve`, and the number of its negative eigenvalues (None: not known)."""

    solve: Callable[[Array], Array]
    n_negative: int | None

    @property
    def positive(self) -> bool:
        """Whether the matrix is positive definite."""
        return self.n_negative == 0


class Elimination:
    """The order in which matrices of one kind are eliminated; empty at first."""

    def __init__(self) -> None:
        self.order: np.ndarray | None = None
        self.filled = 0.0

    def factor(self, matrix: sp.csc_matrix, shift: float) -> Factor:
        """Factor matrix + shift; the signs of diag(U) are its inertia."""
        if self.order is None or len(self.order) != matrix.shape[0]:
            lu = _lu(with_diagonal(matrix, shift), "MMD_AT_PLUS_A")
            if lu is not None and np.array_equal(lu.perm_r, lu.perm_c):
                self.order, self.filled = np.argsort(lu.perm_c), WORSE * lu.nnz
            return _factor(lu, None)
        arrays = _reordered(matrix.data, matrix.indices, matrix.indptr, self.order, np.argsort(self.order))
        ordered = sp.csc_array(arrays, shape=matrix.shape)
        ordered.has_canonical_format = True
        lu = _lu(with_diagonal(ordered, shift), "NATURAL")
        factor = _factor(lu, self.order)
        if lu is not None and lu.nnz > self.filled:
            self.order = None
        return factor


def factor_sparse(matrix: sp.csc_matrix, shift: float) -> Factor:
    """Factor a symmetric sparse matrix + shift once."""
    return Elimination().factor(matrix, shift)


def with_diagonal(matrix: sp.csc_matrix, values: Array) -> sp.csc_array:
    """matrix + diag(values)."""
    places = _diagonal_places(matrix.indices, matrix.indptr)
    if places[0] < 0 or not matrix.has_canonical_format:
        return sp.csc_array(matrix + sp.diags(np.broadcast_to(values, matrix.shape[0])), dtype=float)
    data = matrix.data.copy()
    data[places] += values
    changed = sp.csc_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)
    changed.has_canonical_format = True
    return changed


def _lu(matrix: sp.csc_array, how: str) -> spla.SuperLU | None:
    try:
        return spla.splu(matrix, permc_spec=how, diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    except RuntimeError:  # exactly singular
        return None


def _factor(lu: spla.SuperLU | None, order: np.ndarray | None) -> Factor:
    if lu is None:
        return Factor(lambda rhs: rhs, None)
    signs_tell = np.array_equal(lu.perm_r, lu.perm_c)  # with row exchanges they mean nothing
    n_negative = int((lu.U.diagonal() <= 0).sum()) if signs_tell else None
    if order is None:
        return Factor(lu.solve, n_negative)

    def solve(rhs: Array) -> Array:
        solution = np.empty_like(rhs)
        solution[order] = lu.solve(rhs[order])
        return solution

    return Factor(solve, n_negative)


@njit(nogil=True, cache=True)
def _diagonal_places(indices, indptr):
    """Where the diagonal is stored in a csc matrix with sorted indices; −1 first where some of it is not."""
    places = np.empty(len(indptr) - 1, dtype=np.int64)
    for column in range(len(places)):
        low, high = indptr[column], indptr[column + 1]
        place = low + np.searchsorted(indices[low:high], column)
        if place == high or indices[place] != column:
            places[0] = -1
            return places
        places[column] = place
    return places


@njit(nogil=True, cache=True)
def _reordered(data, indices, indptr, order, inverse):
    """Rows and columns of a symmetric csc matrix in another order, sorted: data, indices, indptr."""
    starts = np.zeros(len(indptr), dtype=np.int32)
    for k in range(len(order)):
        starts[k + 1] = starts[k] + indptr[order[k] + 1] - indptr[order[k]]
    filled = starts[:-1].copy()
    rows, values = np.empty_like(indices), np.empty_like(data)
    for k in range(len(order)):  # column k of the transpose: its entries are met in the order of their rows
        for place in range(indptr[order[k]], indptr[order[k] + 1]):
            column = inverse[indices[place]]
            rows[filled[column]], values[filled[column]] = k, data[place]
            filled[column] += 1
    return values, rows, starts

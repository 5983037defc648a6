"""Factors L D Lᵀ of symmetric sparse matrices, without row exchanges, in an order that is found once and kept.

Finding the order takes a good part of the time of a factorisation. A contact network that has lost or gained a few
contacts can be eliminated in the order of the old one (docs/decisions/037).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from ..compiled import loop
from ..compiled.blas import one_thread
from ..support.arrays import Array
from ..support.memory import require_memory
from .dissection import dissected, least_degree
from .multifrontal import factorise, solve
from .symbolic import Panels, analyse, graph_of, nodes_of

# If L has 1.3 times as many entries as it had when the order was found, a new order is found for the next matrix: the
# work of a factorisation grows faster than the entries of L, and soon exceeds the work of finding an order.
WORSE = 1.3
# Nodes of a graph up to which minimum degree is tried too: in the plane it is the better order there, by up to a
# fifth of the entries of L.
SMALL = 3000
FEW = 1000  # nodes up to which no other order is tried: to find it would take longer than it saves


@dataclass(frozen=True, eq=False)
class Factor:
    """A factored symmetric (n, n) matrix.

    Attributes
    ----------
    solve : function
        rhs -> matrix⁻¹ rhs, (n,) -> (n,). If the factorisation failed, it returns rhs: ask `positive` first.
    n_negative : int or None
        The number of negative eigenvalues; None if the factorisation failed.
    """

    solve: Callable[[Array], Array]
    n_negative: int | None

    @property
    def positive(self) -> bool:
        """Whether the matrix is positive definite."""
        return self.n_negative == 0


class Elimination:
    """The order in which similar sparse matrices are eliminated: found with the first matrix, kept for the next ones.

    Attributes
    ----------
    order : (k,) array or None
        The order of the nodes, which are groups of columns of equal pattern; None before the first matrix.
    """

    def __init__(self) -> None:
        self.order: np.ndarray | None = None
        self.filled = 0.0  # entries of L above which the order is given up
        self.pattern: tuple[np.ndarray, ...] = ()  # indices and indptr of the last matrix
        self.panels: Panels | None = None

    def factor(self, matrix: sp.csc_array, shift: float) -> Factor:
        """Factor an (n, n) csc matrix + shift × 1; the signs of D give the number of negative eigenvalues."""
        if not matrix.has_canonical_format:
            matrix = sp.csc_array(matrix)
            matrix.sum_duplicates()
        pattern = (matrix.indices, matrix.indptr)
        panels = self._analysed(*pattern)
        n_bytes = 8 * (int(panels.offsets[-1]) + panels.room)
        require_memory(n_bytes, f"a factor of a sparse matrix on {matrix.shape[0]} degrees of freedom")
        with one_thread():
            values, n_negative = factorise(matrix.data, *pattern, shift, panels)
        if n_negative < 0:
            return Factor(lambda rhs: rhs, None)
        return Factor(lambda rhs: solve(values, panels, np.ascontiguousarray(rhs)), n_negative)

    def _analysed(self, indices: np.ndarray, indptr: np.ndarray) -> Panels:
        """The places of the entries of L; those of the last matrix if the pattern is the same."""
        same = all(np.array_equal(a, b) for a, b in zip((indices, indptr), self.pattern, strict=False))
        if self.panels is not None and same:
            return self.panels
        node, first = nodes_of(indices, indptr)
        graph = graph_of(indices, indptr, node, first)
        if self.order is not None and len(self.order) == len(first):
            panels = analyse(*graph, self.order, node)
        else:
            self.order, panels = _best_order(*graph, node)
            self.filled = WORSE * panels.entries
        if panels.entries > self.filled:
            self.order = None
        self.pattern, self.panels = (indices, indptr), panels
        return panels


def _best_order(indices: np.ndarray, indptr: np.ndarray, node: np.ndarray) -> tuple[np.ndarray, Panels]:
    """The order of the nodes of a graph with the fewest entries of L, and its panels."""
    orders = [np.argsort(least_degree(indices, indptr))] if len(indptr) <= SMALL else []
    if len(indptr) > FEW:
        orders.append(dissected(indices, indptr, np.bincount(node)))
    found = [(order, analyse(indices, indptr, order, node)) for order in orders]
    return min(found, key=lambda pair: pair[1].entries)


def factor_sparse(matrix: sp.csc_array, shift: float) -> Factor:
    """Factor a symmetric (n, n) csc matrix + shift × 1, in an order of its own."""
    return Elimination().factor(matrix, shift)


def with_diagonal(matrix: sp.csc_array, values: Array) -> sp.csc_array:
    """matrix + diag(values), a new csc matrix, of an (n, n) csc matrix and a number or (n,) values."""
    places = _diagonal_places(matrix.indices, matrix.indptr)
    if places[0] < 0 or not matrix.has_canonical_format:
        return sp.csc_array(matrix + sp.diags(np.broadcast_to(values, matrix.shape[0])), dtype=float)
    data = matrix.data.copy()
    data[places] += values
    changed = sp.csc_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)
    changed.has_canonical_format = True
    return changed


@loop
def _diagonal_places(indices: Array, indptr: Array) -> Array:
    """The places of the diagonal entries of a csc matrix with sorted indices, (n,); entry 0 is −1 if one is missing."""
    places = np.empty(len(indptr) - 1, dtype=np.int64)
    for column in range(len(places)):
        low, high = indptr[column], indptr[column + 1]
        place = low + np.searchsorted(indices[low:high], column)
        if place == high or indices[place] != column:
            places[0] = -1
            return places
        places[column] = place
    return places

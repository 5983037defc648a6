"""A symmetric form B on the kernel of sparse rows R, without a basis of the kernel: its inertia and its inverse.

The inertia of M = [[B + ρG, Rᵀ], [R, −ε]], G = RᵀR, is that of −1 on the rows and of B + (ρ + 1/ε)G, since one is
eliminated after the other. Where σ² ≫ ε, the singular values σ of R make the second part positive; on the rest it is
B. A kernel is therefore what is left of σ² ≪ ε, and rows that depend on each other do no harm. Rounding is that of M,
not that of G/ε, as long as no row is eliminated before its degrees of freedom (docs/decisions/089).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from .dissection import dissected, least_degree
from .elimination import Elimination, Factor
from .symbolic import graph_of, nodes_of

# ρ, the stiffness of the rows in the corner of M, in units in which B and G are of order one. Where a state is stable
# and ρ large, the corner is positive and no pivot is small; rounding adds 1e-16 ρ to B.
STIFF = 1e5
# ε of the directions, which have no small singular values: B is of order one, and 1/FIRM far above it. Rounding along
# them stays 1e-16/FIRM, so that B may vanish on other modes.
FIRM = 1e-4
# A residual falls at least to this share with each refinement where rounding has left the inertia as it is. The
# largest eigenvalue of M⁻¹E, with E the rounding, is then below one, and no eigenvalue of M + tE vanishes on the way.
FALL = 0.1
REFINEMENTS = 4  # of a random vector: the share of the largest eigenvalue of M⁻¹E grows with each
ROUNDED = 1e-10  # a residual below this share of the right side says nothing more
FEW = 1000  # nodes up to which minimum degree is the better order


def falls(matrix: sp.csc_array, factor: Factor, seed: int = 0) -> bool:
    """Whether a factor is exact enough for its inertia to be that of the (n, n) matrix.

    A random vector's residual is refined: with each step it falls by the largest eigenvalue of M⁻¹E, where M + E is
    the matrix that was factored. See FALL.
    """
    if factor.n_negative is None:
        return False
    left = np.random.default_rng(seed).standard_normal(matrix.shape[0])
    first = size = float(np.linalg.norm(left))
    for _ in range(REFINEMENTS):
        left = left - matrix @ factor.solve(left)
        last, size = size, float(np.linalg.norm(left))
        if size <= ROUNDED * first:
            break
        if not size <= FALL * last:
            return False
    return True


@dataclass(frozen=True, eq=False)
class SaddleFactor:
    """A factor of M for one form, shift and ε.

    Attributes
    ----------
    n_negative : int or None
        Negative eigenvalues of the form on the kernel; None where rounding may have changed them.
    """

    n_negative: int | None
    _factor: Factor
    _n_rows: int

    def solve(self, v: np.ndarray) -> np.ndarray:
        """(B + (ρ + 1/ε)G)⁻¹ v, (n,): the inverse of the form on the kernel, and nearly zero across it."""
        whole: np.ndarray = self._factor.solve(np.concatenate([v, np.zeros(self._n_rows)]))
        return whole[: len(v)]


class Saddle:
    """Forms on the kernel of rows: all have one pattern, so that one order of elimination serves them.

    Parameters
    ----------
    rows : (m, n) csr
        R, of which G is made.
    form : (n, n) csc
        B.
    directions : (k, n) array
        Further rows, orthonormal and dense, that must vanish too: symmetries, along which R and B vanish. Where B does
        not quite (forces out of balance), its part across them counts to 1e-4 of itself.

    Attributes
    ----------
    unit, scale : float
        The mean diagonal entries of G, and of |B|: ε and shifts are in these units.
    """

    def __init__(self, rows: sp.csr_array, form: sp.csc_array, directions: np.ndarray) -> None:
        (m, self.n), self.directions = rows.shape, directions
        self.n_rows = m + len(directions)
        self.unit = float((rows.data**2).sum()) / max(self.n, 1) or 1.0
        self.scale = float(np.abs(form.diagonal()).mean()) or 1.0
        scaled = sp.csr_array(rows / self.unit**0.5)
        self.rows, self.gram = sp.coo_array(scaled), sp.coo_array(scaled.T @ scaled)
        self.form = sp.coo_array(form / self.scale)
        self.quick, self.exact = Elimination(), Elimination()
        self.spoilt = 0.0  # ε up to which the quick order has been seen to lose too many digits

    def count(self, form: float, shift: float, epsilon: float) -> int | None:
        """Negative eigenvalues of form × B + shift on the kernel; None where rounding may have changed them.

        Rows are first eliminated early, which is several times as quick; where that has lost too many digits, late.
        """
        matrix = self._matrix(form, shift, epsilon)
        if epsilon > self.spoilt:
            found = self._factor(self.quick, matrix).n_negative
            if found is not None:
                return found
            self.spoilt = epsilon
        return self._factor(self.exact, matrix).n_negative

    def factor(self, form: float, shift: float, epsilon: float) -> SaddleFactor:
        """Factor M for form × B + shift (in units of `scale`) and ε (in units of `unit`), to solve with it."""
        return self._factor(self.exact, self._matrix(form, shift, epsilon))

    def _factor(self, elimination: Elimination, matrix: sp.csc_array) -> SaddleFactor:
        if elimination.order is None:
            elimination.order = self._order(matrix, late=elimination is self.exact)
            elimination.filled = np.inf
        found = elimination.factor(matrix, 0.0)
        certain = falls(matrix, found)
        count = found.n_negative - self.n_rows if certain and found.n_negative is not None else None
        return SaddleFactor(count, found, self.n_rows)

    @cached_property
    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the entries of M, in the order in which `_matrix` has their values."""
        n, m = self.n, self.rows.shape[0]
        (r, c), (gr, gc), (fr, fc) = (a.coords for a in (self.rows, self.gram, self.form))
        direction, column = (a.ravel() for a in np.indices(self.directions.shape))
        low, across = np.concatenate([n + r, n + m + direction]), np.concatenate([c, column])
        every = np.arange(n + self.n_rows)
        return np.concatenate([gr, fr, low, across, every]), np.concatenate([gc, fc, across, low, every])

    def _matrix(self, form: float, shift: float, epsilon: float) -> sp.csc_array:
        low = np.concatenate([self.rows.data, self.directions.ravel()])
        m, k = self.rows.shape[0], len(self.directions)
        diagonal = np.repeat([shift, -epsilon, -FIRM], [self.n, m, k])
        values = np.concatenate([STIFF * self.gram.data, form * self.form.data, low, low, diagonal])
        size = self.n + self.n_rows
        # duplicates are summed and zeros stay, so that all matrices have one pattern
        return sp.csc_array(sp.coo_array((values, self._places), shape=(size, size)))

    def _order(self, matrix: sp.csc_array, late: bool) -> np.ndarray:
        """Nested dissection of the degrees of freedom; each row follows the last (or, if not late, first) of its own.

        Directions stand before the last node, whose pivot would vanish without them.
        """
        corner = sp.csc_array(matrix[: self.n, : self.n])
        corner.sort_indices()
        node, first = nodes_of(corner.indices, corner.indptr)
        graph = graph_of(corner.indices, corner.indptr, node, first)
        few = len(first) <= FEW
        order = np.argsort(least_degree(*graph)) if few else dissected(*graph, np.bincount(node))
        rank = np.empty(len(order))
        rank[order] = np.arange(len(order))
        row, column = self.rows.coords
        after = np.full(self.rows.shape[0], 0.0 if late else len(order))
        (np.maximum if late else np.minimum).at(after, row, rank[node[column]] + 0.5)
        key = np.concatenate([rank[node], after, np.full(len(self.directions), len(order) - 1.25)])
        return np.argsort(key[nodes_of(matrix.indices, matrix.indptr)[1]], kind="stable")

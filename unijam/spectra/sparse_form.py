"""A large sparse symmetric matrix on the kernel of some rows: signs by inertia, ends by Lanczos' method.

No basis of the kernel is made. What counts as kernel is decided as for dense matrices, by a gap in the singular values
of the rows: a factor of ten at least, below 1e-3 of the largest.
"""

from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from ..linalg import Projection
from ..linalg.saddle import Saddle, SaddleFactor
from ..support.memory import require_matrices

# ε is sought from here on, in units of the mean diagonal entry of RᵀR: below, rounding could change a sign.
LEAST = 1e-12
MOST = 1e-6  # … up to here: 1e-3 in singular values, as for dense matrices (`linalg.rank_of`)
GAP = 100.0  # the counts must be the same at ε and at GAP × ε: a factor of ten in the singular values
# The square of the singular value that belongs to the forces, which balance up to the imbalance, stays below ε by this.
ABOVE = 10.0
ZERO = 1e-9  # eigenvalues within this, in units of the mean |diagonal entry| of the matrix, count as zero
# Distance of the shift of Lanczos' method from zero where no eigenvalue lies beyond, in the same unit: with a smaller
# one neighbours are told apart better, a larger one leaves more digits of the inverse.
NEAR = 1e-6
FAR = 4.0  # the first shift otherwise, and its factor where it is not beyond all eigenvalues
FARTHEST = 1e6  # a shift beyond the eigenvalues of any matrix, in the same unit
TOLERANCE = 1e-7  # of eigenvalues of the inverse
ATTEMPTS = 10  # of Lanczos' method, each across what those before have found
INSIDE = 0.1  # of a vector's length is left on the kernel, at least, where it is an eigenvector there


class SparseForm:
    """A symmetric matrix A, (n, n), on the kernel of rows R, (m, n), and across orthonormal directions, (k, n).

    Parameters
    ----------
    matrix : (n, n) csc
    rows : (m, n) csr
    directions : (k, n) array
    imbalance : float
        An upper bound of a singular value of R that counts as zero.

    Attributes
    ----------
    dimension : int
        The dimension of the kernel.
    n_negative, n_zero, n_positive : int
        Eigenvalues of A on it; those within 1e-9 of the mean |diagonal entry| of A count as zero.

    Raises
    ------
    ValueError
        Where the counts are not the same at ε and 100 ε for any ε.
    """

    def __init__(
        self, matrix: sp.csc_array, rows: sp.csr_array, directions: np.ndarray, imbalance: float = 0.0
    ) -> None:
        self.matrix, self.directions = matrix, directions
        self.saddle = Saddle(rows, matrix, directions)
        self._projector: SaddleFactor | None = None
        self.epsilon, (self.n_negative, self.n_zero, self.n_positive) = self._counts(imbalance)
        self.dimension = self.n_negative + self.n_zero + self.n_positive

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_projector": None}  # a factor is made again where it is needed

    def _counts(self, imbalance: float) -> tuple[float, tuple[int, int, int]]:
        """The first ε at which the counts agree, and the negative, zero and positive eigenvalues."""
        epsilon = max(LEAST, ABOVE * imbalance**2 / self.saddle.unit)
        while GAP * epsilon <= MOST:
            dimension = self.saddle.count(0.0, -1.0, epsilon)
            if dimension is not None and dimension == self.saddle.count(0.0, -1.0, GAP * epsilon):
                found = self._signs(epsilon) if dimension else (0, 0)
                if found is not None:
                    return epsilon, (*found, dimension - sum(found))
            epsilon *= 10.0
        raise ValueError(
            "the signs on the kernel cannot be told: counts at ε and 100 ε differ for every ε, since the singular "
            "values of J have no gap of a factor of 10 below 1e-3 of the largest one, or an eigenvalue is zero but for "
            f"the imbalance of forces, ‖Jᵀu'‖/‖u'‖ = {imbalance:.1e}; ask for them nearer to force balance."
        )

    def _signs(self, epsilon: float) -> tuple[int, int] | None:
        """Negative and zero eigenvalues; None where they are not the same at ε and 100 ε."""

        def below(threshold: float, at: float) -> int | None:
            return self.saddle.count(1.0, -threshold, at)

        # counts grow with the threshold and with ε: where these two are equal, all four are
        least, most = below(-ZERO, epsilon), below(ZERO, GAP * epsilon)
        if least is None or most is None:
            return None
        if least < most and (below(-ZERO, GAP * epsilon), below(ZERO, epsilon)) != (least, most):
            return None
        return least, most - least

    def project(self, v: np.ndarray) -> np.ndarray:
        """v, (n,), projected onto the kernel across the directions; what is left of the rest is about ε/σ² of it."""
        inside = v
        if self.saddle.rows.shape[0]:
            if self._projector is None:
                self._projector = self.saddle.factor(0.0, -1.0, GAP * self.epsilon)
            inside = -self._projector.solve(v)
        rest: np.ndarray = inside - self.directions.T @ (self.directions @ inside)
        return rest

    def extremes(self, count: int, lowest: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The lowest (or highest) eigenvalues, ascending, their residuals, and their vectors as columns, (n, count).

        Within the residual of each value there is an eigenvalue. How many lie beyond the innermost of them is counted
        by inertia, so that none of several equal ones is missed.

        Raises
        ------
        ValueError
            Where Lanczos' method does not find as many as there are.
        """
        n, count = self.saddle.n, min(count, self.dimension)
        basis = np.empty((n, 0))
        if not count:
            return np.empty(0), np.empty(0), basis
        require_matrices([(n, 7 * count + 40)], f"a search for {count} eigenvalues", "ask for fewer")
        inverse, which = self._beyond(lowest), "LA" if lowest else "SA"  # 1/(λ − shift) is of one sign
        for attempt in range(ATTEMPTS):
            # Of several equal eigenvalues Lanczos' method may find one: it runs again across what it has found.
            across = _across(basis)
            operator = spla.LinearOperator((n, n), lambda v, a=across: a(inverse.solve(a(v))), dtype=float)
            start = across(self.project(np.random.default_rng(attempt).standard_normal(n)))
            vectors = spla.eigsh(operator, k=count, which=which, v0=start, tol=TOLERANCE)[1]
            values, residuals, basis = self._ritz(np.column_stack([basis, vectors]), count, lowest)
            if len(values) == count and self._complete(values, residuals, lowest):
                return values, residuals, basis
        raise ValueError(
            f"count = {count} is not valid: it must be smaller, since Lanczos' method does not find so many."
        )

    def _ritz(
        self, vectors: np.ndarray, count: int, lowest: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Eigenvalues, residuals and eigenvectors of A in the span of some vectors on the kernel (Rayleigh and Ritz).

        The errors of eigenvalues are squares of those of the vectors.
        """
        inside, lengths, _ = np.linalg.svd(
            np.column_stack([self.project(v) for v in vectors.T]), full_matrices=False
        )
        inside = inside[:, lengths > INSIDE]
        values, turn = np.linalg.eigh(inside.T @ (self.matrix @ inside))
        kept = slice(0, count) if lowest else slice(max(len(values) - count, 0), None)
        values, found = values[kept], inside @ turn[:, kept]
        left = self.matrix @ found - found * values
        residuals = np.array([np.linalg.norm(self.project(column)) for column in left.T])
        return values, residuals, found

    def _complete(self, values: np.ndarray, residuals: np.ndarray, lowest: bool) -> bool:
        """Whether no more eigenvalues lie beyond the innermost of these than are among them."""
        scale = self.saddle.scale
        error = max(2.0 * float(residuals.max()), ZERO * scale)
        edge = values[-1] - error if lowest else values[0] + error
        below = self.saddle.count(1.0, -edge / scale, GAP * self.epsilon)
        if below is None:  # an eigenvalue lies on the edge, within rounding
            return True
        beyond = below if lowest else self.dimension - below
        return bool(beyond <= ((values < edge) if lowest else (values > edge)).sum())

    def _beyond(self, lowest: bool) -> SaddleFactor:
        """A factor of A less a shift below (or above) all eigenvalues."""
        shift = FAR if (self.n_negative if lowest else self.n_positive) else NEAR
        wanted = 0 if lowest else self.dimension
        sign = 1.0 if lowest else -1.0
        while self.saddle.count(1.0, sign * shift, GAP * self.epsilon) != wanted and shift < FARTHEST:
            shift *= FAR
        return self.saddle.factor(1.0, sign * shift, GAP * self.epsilon)


def _across(basis: np.ndarray) -> Projection:
    """The projection across orthonormal columns, (n, k)."""
    return lambda v: v - basis @ (basis.T @ v)

"""The one place that knows whether a matrix is sparse, dense or matrix-free: Newton steps, inertia, symmetries.

A Newton step solves (P H P + ρ Z Zᵀ + s) p = −g, Z the symmetries; with a moving scale, H has a border b and a
corner k, which are eliminated by their Schur complement k − bᵀ H⁻¹ b (so inertia is that of H plus its sign). A
matrix that is known by its products alone is not factored: conjugate gradients take its place, and Lanczos'
method looks for negative eigenvalues.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from ..support.arrays import Array, is_torch, namespace, to_numpy
from .elimination import Elimination, Factor, with_diagonal
from .krylov import conjugate_gradients, extreme_modes, mean_diagonal
from .operators import Operator, is_operator
from .subspaces import orthonormal_rows, projection

TETHER = (
    1e-2  # of ρ: holds what bears no force. Stiffer, a rattler that is touched would hold its neighbours up
)
LARGE = 3000  # the spectrum of a matrix larger than this is not computed whole
LARGE_SPARSE = 600  # nor for one mode of a sparse matrix: a few factors find it in a hundredth of the time
PRODUCTS = 500  # of a matrix-free H in one Newton step, or in one search for a negative eigenvalue


@dataclass(frozen=True, eq=False)
class QuadraticModel:
    """Curvature of an objective at a point, regular across its symmetries.

    Attributes
    ----------
    matrix : (n, n) scipy csc, dense or Operator
        H over x, made regular by `across_symmetries`.
    border, corner : (n,) array or None, float
        ∂∇U/∂s and ∂²U/∂s² of the moving scale variable s, if any.
    rho : float
        Mean diagonal of H.
    elimination : Elimination
        The order in which a sparse H is factored, shared with those that resemble it.
    """

    matrix: Array
    border: Array | None
    corner: float
    rho: float
    elimination: Elimination = field(default_factory=Elimination)

    @property
    def floor(self) -> float:
        """The shift at which rounding of H begins."""
        return 1e-14 * self.rho

    def step(
        self, gradient: Array, shift: float, longest: float, accuracy: float = 0.0
    ) -> tuple[Array, float]:
        """The shifted Newton step −(H + shift)⁻¹ g, and the shift that made it positive definite and not too long.

        A matrix-free H is left as it is where it proves not to be positive definite: the step then follows the
        direction of negative curvature to the length allowed (Steihaug).

        Parameters
        ----------
        longest : float
            The largest change of a degree of freedom that is allowed.
        accuracy : float
            ‖(H + shift) p + g‖ / ‖g‖ at which a matrix-free step is good enough.
        """
        if is_operator(self.matrix):
            matrix = self._whole.shifted(shift)
            step, downward = conjugate_gradients(matrix, -gradient, accuracy, PRODUCTS)
            if downward is None:
                return step, shift
            length = (longest - float(abs(step).max())) / float(abs(downward).max())
            return step + max(length, 0.0) * downward, shift
        while shift < 1e15 * self.rho:
            factor = self.factor(shift)
            if factor.positive:
                step = -factor.solve(gradient)
                if float(abs(step).max()) <= longest:
                    return step, shift
            shift = max(4 * shift, 10 * self.floor)
        return -gradient / shift, shift

    def factor(self, shift: float) -> Factor:
        """Factor matrix + shift; with a border, the whole bordered matrix (its corner shifted too)."""
        inner = (
            self.elimination.factor(self.matrix, shift)
            if sp.issparse(self.matrix)
            else factor_dense(self.matrix, shift)
        )
        if self.border is None or inner.n_negative is None:
            return inner
        return _bordered(inner, self.border, self.corner + shift)

    def negative_modes(self, uncertainty: float = 0.0) -> int:
        """The number of eigenvalues (of the bordered matrix, if there is a border) below −10 × the uncertainty.

        The uncertainty of an eigenvalue is at least that of rounding; at a point that is not quite stationary it is
        of the order of the gradient left. Of a matrix-free H the lowest eigenvalue is sought, and 1 stands for
        one or more.
        """
        threshold = 10 * max(self.floor, uncertainty)
        if is_operator(self.matrix):
            values, _, _ = self._lowest(-threshold)
            return int(values[0] < -threshold)
        found = self.factor(threshold).n_negative
        if found is not None:
            return found
        if is_torch(self._whole):
            return int((namespace(self._whole).linalg.eigvalsh(self._whole) < -threshold).sum())
        if self._whole.shape[0] > LARGE:
            return int(self._softest()[0] < -threshold)
        return int((np.linalg.eigvalsh(to_numpy(self._whole)) < -threshold).sum())

    def lowest_mode(self) -> Array:
        """The normalised eigenvector of the lowest eigenvalue of the (bordered) matrix."""
        if is_operator(self.matrix):
            return self._lowest(0.0)[1][0]
        if is_torch(self._whole):
            return namespace(self._whole).linalg.eigh(self._whole)[1][:, 0]
        if self._whole.shape[0] <= (LARGE_SPARSE if sp.issparse(self._whole) else LARGE):
            return np.linalg.eigh(to_numpy(self._whole))[1][:, 0]
        return self._softest()[1]

    def _softest(self) -> tuple[float, np.ndarray]:
        """The lowest eigenvalue of a large matrix and its mode, by the inverse of matrix + shift.

        The shift is the first, of a series times four, that makes it positive definite: the lowest mode is then the
        largest of the inverse, however close to zero many others lie.
        """
        shift = 10 * (self.floor or 1e-14)
        while not (factor := self.factor(shift)).positive:
            shift *= 4
        n = self._whole.shape[0]
        inverse = spla.LinearOperator((n, n), matvec=factor.solve, dtype=float)
        values, vectors = spla.eigsh(inverse, k=1, which="LA", tol=1e-3)
        return 1 / float(values[0]) - shift, vectors[:, 0]

    def _lowest(self, enough: float) -> tuple[np.ndarray, Array, np.ndarray]:
        return extreme_modes(self._whole, max_products=PRODUCTS, enough=enough)

    @cached_property
    def _whole(self) -> Array:
        if is_operator(self.matrix):
            return self.matrix if self.border is None else _with_border(self.matrix, self.border, self.corner)
        if self.border is None:
            return self.matrix
        border = self.border[:, None]
        if sp.issparse(self.matrix):
            return sp.bmat([[self.matrix, border], [border.T, [[self.corner]]]], format="csc")
        xp = namespace(border)
        last = xp.concat([border, xp.full_like(border[:1], self.corner)])
        return xp.concat([xp.concat([self.matrix, border.T]), last], axis=1)


def _with_border(inner: Operator, border: Array, corner: float) -> Operator:
    xp = namespace(border)

    def product(v: Array) -> Array:
        last = border @ v[:-1] + corner * v[-1]
        return xp.concat([inner @ v[:-1] + border * v[-1], xp.reshape(last, (1,))])

    return Operator(product, xp.concat([inner.like, border[:1]]), inner.memory)


def _bordered(inner: Factor, border: Array, corner: float) -> Factor:
    column = inner.solve(border)
    schur = corner - float(border @ column)
    xp = namespace(border)

    def solve(rhs: Array) -> Array:
        top = inner.solve(rhs[:-1])
        last = (rhs[-1] - border @ top) / schur
        return xp.concat([top - column * last, xp.reshape(last, (1,))])

    return Factor(solve, (inner.n_negative or 0) + (schur <= 0))


def factor_dense(matrix: Array, shift: float) -> Factor:
    """Cholesky of a dense symmetric matrix + shift (NumPy, or torch on its device); n_negative is 0 or None."""
    if is_torch(matrix):
        import torch

        shifted = matrix.clone()
        shifted.diagonal().add_(shift)
        lower, failed = torch.linalg.cholesky_ex(shifted)
        if int(failed):
            return Factor(lambda rhs: rhs, None)

        def solve(rhs: Array) -> Array:
            return torch.cholesky_solve(rhs.reshape(len(rhs), -1), lower).reshape(rhs.shape)

        return Factor(solve, 0)
    try:
        lower = scipy.linalg.cho_factor(
            matrix + shift * np.eye(matrix.shape[0]), lower=True, check_finite=False
        )
    except np.linalg.LinAlgError:
        return Factor(lambda rhs: rhs, None)
    return Factor(lambda rhs: scipy.linalg.cho_solve(lower, rhs, check_finite=False), 0)


def across_symmetries(h: Array, bearing: Callable[[], Array], symmetries: Array) -> tuple[Array, float]:
    """H made regular: (P H P + ρ Z Zᵀ, ρ), Z an orthonormal basis of the symmetries, ρ the mean diagonal of H.

    A sparse H, whose symmetries satisfy H Z = 0 exactly, gets ρ on the diagonal of as many bearing degrees of
    freedom instead (pinning), which keeps it sparse and keeps its inertia; and what bears no force is tethered
    there (rattlers). A dense H keeps such degrees of freedom as they are: a dead unit bears none either, but Hp
    may well make it unstable; ρ is the mean of what is not zero on the diagonal, and `bearing` is not asked. A
    matrix-free H is projected in its products, ρ from a few of them.
    """
    if is_operator(h):
        mask = bearing()
        rho = abs(mean_diagonal(h)) * len(mask) / max(int(mask.sum()), 1)
        project, rank = projection(symmetries)
        if not rank:
            return h, rho

        def product(v: Array) -> Array:
            inside = project(v)
            return project(h @ inside) + rho * (v - inside)

        return Operator(product, h.like, h.memory), rho
    if sp.issparse(h):
        diagonal, mask = h.diagonal(), bearing()
        counted = mask if mask.any() else diagonal != 0  # what overlaps but is not held, else
        rho = float(np.abs(diagonal[counted]).mean()) if counted.any() else 1.0
        stiff = np.where(mask, 0.0, TETHER * rho)
        for direction in symmetries:
            free = np.abs(direction) * mask * (stiff == 0)
            stiff[int(np.argmax(free))] += rho * (free.max() > 0)
        return with_diagonal(h, stiff), rho
    xp = namespace(h)
    diagonal = abs(h.diagonal())
    n_stiff = int((diagonal != 0).sum())
    rho = float(diagonal.sum()) / n_stiff if n_stiff else 1.0
    z = orthonormal_rows(symmetries)
    if z.shape[0]:
        zh = z @ h
        inner = 0.5 * (zh @ z.T + rho * xp.eye(z.shape[0], dtype=h.dtype, device=h.device))
        correction = z.T @ (inner @ z - zh)
        h = h + correction + correction.T
    return h, rho


def with_decay(h: Array, mu: Array) -> Array:
    """H + μ, a number or (n,)."""
    if is_operator(h):
        return h.shifted(mu)
    if sp.issparse(h):
        return with_diagonal(h, mu)
    return h + mu * namespace(h).eye(h.shape[0], dtype=h.dtype, device=h.device)

"""Newton steps, inertia and symmetries, for sparse, dense and matrix-free H alike.

A Newton step solves (P H P + ρ Z Zᵀ + s) p = −g, with Z the symmetries and s a shift. If the scale moves, H has a
border b and a corner k. They are eliminated by the Schur complement k − bᵀ H⁻¹ b, so the number of negative
eigenvalues is that of H, plus one if the complement is negative. A matrix that is known only by its products is not
factored: conjugate gradients find the step, and Lanczos' method looks for negative eigenvalues.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from ..support.arrays import Array, is_torch, namespace, to_numpy
from ..support.memory import require_matrices
from .elimination import Elimination, Factor, with_diagonal
from .krylov import conjugate_gradients, extreme_modes, mean_diagonal
from .operators import Operator, is_operator
from .subspaces import orthonormal_rows, projection

# Stiffness, in units of ρ, added to the diagonal for degrees of freedom that bear no force (rattlers): H is singular
# there. With a stiffer tether a rattler that touches the backbone would hold its neighbours in place, and Newton's
# method would stall (docs/decisions/001).
TETHER = 1e-2
# The whole spectrum is computed only up to this size; above it, only the lowest mode is.
LARGE = 3000
# The same for the lowest mode of a sparse matrix: above this size a few factors find it in a hundredth of the time.
LARGE_SPARSE = 600
PRODUCTS = 500  # with a matrix-free H, at most, for one Newton step or one search for a negative eigenvalue


@dataclass(frozen=True, eq=False)
class QuadraticModel:
    """The curvature of an objective at a point, made regular along its symmetries.

    Attributes
    ----------
    matrix : (n, n) scipy csc, dense or Operator
        H with respect to x, made regular by `across_symmetries`.
    border, corner : (n,) array or None, float
        ∂∇U/∂s and ∂²U/∂s² of the scale variable s, if the scale moves.
    rho : float
        Mean diagonal entry of H.
    elimination : Elimination
        The order in which a sparse H is factored, shared with similar matrices.
    """

    matrix: Array
    border: Array | None
    corner: float
    rho: float
    elimination: Elimination = field(default_factory=Elimination)

    @property
    def floor(self) -> float:
        """1e-14 ρ: the size of the rounding errors of H, and so the smallest shift that has an effect."""
        return 1e-14 * self.rho

    def step(
        self, gradient: Array, shift: float, longest: float, accuracy: float = 0.0
    ) -> tuple[Array, float]:
        """The Newton step −(H + shift)⁻¹ g, (n,) or (n + 1,), and the shift that was used.

        The shift is raised until H + shift is positive definite and the step short enough. The shift of a matrix-free
        H is not raised: if H + shift is not positive definite, the step follows the direction of negative curvature
        to the length allowed (Steihaug).

        Parameters
        ----------
        gradient : (n,) array, or (n + 1,) with a border
        shift : float
            The first shift to try.
        longest : float
            The largest change of a degree of freedom that is allowed.
        accuracy : float
            A matrix-free step is accepted at this ‖(H + shift) p + g‖ / ‖g‖.
        """
        if is_operator(self.matrix):
            matrix = self._whole.shifted(shift)
            step, downward = conjugate_gradients(matrix, -gradient, accuracy, PRODUCTS)
            if downward is None:
                return step, shift
            length = (longest - float(abs(step).max())) / float(abs(downward).max())
            return step + max(length, 0.0) * downward, shift
        while shift < 1e15 * self.rho:  # beyond, H is lost in rounding beside the shift
            factor = self.factor(shift)
            if factor.positive:
                step = -factor.solve(gradient)
                if float(abs(step).max()) <= longest:
                    return step, shift
            shift = max(4 * shift, 10 * self.floor)  # from zero, the first shift well above rounding
        return -gradient / shift, shift

    def factor(self, shift: float) -> Factor:
        """Factor matrix + shift × 1; with a border, the bordered (n + 1, n + 1) matrix + shift × 1."""
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

        `uncertainty` is the error of an eigenvalue, a stiffness: at a point that is not quite stationary it is of the
        order of the gradient that is left (docs/decisions/011). It is taken to be at least the rounding error of H. Of
        a matrix-free H only the lowest eigenvalue is sought, and 1 means one or more.
        """
        threshold = 10 * max(self.floor, uncertainty)
        if is_operator(self.matrix):
            values, _, _ = self._lowest(-threshold)
            return int(values[0] < -threshold)
        found = self.factor(threshold).n_negative
        if found is not None:
            return found
        if is_torch(self._whole) or self._whole.shape[0] <= LARGE:
            self._require_dense("the number of negative eigenvalues")
        if is_torch(self._whole):
            return int((namespace(self._whole).linalg.eigvalsh(self._whole) < -threshold).sum())
        if self._whole.shape[0] > LARGE:
            return int(self._softest()[0] < -threshold)
        return int((np.linalg.eigvalsh(to_numpy(self._whole)) < -threshold).sum())

    def lowest_mode(self) -> Array:
        """The normalised eigenvector of the lowest eigenvalue, (n,), or (n + 1,) with a border."""
        if is_operator(self.matrix):
            return self._lowest(0.0)[1][0]
        if is_torch(self._whole):
            self._require_dense("the lowest mode")
            return namespace(self._whole).linalg.eigh(self._whole)[1][:, 0]
        if self._whole.shape[0] <= (LARGE_SPARSE if sp.issparse(self._whole) else LARGE):
            self._require_dense("the lowest mode")
            return np.linalg.eigh(to_numpy(self._whole))[1][:, 0]
        return self._softest()[1]

    def _require_dense(self, what: str) -> None:
        """Memory for all eigenvalues: the matrix, its vectors, and room for Lapack."""
        n = self._whole.shape[0]
        like = None if sp.issparse(self._whole) else self._whole
        require_matrices([(3 * n, n)], f"{what} of H on {n} degrees of freedom", like=like)

    def _softest(self) -> tuple[float, np.ndarray]:
        """The lowest eigenvalue of a large matrix and its mode, from the inverse of matrix + shift.

        The shift is raised fourfold until matrix + shift is positive definite. The lowest mode is then the one of the
        largest eigenvalue of the inverse, even if many other eigenvalues lie close to zero.
        """
        shift = 10 * (self.floor or 1e-14)  # H may vanish; a shift of zero could not be multiplied
        while not (factor := self.factor(shift)).positive:
            shift *= 4
        n = self._whole.shape[0]
        inverse = spla.LinearOperator((n, n), matvec=factor.solve, dtype=float)
        values, vectors = spla.eigsh(inverse, k=1, which="LA", tol=1e-3)  # three digits
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
    """Cholesky factor of a dense symmetric (n, n) matrix + shift × 1 (NumPy, or torch on its device).

    `n_negative` is 0, or None if the matrix is not positive definite.
    """
    n = matrix.shape[0]
    require_matrices([(2 * n, n)], f"a factor of a dense H on {n} degrees of freedom", like=matrix)
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
    """H made regular along its symmetries: (P H P + ρ Z Zᵀ, ρ), with P = 1 − Z Zᵀ.

    Z is an orthonormal basis of the symmetries, and ρ the mean diagonal entry of H.

    - A sparse H satisfies H Z = 0 exactly. One bearing degree of freedom for each symmetry gets ρ on the diagonal
      instead (it is pinned), which keeps H sparse and keeps the number of negative eigenvalues. Degrees of freedom
      that bear no force (rattlers) are tethered with 1e-2 ρ.
    - A dense H is not tethered: a dead unit bears no force either, but Hp may make it unstable (docs/decisions/009).
      ρ is the mean of the nonzero diagonal entries, and `bearing` is not called (docs/decisions/054).
    - The products of a matrix-free H are projected; ρ is an estimate from a few products.

    Parameters
    ----------
    h : (n, n) scipy csc, dense or Operator
    bearing : function
        Returns the mask of the degrees of freedom that bear force, (n,).
    symmetries : (k, n) array
        As rows, not necessarily orthonormal.
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
        counted = mask if mask.any() else diagonal != 0  # nothing bears force: what has any stiffness counts
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
    """H + μ on the diagonal, in the form of H; μ is a number or (n,)."""
    if is_operator(h):
        return h.shifted(mu)
    if sp.issparse(h):
        return with_diagonal(h, mu)
    return h + mu * namespace(h).eye(h.shape[0], dtype=h.dtype, device=h.device)

"""The Gauss-Newton model ½ |r + A p|², A = √u'' J of the overlaps, solved through the smaller of AᵀA and AAᵀ."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import scipy.sparse as sp

from ..support.arrays import Array, gram, namespace
from . import Operator, conjugate_gradients, factor_dense, factor_sparse

# A step by conjugate gradients ends at this residual, relative to the gradient, or after this many products. Wherever
# they stop, the step descends.
INEXACT = 1e-2
MOST_PRODUCTS = 500


@dataclass(frozen=True, eq=False)
class GaussNewton:
    """A least-squares model at a point.

    Attributes
    ----------
    a : (m, n) array
        √u'' J of the overlaps (dense or csr), the scale's column included.
    r : (m,) array
        u' / √u''.
    rest : (n,) array
        The part of the gradient that is not Aᵀ r (weight decay, −τ).
    """

    a: Array
    r: Array
    rest: Array

    @classmethod
    def of(cls, jacobian: Array, root: Array, r: Array, gradient: Array, border: Array | None) -> Self:
        """The model from quantities of the overlaps.

        Parameters
        ----------
        jacobian : (m, n) csr or dense
            The rows of J of the overlaps.
        root, r : (m,) arrays
            √u'' and u'/√u''.
        gradient : (n,) or (n + 1,) array
            ∂E/∂y, with the entry of the scale if it moves.
        border : (m,) array or None
            √u'' c, the column of the scale if it moves.
        """
        if sp.issparse(jacobian):
            a = sp.diags(root) @ jacobian
            a = a if border is None else sp.hstack([a, border[:, None]], format="csr")
        else:
            a = jacobian * root[:, None]
            a = a if border is None else namespace(a).concat([a, border[:, None]], axis=1)
        return cls(a, r, gradient - a.T @ r)

    def step(self, damping: float) -> Array:
        """p = −(AᵀA + damping)⁻¹ (Aᵀ r + rest), (n,), or an empty array if the factorisation fails in rounding."""
        m, n = self.a.shape
        if m == 0:
            return -self.rest / damping
        f = (factor_sparse if sp.issparse(self.a) else factor_dense)(self._gram, damping)
        if not f.positive:
            return self.rest[:0]
        if m < n:
            # Aᵀ(AAᵀ + d)⁻¹ r needs no cancellation; the rest goes through Woodbury
            return -(self.a.T @ f.solve(self.r - self.a @ self.rest / damping)) - self.rest / damping
        return -f.solve(self.a.T @ self.r + self.rest)

    def predicted(self, p: Array) -> float:
        """The decrease of E that the model, without damping, predicts for a step p, (n,)."""
        ap = self.a @ p
        return -float((self.r + 0.5 * ap) @ ap) - float(self.rest @ p)

    @cached_property
    def _gram(self) -> Array:
        """The smaller one of AAᵀ and AᵀA; kept, because steps with several dampings are tried."""
        m, n = self.a.shape
        return gram(self.a.T, 0.0 * self.rest + 1.0) if m < n else gram(self.a, 0.0 * self.r + 1.0)


@dataclass(frozen=True, eq=False)
class NormalEquations:
    """The same model by the normal equations, with H0 instead of its root A.

    It serves if the constraints of a datum are coupled (cross-entropy), or if J does not fit into memory.

    Attributes
    ----------
    h0 : (n, n) array or Operator
        Jᵀ u'' J.
    gradient : (n,) array
    """

    h0: Array | Operator
    gradient: Array

    def step(self, damping: float) -> Array:
        """p = −(H0 + damping)⁻¹ gradient, (n,), or an empty array if H0 + damping is not positive definite in rounding.

        If H0 is an operator, conjugate gradients find p to a residual of 1e-2: p is inexact, but descends.
        """
        if isinstance(self.h0, Operator):
            return conjugate_gradients(self.h0.shifted(damping), -self.gradient, INEXACT, MOST_PRODUCTS)[0]
        factor = factor_sparse if sp.issparse(self.h0) else factor_dense
        f = factor(self.h0, damping)
        return -f.solve(self.gradient) if f.positive else self.gradient[:0]

    def predicted(self, p: Array) -> float:
        """The decrease of E that the model, without damping, predicts for a step p, (n,)."""
        return -float(self.gradient @ p + 0.5 * p @ (self.h0 @ p))

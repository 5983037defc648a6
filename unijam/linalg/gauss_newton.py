"""The Gauss-Newton model ½ |r + A p|², A = √u'' J of the overlaps, solved through the smaller of AᵀA and AAᵀ."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import scipy.sparse as sp

from ..support.arrays import Array, gram, namespace
from . import Operator, conjugate_gradients, factor_dense, factor_sparse

INEXACT = 1e-2  # residual of a step by conjugate gradients, relative to the gradient
MOST_PRODUCTS = 500  # for one step


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
        """From the rows of J, √u'', u'/√u'', the whole gradient, and the scale's column if it moves."""
        if sp.issparse(jacobian):
            a = sp.diags(root) @ jacobian
            a = a if border is None else sp.hstack([a, border[:, None]], format="csr")
        else:
            a = jacobian * root[:, None]
            a = a if border is None else namespace(a).concat([a, border[:, None]], axis=1)
        return cls(a, r, gradient - a.T @ r)

    def step(self, damping: float) -> Array:
        """p = −(AᵀA + damping)⁻¹ (Aᵀ r + rest), or an empty array where rounding forbids the factorisation."""
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
        """The decrease of E that the model (without damping) promises for p."""
        ap = self.a @ p
        return -float((self.r + 0.5 * ap) @ ap) - float(self.rest @ p)

    @cached_property
    def _gram(self) -> Array:
        """The smaller of AAᵀ and AᵀA; tried with several dampings."""
        m, n = self.a.shape
        return gram(self.a.T, 0.0 * self.rest + 1.0) if m < n else gram(self.a, 0.0 * self.r + 1.0)


@dataclass(frozen=True, eq=False)
class NormalEquations:
    """The same model through H0 itself: constraints of one datum coupled (cross-entropy), or no J that fits memory.

    Attributes
    ----------
    h0 : (n, n) array or Operator
        Jᵀ u'' J.
    gradient : (n,) array
    """

    h0: Array | Operator
    gradient: Array

    def step(self, damping: float) -> Array:
        """p = −(H0 + damping)⁻¹ gradient, or an empty array where rounding forbids the factorisation.

        Of an operator, by conjugate gradients to a residual of 1e-2 at most: p then is inexact, but descends.
        """
        if isinstance(self.h0, Operator):
            return conjugate_gradients(self.h0.shifted(damping), -self.gradient, INEXACT, MOST_PRODUCTS)[0]
        factor = factor_sparse if sp.issparse(self.h0) else factor_dense
        f = factor(self.h0, damping)
        return -f.solve(self.gradient) if f.positive else self.gradient[:0]

    def predicted(self, p: Array) -> float:
        """The decrease of E that the model (without damping) promises for p."""
        return -float(self.gradient @ p + 0.5 * p @ (self.h0 @ p))

"""The Gauss-Newton model ½ |r + A p|², A = √u'' J of the overlaps, solved through the smaller of AᵀA and AAᵀ."""

from dataclasses import dataclass
from typing import Self

import scipy.sparse as sp

from ..arrays import Array, gram, namespace
from ..elimination import factor_sparse
from ..linalg import factor_dense


@dataclass(frozen=True)
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
        factor = factor_sparse if sp.issparse(self.a) else factor_dense
        if m == 0:
            return -self.rest / damping
        if m < n:
            inner = self._outer_gram()
            f = factor(inner, damping)
            if not f.positive:
                return self.rest[:0]
            # Aᵀ(AAᵀ + d)⁻¹ r needs no cancellation; the rest goes through Woodbury
            return -(self.a.T @ f.solve(self.r - self.a @ self.rest / damping)) - self.rest / damping
        f = factor(gram(self.a, 0.0 * self.r + 1.0), damping)
        return -f.solve(self.a.T @ self.r + self.rest) if f.positive else self.rest[:0]

    def predicted(self, p: Array) -> float:
        """The decrease of E that the model (without damping) promises for p."""
        ap = self.a @ p
        return -float((self.r + 0.5 * ap) @ ap) - float(self.rest @ p)

    def _outer_gram(self) -> Array:
        outer = self.a @ self.a.T
        return outer.tocsc() if sp.issparse(outer) else outer


@dataclass(frozen=True)
class NormalEquations:
    """The same model through H0 itself, where the constraints of one datum are coupled (cross-entropy).

    Attributes
    ----------
    h0 : (n, n) array
        Jᵀ u'' J.
    gradient : (n,) array
    """

    h0: Array
    gradient: Array

    def step(self, damping: float) -> Array:
        """p = −(H0 + damping)⁻¹ gradient, or an empty array where rounding forbids the factorisation."""
        factor = factor_sparse if sp.issparse(self.h0) else factor_dense
        f = factor(self.h0, damping)
        return -f.solve(self.gradient) if f.positive else self.gradient[:0]

    def predicted(self, p: Array) -> float:
        """The decrease of E that the model (without damping) promises for p."""
        return -float(self.gradient @ p + 0.5 * p @ (self.h0 @ p))

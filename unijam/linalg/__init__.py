"""Linear algebra of Hessians, sparse, dense or known by their products: factors, inertia, symmetries, kernels."""

from .elimination import Elimination, Factor, factor_sparse, with_diagonal
from .krylov import Projection, Tridiagonal, conjugate_gradients, extreme_modes, lanczos, mean_diagonal
from .model import QuadraticModel, across_symmetries, factor_dense, with_decay
from .operators import MEMORY, Operator, is_operator, refuse_operator
from .subspaces import NULL_MODE, null_space, on_dof, orthonormal_rows, projection, rank_of

__all__ = [
    "MEMORY",
    "NULL_MODE",
    "Elimination",
    "Factor",
    "Operator",
    "Projection",
    "QuadraticModel",
    "Tridiagonal",
    "across_symmetries",
    "conjugate_gradients",
    "extreme_modes",
    "factor_dense",
    "factor_sparse",
    "is_operator",
    "lanczos",
    "mean_diagonal",
    "null_space",
    "on_dof",
    "orthonormal_rows",
    "projection",
    "rank_of",
    "refuse_operator",
    "with_decay",
    "with_diagonal",
]

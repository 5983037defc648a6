"""Arrays of NumPy, torch and scipy.sparse under one roof: the few operations that the rest needs of all three."""

import sys
from typing import Any

import numpy as np
import scipy.sparse as sp
from array_api_compat import array_namespace as namespace

Array = Any  # a NumPy array or a torch tensor; scipy sparse where a docstring says so

__all__ = ["Array", "column_norms", "gram", "is_torch", "namespace", "to_numpy"]


def is_torch(a: Array) -> bool:
    """Whether a is a torch tensor (never imports torch)."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(a, torch.Tensor)


def to_numpy(a: Array) -> np.ndarray:
    """A dense NumPy copy or view of a tensor, sparse matrix or array."""
    if sp.issparse(a):
        return a.toarray()
    return a.detach().cpu().numpy() if is_torch(a) else np.asarray(a)


def gram(jacobian: Array, weights: Array) -> Array:
    """Jᵀ diag(w) J of a sparse (then csc) or dense (m, n) Jacobian."""
    if sp.issparse(jacobian):
        return (jacobian.T @ sp.diags(weights) @ jacobian).tocsc()
    return (jacobian * weights[:, None]).T @ jacobian


def column_norms(jacobian: Array) -> Array:
    """Euclidean norm of each column, (n,)."""
    if sp.issparse(jacobian):
        return np.sqrt(np.asarray(jacobian.multiply(jacobian).sum(axis=0)).ravel())
    return (jacobian * jacobian).sum(0) ** 0.5

"""The few array operations that the package needs for NumPy arrays, torch tensors and scipy.sparse matrices alike."""

import sys
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp
from array_api_compat import array_namespace as namespace

from .memory import require_matrices

Array = Any  # a NumPy array or a torch tensor; scipy sparse where a docstring says so

# From this number of columns on, a product Jᵀ w J that NumPy cannot recognise as symmetric is computed in blocks of
# columns, the upper ones only: with four blocks 5/8 of the work.
WIDE = 200
BLOCKS = 4

__all__ = [
    "Array",
    "column_norms",
    "gram",
    "is_sparse",
    "is_torch",
    "namespace",
    "over",
    "over_both",
    "private",
    "signs",
    "to_numpy",
    "together",
    "weigh",
    "writable",
]


def is_torch(a: Array) -> bool:
    """Whether a is a torch tensor; torch is not imported to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(a, torch.Tensor)


def is_sparse(a: Array) -> bool:
    """Whether a is a scipy sparse matrix or array."""
    return bool(sp.issparse(a))


def together(mask: Array, groups: Array) -> Array:
    """A mask, (n,), in which a whole group is set if any of its entries is.

    Parameters
    ----------
    mask : (n,) mask
    groups : int or (n,) integers
        The number of consecutive entries that make a group, or the number of the group of each entry.

    Examples
    --------
    >>> import numpy as np
    >>> together(np.array([True, False, False, False]), 2).tolist()
    [True, True, False, False]
    """
    if np.ndim(groups) == 0:
        rows = mask.reshape(-1, int(groups))
        return (rows | rows.any(1)[:, None]).reshape(-1)
    numbers = np.unique(to_numpy(groups), return_inverse=True)[1].reshape(-1)
    found = (np.bincount(numbers, to_numpy(mask)) > 0)[numbers]
    return namespace(mask).asarray(found, device=mask.device) if is_torch(mask) else found


def to_numpy(a: Array) -> np.ndarray:
    """A tensor, sparse matrix or array as a dense NumPy array of the same shape; a view if possible, else a copy."""
    if sp.issparse(a):
        require_matrices([a.shape], f"a dense matrix of shape {a.shape}")
        dense: np.ndarray = a.toarray()
        return dense
    return a.detach().cpu().numpy() if is_torch(a) else np.asarray(a)


def writable(a: Any) -> Any:
    """a itself, or a copy if it is a read-only NumPy array: torch warns when it shares the memory of such an array."""
    return a.copy() if isinstance(a, np.ndarray) and not a.flags.writeable else a


def private(a: Array) -> Array:
    """A copy of an array or a tensor, which the caller may overwrite."""
    return a.clone() if is_torch(a) else a.copy()


def weigh(weights: Array, rows: Array) -> Array:
    """S r of rows r, (m, …): S is diag(w) of weights (m,), or has blocks (m/k, k, k) along its diagonal."""
    if weights.ndim == 3:
        return (weights @ rows.reshape(*weights.shape[:2], -1)).reshape(rows.shape)
    if sp.issparse(rows):
        return sp.diags(weights) @ rows
    return rows * (weights if rows.ndim == 1 else weights[:, None])


def gram(jacobian: Array, weights: Array) -> Array:
    """Jᵀ S J, (n, n), of a dense or sparse (m, n) Jacobian, with S as in `weigh`; csc if the Jacobian is sparse."""
    if sp.issparse(jacobian):
        return (jacobian.T @ weigh(weights, jacobian)).tocsc()
    m, n = jacobian.shape
    require_matrices([(m, n), (n, n)], f"Jᵀ w J of a dense J of shape {(m, n)}", like=jacobian)
    if weights.ndim == 1 and _on_cpu(jacobian) and bool((weights >= 0).all()):
        rows: Array = jacobian if bool((weights == 1).all()) else weigh(weights**0.5, jacobian)
        rows = np.from_dlpack(rows) if is_torch(rows) else rows  # a view: nothing is copied
        product = rows.T @ rows  # NumPy notices that the product is symmetric, and does half of the work
        return namespace(jacobian).from_numpy(product) if is_torch(jacobian) else product
    weighed = weigh(weights, jacobian)
    if n < WIDE or not len(jacobian):
        return weighed.T @ jacobian
    product = jacobian[:1].T @ jacobian[:1]
    ends = [n * k // BLOCKS for k in range(BLOCKS + 1)]
    for start, end in pairwise(ends):  # symmetric: 5/8 of the work
        product[start:end, start:] = weighed[:, start:end].T @ jacobian[:, start:]
        product[end:, start:end] = product[start:end, end:].T
    return product


def _on_cpu(a: Array) -> bool:
    return not is_torch(a) or a.device.type == "cpu"


def column_norms(jacobian: Array) -> Array:
    """The Euclidean norm of each column of a dense or sparse (m, n) matrix, (n,)."""
    if sp.issparse(jacobian):
        rows = jacobian.tocsr()  # NumPy adds: SciPy's own sums over columns take a millisecond
        return np.sqrt(np.bincount(rows.indices, rows.data**2, rows.shape[1]))
    return (jacobian * jacobian).sum(0) ** 0.5


def over(a: Array, lengths: Array | None) -> Array:
    """A vector, (n,), or the columns of a matrix, (m, n), divided by lengths, (n,); None stands for ones."""
    if lengths is None:
        return a
    return sp.csr_array(a @ sp.diags(1.0 / lengths)) if sp.issparse(a) else a / lengths


def over_both(h: Array, lengths: Array | None) -> Array:
    """h_ij / (lengths_i lengths_j) of a csc or dense (n, n) matrix and lengths, (n,); None stands for ones."""
    if lengths is None:
        return h
    if not sp.issparse(h):
        return h / lengths / lengths[:, None]
    data = h.data / lengths[h.indices] / np.repeat(lengths, np.diff(h.indptr))
    scaled = sp.csc_array((data, h.indices, h.indptr), shape=h.shape)
    scaled.has_canonical_format = h.has_canonical_format
    return scaled


def signs(like: Array, seed: int) -> Array:
    """Random ±1, (n,), in the library, precision and device of `like`, (n,).

    They are drawn on the CPU, so that a seed gives the same signs on every device.
    """
    drawn = np.random.default_rng(seed).integers(0, 2, len(like)) * 2.0 - 1.0
    return namespace(like).asarray(drawn, dtype=like.dtype, device=like.device) if is_torch(like) else drawn

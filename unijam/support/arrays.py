"""Arrays of NumPy, torch and scipy.sparse under one roof: the few operations that the rest needs of all three."""

import sys
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp
from array_api_compat import array_namespace as namespace

Array = Any  # a NumPy array or a torch tensor; scipy sparse where a docstring says so

WIDE = 200  # columns from which a symmetric product is made by blocks
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
    """Whether a is a torch tensor (never imports torch)."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(a, torch.Tensor)


def is_sparse(a: Array) -> bool:
    """Whether a is a scipy sparse matrix or array."""
    return bool(sp.issparse(a))


def together(mask: Array, groups: Array) -> Array:
    """A mask in which whole groups are set where any of their entries is.

    Parameters
    ----------
    mask : (n,) mask
    groups : int or (n,) integers
        How many consecutive entries make a group, or the number of the group of each entry.

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
    """A dense NumPy copy or view of a tensor, sparse matrix or array."""
    if sp.issparse(a):
        dense: np.ndarray = a.toarray()
        return dense
    return a.detach().cpu().numpy() if is_torch(a) else np.asarray(a)


def writable(a: Any) -> Any:
    """a, or a copy of a NumPy array that must not be written: torch warns of those."""
    return a.copy() if isinstance(a, np.ndarray) and not a.flags.writeable else a


def private(a: Array) -> Array:
    """A copy that nobody else holds, of an array or a tensor."""
    return a.clone() if is_torch(a) else a.copy()


def weigh(weights: Array, rows: Array) -> Array:
    """S r of rows (m, …): S = diag(w) of weights (m,), or of blocks (m/k, k, k) along its diagonal."""
    if weights.ndim == 3:
        return (weights @ rows.reshape(*weights.shape[:2], -1)).reshape(rows.shape)
    if sp.issparse(rows):
        return sp.diags(weights) @ rows
    return rows * (weights if rows.ndim == 1 else weights[:, None])


def gram(jacobian: Array, weights: Array) -> Array:
    """Jᵀ S J of a sparse (then csc) or dense (m, n) Jacobian, S as in `weigh`."""
    if sp.issparse(jacobian):
        return (jacobian.T @ weigh(weights, jacobian)).tocsc()
    if weights.ndim == 1 and _on_cpu(jacobian) and bool((weights >= 0).all()):
        rows: Array = jacobian if bool((weights == 1).all()) else weigh(weights**0.5, jacobian)
        rows = np.from_dlpack(rows) if is_torch(rows) else rows  # a view: nothing moves
        product = rows.T @ rows  # NumPy sees that it is symmetric: half of the work
        return namespace(jacobian).from_numpy(product) if is_torch(jacobian) else product
    weighed, n = weigh(weights, jacobian), jacobian.shape[1]
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
    """Euclidean norm of each column, (n,)."""
    if sp.issparse(jacobian):
        rows = jacobian.tocsr()  # sums in NumPy: SciPy's own take a millisecond
        return np.sqrt(np.bincount(rows.indices, rows.data**2, rows.shape[1]))
    return (jacobian * jacobian).sum(0) ** 0.5


def over(a: Array, lengths: Array | None) -> Array:
    """A vector, or the columns of a matrix (…, n), over lengths (n,); None stands for ones."""
    if lengths is None:
        return a
    return sp.csr_array(a @ sp.diags(1.0 / lengths)) if sp.issparse(a) else a / lengths


def over_both(h: Array, lengths: Array | None) -> Array:
    """h_ij / (lengths_i lengths_j) of a symmetric csc or dense matrix; None stands for ones."""
    if lengths is None:
        return h
    if not sp.issparse(h):
        return h / lengths / lengths[:, None]
    data = h.data / lengths[h.indices] / np.repeat(lengths, np.diff(h.indptr))
    scaled = sp.csc_array((data, h.indices, h.indptr), shape=h.shape)
    scaled.has_canonical_format = h.has_canonical_format
    return scaled


def signs(like: Array, seed: int) -> Array:
    """Random ±1, as many and of the kind of an array; drawn on the CPU, and the same on every device."""
    drawn = np.random.default_rng(seed).integers(0, 2, len(like)) * 2.0 - 1.0
    return namespace(like).asarray(drawn, dtype=like.dtype, device=like.device) if is_torch(like) else drawn

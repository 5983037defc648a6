"""Subspaces: kernels and ranks, orthonormal bases, and projections that remove directions such as symmetries."""

import warnings
from collections.abc import Sequence

import numpy as np
import scipy.linalg

from ..support.arrays import Array, namespace
from ..support.memory import require_matrices
from .krylov import Projection

NULL_MODE = 1e-12  # an eigenvalue below this fraction of the largest one counts as zero
# A rank is read off the largest gap in log σ below this fraction of the largest σ. A fixed threshold would fail: near
# jamming the smallest genuine σ and the largest spurious one move with size and pressure (docs/decisions/006).
NULL_CUT = 1e-3


def orthonormal_rows(vectors: Array) -> Array:
    """An orthonormal basis, as rows (k', n), of the span of the given rows (k, n); dependent rows are dropped."""
    if 0 in vectors.shape:
        return vectors[:0]
    xp = namespace(vectors)
    require_matrices(
        [(3 * len(vectors), vectors.shape[1])], f"a basis of {len(vectors)} vectors", like=vectors
    )
    _, sigma, rows = xp.linalg.svd(vectors, full_matrices=False)
    return rows[sigma > 1e-10 * sigma.max()]  # what is below is dependent up to rounding


def projection(directions: Array) -> tuple[Projection, int]:
    """The projection v -> v minus its part in the span of the given rows, (n,) -> (n,), and the rank of these rows.

    Parameters
    ----------
    directions : (k, n) array, or sparse tensor
        Rows that need not be orthonormal. Of a sparse tensor only a (k, k) matrix is made dense.
    """
    if 0 in directions.shape:
        return (lambda v: v), 0
    if not getattr(directions, "is_sparse", False):
        rows = orthonormal_rows(directions)
        return (lambda v: v - (rows @ v) @ rows), rows.shape[0]
    import torch

    k = len(directions)
    require_matrices([(4 * k, k)], f"a projection across {k} directions", like=directions)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch calls its own sparse product beta
        gram = torch.sparse.mm(directions, directions.t()).to_dense()
    size = gram.diagonal().sqrt().clamp_min(torch.finfo(gram.dtype).tiny)
    gram, across = gram / size / size[:, None], directions.t().coalesce()
    lower, failed = torch.linalg.cholesky_ex(gram)
    # A small pivot means (nearly) dependent rows. Then eigenvectors of the Gram matrix below 1e-10 are left out.
    if int(failed) or float(lower.diagonal().min()) < 1e-5:
        values, vectors = torch.linalg.eigh(gram)
        kept = values > 1e-10 * values[-1]
        inverse, rank = (vectors[:, kept] / values[kept]) @ vectors[:, kept].T, int(kept.sum())
    else:
        inverse, rank = torch.cholesky_inverse(lower), len(size)

    def project(v: Array) -> Array:
        return v - torch.mv(across, (inverse @ (torch.mv(directions, v) / size)) / size)

    return project, rank


def on_dof(directions: Array, dof: Array) -> Array:
    """Rows, (k, n), set to zero outside a mask of degrees of freedom, (n,); rows may be a sparse tensor."""
    if getattr(directions, "is_sparse", False):
        return (directions.coalesce() * dof.to(directions.dtype)[None].expand(directions.shape)).coalesce()
    return directions * dof


def null_space(matrix: np.ndarray, floor: float = 0.0) -> np.ndarray:
    """An orthonormal basis of the kernel of a dense (m, n) matrix, as columns, (n, n − rank).

    The rank is read off the largest gap in log σ, see `rank_of`; singular values below `floor` are noise.
    """
    m, n = matrix.shape
    require_null_space(m, n, f"the kernel of a dense matrix of shape {(m, n)}")
    if m == 0:
        return np.eye(n)
    _, sigma, rows = scipy.linalg.svd(matrix, full_matrices=True, check_finite=False)
    basis: np.ndarray = rows[rank_of(sigma, (m, n), floor) :].T
    return basis


def require_null_space(m: int, n: int, what: str, instead: str = "") -> None:
    """Raise a `MemoryError` of one sentence where there is no memory for `null_space` of a dense (m, n) matrix.

    It takes the matrix and a copy, both orthogonal bases, and room for Lapack.
    """
    least = min(m, n)
    require_matrices([(2 * m, n), (m, m), (n, n), (4 * least, least)], what, instead)


def rank_of(sigma: np.ndarray, shape: Sequence[int], floor: float = 0.0, cut: float = NULL_CUT) -> int:
    """The rank of an (m, n) matrix from its singular values, by the largest gap in log σ below cut × σ_max.

    If no gap there is a factor of 10 or more, the rank is full.

    Parameters
    ----------
    sigma : (k,) array
        Descending.
    shape : (int, int)
        m and n, which set the rounding error of σ.
    floor : float
        σ below this (or below rounding) is noise, and gaps there do not count.
    cut : float
        Only gaps that end below this fraction of σ_max count.
    """
    if sigma.size == 0 or sigma[0] == 0:
        return 0
    floor = max(floor, np.finfo(float).eps * max(shape) * sigma[0])
    levels = np.log(np.append(np.maximum(sigma, floor), floor))
    drops = levels[:-1] - levels[1:]
    allowed = np.append(sigma[1:], 0.0) < cut * sigma[0]
    drops = np.where(allowed, drops, 0.0)
    best = int(np.argmax(drops))
    return best + 1 if drops[best] > np.log(10.0) else int(sigma.size)

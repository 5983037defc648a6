"""Krylov methods on an `Operator`: linear systems, extreme eigenvalues, Gauss quadratures of its spectrum.

Vectors stay where the operator's are; only scalars leave the device.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from ..support.arrays import Array, is_torch, namespace, signs
from ..support.memory import require_matrices
from .operators import Operator

Projection = Callable[[Array], Array]


def conjugate_gradients(
    operator: Operator, rhs: Array, tolerance: float, max_products: int
) -> tuple[Array, Array | None]:
    """A step p, (n,), that lowers ½ pᵀA p − rhs·p, and a direction of negative curvature, (n,), if one was met.

    If none was met (None), p solves A p = rhs to a residual of tolerance × |rhs|, or is the best found with
    `max_products` products. A direction d with dᵀA d ≤ 0 ends the iteration: A is not positive definite, and along d
    from p the quadratic falls without bound (T. Steihaug, SIAM J. Numer. Anal. 20, 626 (1983), section 2).

    Parameters
    ----------
    operator : Operator
        A, symmetric (n, n).
    rhs : (n,) array
    tolerance : float
        Of the residual, relative to |rhs|.
    max_products : int
        The largest number of products with A.
    """
    p, r, square = 0.0 * rhs, rhs, float(rhs @ rhs)
    d, wanted = rhs, tolerance * tolerance * square
    for _ in range(max_products):
        if square <= wanted:
            break
        product = operator @ d
        curvature = float(d @ product)
        if curvature <= 0:
            return p, d
        length = square / curvature
        p, r = p + length * d, r - length * product
        last, square = square, float(r @ r)
        d = r + (square / last) * d
    return p, None


@dataclass(frozen=True, eq=False)
class Tridiagonal:
    """The result of Lanczos' method: the spectrum of an operator as seen from one start vector.

    Attributes
    ----------
    nodes, weights : (m,) NumPy arrays
        Gauss quadrature of the spectral measure of the normalised start: Ritz values, ascending, and the squares
        of their vectors' first components (of sum 1).
    residuals : (m,) NumPy array
        ‖A y − θ y‖ of each Ritz vector y: an eigenvalue lies within this distance of θ.
    """

    nodes: np.ndarray
    weights: np.ndarray
    residuals: np.ndarray


def lanczos(operator: Operator, start: Array, steps: int, project: Projection | None = None) -> Tridiagonal:
    """Lanczos' method from a start vector, (n,), with at most `steps` products.

    Vectors are orthogonalised in full if they fit into the operator's memory. If not, Ritz values that have converged
    appear again as copies that share their weight; quadratures and extreme values stay right
    (A. Greenbaum, Linear Algebra Appl. 113, 7 (1989)). `project`, (n,) -> (n,), keeps the iteration in a subspace,
    in which the start must lie.
    """
    steps = min(steps, len(start))
    xp = namespace(start)
    keep = operator.memory // (start.dtype.itemsize * len(start)) >= steps
    require_matrices([(steps if keep else 3, len(start))], f"{steps} steps of Lanczos' method", like=start)
    basis = xp.zeros((steps if keep else 0, len(start)), dtype=start.dtype, device=start.device)
    alpha, beta = np.zeros(steps), np.zeros(steps)
    q, before = start / float(start @ start) ** 0.5, 0.0 * start
    for k in range(steps):
        if keep:
            basis[k] = q
        w = operator @ q
        alpha[k] = float(q @ w)
        w = w - alpha[k] * q - (beta[k - 1] * before if k else 0.0)
        # two passes: rounding leaves a part of the basis in w after the first
        for _ in range(2 if keep else 0):
            w = w - (basis[: k + 1] @ w) @ basis[: k + 1]
        w = w if project is None else project(w)
        beta[k] = float(w @ w) ** 0.5
        size = max(abs(alpha[: k + 1]).max(), beta[: k + 1].max())
        # what is left of the new vector is rounding: the Krylov space is exhausted
        if beta[k] <= 10 * float(xp.finfo(start.dtype).eps) * size:
            steps = k + 1
            break
        before, q = q, w / beta[k]
    values, vectors = scipy.linalg.eigh_tridiagonal(alpha[:steps], beta[: steps - 1])
    return Tridiagonal(values, vectors[0] ** 2, beta[steps - 1] * abs(vectors[-1]))


def extreme_modes(
    operator: Operator,
    count: int = 1,
    lowest: bool = True,
    *,
    tolerance: float = 1e-8,
    max_products: int = 1000,
    project: Projection | None = None,
    seed: int = 0,
    enough: float | None = None,
) -> tuple[np.ndarray, Array, np.ndarray]:
    """The lowest (or highest) eigenvalues, (k,), their vectors as rows, (k, n), and their residuals ‖A y − θ y‖, (k,).

    Lanczos' method with full orthogonalisation and thick restarts (K. Wu, H. Simon, SIAM J. Matrix Anal. Appl. 22,
    602 (2000)). The basis fits into half of the operator's memory, but has at least count + 3 vectors.

    Parameters
    ----------
    tolerance : float
        Residuals asked for, in units of the largest |Ritz value|.
    max_products : int
        The largest number of products; the residuals tell how accurate the result is.
    project : function, optional
        The projection, (n,) -> (n,), onto the subspace where modes are sought.
    seed : int
        Of the random start.
    enough : float, optional
        The search ends when one eigenvalue is known to be below (above) this.
    """
    like, sign = operator.like, 1.0 if lowest else -1.0
    n, xp = len(like), namespace(like)
    count = min(count, n)
    fits = operator.memory // (like.dtype.itemsize * n)
    # at most half of the memory, since a restart makes new vectors beside the old ones
    size = min(n, max(count + 3, min(2 * count + 60, int(fits) // 2)))
    project = project or (lambda v: v)
    require_matrices(
        [(2 * size + 1, n)], f"a search for {count} eigenvalues on {n} degrees of freedom", like=like
    )
    basis = xp.zeros((size + 1, n), dtype=like.dtype, device=like.device)
    t = np.zeros((size + 1, size + 1))
    basis[0] = _unit(project(signs(like, seed)))
    held, products = 0, 0
    while True:
        for k in range(held, size):
            w = project(operator @ basis[k])
            products += 1
            along = basis[: k + 1] @ w
            w = w - along @ basis[: k + 1]
            again = basis[: k + 1] @ w
            w = project(w - again @ basis[: k + 1])
            t[k, : k + 1] = t[: k + 1, k] = sign * np.array((along + again).tolist())
            beta, filled = float(w @ w) ** 0.5, k + 1
            # nothing but rounding is left of the new vector; 1e-300 serves an operator that vanishes
            exhausted = beta <= 1e-14 * max(abs(t[: k + 1, : k + 1]).max(), 1e-300)
            if exhausted:
                break
            basis[k + 1] = w / beta
            if products >= max_products and filled >= count:
                break
        values, vectors = np.linalg.eigh(t[:filled, :filled])
        residuals = beta * abs(vectors[-1])
        scale = max(abs(values).max(), 1e-300)  # not zero, if the operator vanishes
        found = min(count, filled)
        done = (residuals[:found] <= tolerance * scale).all() or exhausted or products >= max_products
        if enough is not None:
            done |= values[0] + residuals[0] < sign * enough
        # thick restart: the wanted Ritz vectors and half of the others, so that a restart loses little
        kept = found if done else min(filled - 1, max(found + 1, found + (filled - found) // 2))
        rotation = vectors[:, :kept].T
        if is_torch(like):
            rotation = xp.asarray(rotation, dtype=like.dtype, device=like.device)
        ritz = rotation @ basis[:filled]
        if done:
            order = np.argsort(sign * values[:found])
            return (sign * values[:found])[order], ritz[order.tolist()], residuals[:found][order]
        basis[:kept], basis[kept] = ritz, basis[filled]
        t[:] = 0.0
        t[np.arange(kept), np.arange(kept)] = values[:kept]
        held = kept


def mean_diagonal(operator: Operator, n_probes: int = 4) -> float:
    """An estimate of the mean diagonal entry, from products with vectors of random ±1 (M. F. Hutchinson, 1990)."""
    probes = (signs(operator.like, seed) for seed in range(n_probes))
    return sum(float(v @ (operator @ v)) for v in probes) / (n_probes * len(operator.like))


def _unit(v: Array) -> Array:
    return v / float(v @ v) ** 0.5

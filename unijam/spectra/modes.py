"""Vibrational modes: H u = λ u, ω = √λ, on the degrees of freedom that bear force, symmetries left out.

All modes come from the dense matrix; the lowest modes of a large sparse matrix come by shift and invert.
"""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from ..core.border import require_constraints
from ..core.capabilities import coordinate_lengths
from ..core.derivatives import hessian
from ..core.system import ConstrainedSystem
from ..linalg import factor_sparse, is_operator, orthonormal_rows, refuse_operator
from ..particles.packing import Packing
from ..support.arrays import Array, over_both, to_numpy
from ..support.memory import require_matrices
from ..support.printing import Brief
from ..support.validation import is_whole, require

SMALL = 600  # degrees of freedom up to which the dense matrix is the quicker way to a few modes
LARGEST_DENSE = 12000  # degrees of freedom up to which all modes may be asked for
SHIFT = 1e-7  # of the mean diagonal of H: (H + shift)⁻¹ exists although symmetries are zero modes


@dataclass(frozen=True, eq=False, repr=False)
class VibrationalModes(Brief):
    """Modes in ascending order of λ. Masses are one, and so is a moment of inertia over angle_length².

    Attributes
    ----------
    eigenvalues : (k,) array
        λ, in contact stiffnesses (networks: in units of the loss).
    vectors : (n_dof, k) array
        Orthonormal columns, displacements of x times `system.coordinate_lengths`; zero where no force is borne.
    participation : (k,) array
        (Σ|u_i|²)²/(n Σ|u_i|⁴) over the n particles (in other systems: degrees of freedom) that bear force, between 1/n
        and 1.

    Examples
    --------
    >>> import unijam as uj
    >>> state = uj.minimize(uj.SoftSpheres.random(n=32, packing_fraction=0.9))
    >>> modes = uj.vibrational_modes(state.system, state.x)
    >>> bool(modes.participation.max() <= 1), modes.vectors.shape[0]
    (True, 64)
    """

    eigenvalues: np.ndarray
    vectors: np.ndarray
    participation: np.ndarray

    @property
    def frequencies(self) -> np.ndarray:
        """ω = √λ, (k,), with the sign of λ: an unstable mode has ω < 0."""
        frequencies: np.ndarray = np.sign(self.eigenvalues) * np.sqrt(np.abs(self.eigenvalues))
        return frequencies


def vibrational_modes(system: ConstrainedSystem, x: Array, n_modes: int | None = None) -> VibrationalModes:
    """The modes of H = H0 + Hp at x, all or the lowest few.

    Rattlers and their contacts are left out, and so are the symmetries (translations, the norms of spherical
    weights): modes are orthogonal to them. λ near zero is known to about 1e-15 of the largest eigenvalue.

    Parameters
    ----------
    system : ConstrainedSystem
    x : (n_dof,) array
        A minimum; elsewhere unstable modes come first.
    n_modes : int, optional
        The number of lowest modes; all by default. A few modes of a large sparse H are found by Lanczos' method on its
        inverse.

    Returns
    -------
    VibrationalModes

    Raises
    ------
    ValueError
        Where n_modes is not between 1 and the number of modes, where all modes of more than 12000 degrees of freedom
        are asked for, or where H is known by its products only.

    Examples
    --------
    >>> import unijam as uj
    >>> state = uj.minimize(uj.SoftSpheres.random(n=64, packing_fraction=0.9))
    >>> modes = vibrational_modes(state.system, state.x, n_modes=5)
    >>> modes.vectors.shape, bool(modes.frequencies[0] > 0)
    ((128, 5), True)
    """
    c = require_constraints(system, x)
    x = c.x
    dof, constraints = c.bearing()
    h0, hp = hessian(system, c, c.stressed & constraints)
    if is_operator(h0):
        refuse_operator(
            "vibrational_modes", len(x), "extreme_eigenvalues() or spectrum() of decompose_hessian"
        )
    inside = to_numpy(dof)
    lengths, symmetries = coordinate_lengths(system), system.symmetries(x) * dof
    h = over_both(h0 + hp, lengths)[dof][:, dof]
    symmetries = symmetries if lengths is None else symmetries * lengths
    symmetries = to_numpy(orthonormal_rows(symmetries)[:, dof])
    n, available = len(symmetries.T), len(symmetries.T) - len(symmetries)
    k = available if n_modes is None else n_modes
    if not (n_modes is None and available == 0):
        require(is_whole(k) and 1 <= k <= available, "n_modes", n_modes, f"an integer from 1 to {available}")
    if sp.issparse(h) and n > SMALL and k < n // 5:
        values, vectors = lowest_sparse(h.tocsc(), symmetries, int(k))
    else:
        require(n <= LARGEST_DENSE, "n_modes", n_modes, f"at most {n // 5 - 1} for {n} degrees of freedom")
        values, vectors = lowest_dense(to_numpy(h), symmetries, int(k))
    embedded = np.zeros((len(inside), int(k)))
    embedded[inside] = vectors
    return VibrationalModes(values, embedded, _participation(system, embedded, inside))


def lowest_dense(h: np.ndarray, symmetries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k lowest eigenvalues, (k,), and eigenvectors, (n, k), of a dense H, (n, n), across symmetries.

    The symmetries, (s, n), must be orthonormal; eigenvectors are orthogonal to them.
    """
    if k == 0:
        return np.empty(0), np.empty((len(h), 0))
    n = len(h)
    what = f"{k} of {n} vibrational modes by dense matrices"
    require_matrices([(4 * n, n), (n, k)], what, f"ask for fewer than {n // 5}")
    h = 0.5 * (h + h.T)
    if len(symmetries):
        zh = symmetries @ h
        # Symmetries are moved above every eigenvalue (Gershgorin's bound), so that the k lowest are the others.
        above = 2.0 * max(np.abs(h).sum(axis=0).max(), 1e-300)
        inner = 0.5 * (zh @ symmetries.T + above * np.eye(len(symmetries)))
        outside = symmetries.T @ (inner @ symmetries - zh)
        h = h + outside + outside.T
    everything = k == len(h)
    values, vectors = scipy.linalg.eigh(
        h, subset_by_index=None if everything else [0, k - 1], check_finite=False
    )
    return values, vectors


def lowest_sparse(h: sp.csc_array, symmetries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k lowest eigenvalues, (k,), and eigenvectors, (n, k), of a sparse H with H Z = 0 for symmetries Z, (s, n).

    By Lanczos' method on P (H + shift)⁻¹ P, where P projects across Z and H + shift is positive.
    """
    n = h.shape[0]
    rho = float(np.abs(h.diagonal()).mean())
    shift = SHIFT * rho
    factor = factor_sparse(h, shift)
    while not factor.positive:  # a saddle: raise the shift until its lowest mode is positive too
        shift *= 4.0
        factor = factor_sparse(h, shift)

    def across(v: np.ndarray) -> np.ndarray:
        rest: np.ndarray = v - symmetries.T @ (symmetries @ v)
        return rest

    inverse = spla.LinearOperator(
        (n, n), matvec=lambda v: across(factor.solve(across(v.ravel()))), dtype=float
    )
    start = across(np.random.default_rng(0).standard_normal(n))  # fixed: the same result every time
    vectors = spla.eigsh(inverse, k=k, which="LA", v0=start, ncv=min(n, 2 * k + 20))[1]
    vectors = np.linalg.qr(across(vectors))[0]
    # Rayleigh-Ritz on H itself: more accurate than 1/ν − shift where λ ≪ shift
    values, turn = np.linalg.eigh(vectors.T @ (h @ vectors))
    return values, vectors @ turn


def _participation(system: ConstrainedSystem, vectors: np.ndarray, bearing: np.ndarray) -> np.ndarray:
    weights = vectors**2
    if isinstance(system, Packing):
        n, parts = system.n, (system.dimension, system.orientations)
        whose = np.concatenate([np.repeat(np.arange(n), part) for part in parts])
        bearing = np.isin(np.arange(n), whose[bearing])
        summed = np.zeros((n, weights.shape[1]))
        np.add.at(summed, whose, weights)
        weights = summed
    squares = (weights**2).sum(axis=0)
    ratios: np.ndarray = weights.sum(axis=0) ** 2 / (max(int(bearing.sum()), 1) * squares)
    return ratios

"""The two parts of the Hessian, H = H0 + Hp, on the degrees of freedom that bear force, and Hp on the kernel of H0."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..core.border import require_constraints, require_positions
from ..core.capabilities import coordinate_lengths
from ..core.constraints import Constraints
from ..core.derivatives import hessian, kinks
from ..core.potentials import Held
from ..core.system import ConstrainedSystem
from ..linalg import NULL_MODE, null_space, orthonormal_rows, projection
from ..support.arrays import Array, over, over_both, to_numpy
from ..support.printing import Brief
from ..support.validation import require_finite
from .matrix_free import MatrixFreeHessian

BALANCED = 1e-5  # relative gradient below which forces are taken to balance


@dataclass(frozen=True, eq=False, repr=False)
class HessianDecomposition(Brief):
    """H0 and Hp at a state, from its bearing overlaps; n is the number of bearing degrees of freedom.

    For a potential without finite range, all bearing constraints stand for the overlaps: all bear force.

    Angles count as lengths: derivatives are with respect to x times `system.coordinate_lengths`.

    Where the system is held on kinks, H is a second derivative only on their tangent space, the kernel of all ∇z.
    Eigenvalues and kernels are those on this space, and ∇z joins ∇Δ in states of self stress.

    Attributes
    ----------
    h0, hp : (n, n) scipy csc or dense
        Stiffness Jᵀu''J and prestress Σ u'∇∇Δ on the n bearing degrees of freedom, symmetries included.
    jacobian : (N_Δ, n) dense NumPy array
        ∇Δ of the bearing overlaps.
    force : (N_Δ,) NumPy array
        u' of the bearing overlaps.
    symmetries : (k, n) NumPy array
        Orthonormal directions along which no Δ changes.
    bearing : (n_dof,) mask
        The degrees of freedom that bear force.
    kinks : (K, n) NumPy array
        ∇z of the kinks on which the system is held.

    Examples
    --------
    >>> import unijam as uj
    >>> state = uj.minimize(uj.Ellipses.random(n=24, aspect_ratio=1.4, packing_fraction=1.0))
    >>> hessian = uj.decompose_hessian(state.system, state.x)
    >>> hessian.total.shape == hessian.h0.shape == hessian.hp.shape
    True
    """

    h0: Array
    hp: Array
    jacobian: np.ndarray
    force: np.ndarray
    symmetries: np.ndarray
    bearing: np.ndarray
    kinks: np.ndarray
    _system: ConstrainedSystem
    _x: Array
    _overlaps: np.ndarray

    @property
    def total(self) -> Array:
        """H = H0 + Hp, (n, n), of the type of `h0`."""
        return self.h0 + self.hp

    def eigenvalues(self, which: str = "total", *, symmetries: bool = True) -> np.ndarray:
        """Eigenvalues in ascending order of "h0", "hp" or "total", on the tangent space of the kinks.

        Parameters
        ----------
        which : "h0", "hp" or "total"
        symmetries : bool
            Whether the zero modes of the symmetries are kept (n − K values) or projected out (n − K − k values).

        Raises
        ------
        ValueError
            For another `which`.
        """
        if which not in ("h0", "hp", "total"):
            raise ValueError(f"which = {which!r} is not valid: it must be 'h0', 'hp' or 'total'.")
        matrix = to_numpy(getattr(self, which))
        matrix = _on(matrix, self.kinks if symmetries else np.vstack([self.kinks, self.symmetries]))
        return np.linalg.eigvalsh(matrix) if matrix.size else np.empty(0)

    @cached_property
    def n_negative_hp(self) -> int:
        """N_−, an int: the number of negative modes of Hp across the symmetries, not only on the kinks' tangent space.

        At a minimum N_− ≤ N_Δ + N_kink: each overlap and each kink can hold one of them.
        """
        matrix = _on(to_numpy(self.hp), self.symmetries)
        values = np.linalg.eigvalsh(matrix) if matrix.size else np.empty(0)
        return int((values < -NULL_MODE * np.abs(values).max()).sum()) if values.size else 0

    @cached_property
    def self_stress(self) -> np.ndarray:
        """States of self stress: an orthonormal basis of the kernel of Jᵀ as columns, (N_Δ + K, s).

        The sign of each is such that its sum over the overlaps is not negative. The last K entries belong to the kinks.
        """
        basis = null_space(np.vstack([self.jacobian, self._rows(self.kinks)]).T, self._imbalance)
        return basis * np.where(basis[: self.force.size].sum(axis=0) < 0, -1.0, 1.0)

    @cached_property
    def kernel(self) -> np.ndarray:
        """The kernel of H0 on the tangent space of the kinks, without symmetries: orthonormal columns, (n, k)."""
        rows = np.vstack([self.jacobian, self._rows(self.symmetries), self._rows(self.kinks)])
        return null_space(rows, self._imbalance)

    @cached_property
    def _imbalance(self) -> float:
        """‖Jᵀu'‖/‖u'‖ across the kinks, an upper bound of the smallest singular value of J.

        At an imperfect minimum the forces are a state of self stress up to this. 0 where forces do not balance (to
        1e-5): such a state is no minimum, and has no self stress of this kind.
        """
        size = float(np.linalg.norm(self.force))
        residual = projection(self.kinks)[0](self.force @ self.jacobian)
        found = float(np.linalg.norm(residual)) / size if size else 0.0
        return found if found < BALANCED else 0.0

    def kernel_prestress(self) -> np.ndarray:
        """Eigenvalues of Hp on `kernel`, (k,), ascending; empty where the kernel is.

        Their sign decides. Where they are negative, each kernel mode is unstable, so that a stable state has none
        (isostatic). Where they are positive, Hp holds the kernel, and the state may be hypostatic.
        """
        if not self.kernel.shape[1]:
            return np.empty(0)
        return np.linalg.eigvalsh(
            self.kernel.T @ (self.hp @ self.kernel if self._sparse else to_numpy(self.hp) @ self.kernel)
        )

    def cut(self, fraction: float = 0.05, seed: int = 0) -> "HessianDecomposition":
        """The decomposition without a fraction of the overlaps (at least one), drawn at random; x stays the same.

        A `ValueError` is raised unless 0 < fraction < 1.
        """
        if not 0 < fraction < 1:
            raise ValueError(f"fraction = {fraction!r} is not valid: it must lie between 0 and 1.")
        n = self.force.size
        gone = np.random.default_rng(seed).choice(n, size=max(1, round(fraction * n)), replace=False)
        kept = np.setdiff1d(np.arange(n), gone)
        c, overlaps = self._system.constraints(self._x), self._overlaps[kept]
        h0, hp = _blocks(self._system, c, overlaps, c.bearing()[0])
        rows = self.jacobian[kept]
        return replace(self, h0=h0, hp=hp, jacobian=rows, force=self.force[kept], _overlaps=overlaps)

    @property
    def _sparse(self) -> bool:
        return hasattr(self.hp, "tocsc")

    def _rows(self, directions: np.ndarray) -> np.ndarray:
        """Directions, (k, n), scaled to the root mean square length of the rows of J.

        One gap in the singular values then tells the rank of all rows together.
        """
        size = np.linalg.norm(self.jacobian) / max(np.sqrt(self.jacobian.shape[0]), 1.0)
        return (size if self.jacobian.size else 1.0) * _unit(directions)


def _unit(rows: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1.0)


def _on(matrix: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """A symmetric (n, n) matrix on the orthogonal complement of some directions, (k, n)."""
    if not fixed.shape[0]:
        return matrix
    across = null_space(_unit(fixed))
    inner: np.ndarray = across.T @ matrix @ across
    return inner


def decompose_hessian(system: ConstrainedSystem, x: Array) -> HessianDecomposition:
    """Split the Hessian of U at x into H0 and Hp.

    Only bearing overlaps enter: contacts with rattlers, and overlaps within the rounding error of Δ, are left out.

    Parameters
    ----------
    system : ConstrainedSystem
    x : (n_dof,) array

    Returns
    -------
    HessianDecomposition
        For a matrix-free system a `MatrixFreeHessian` instead, which gives extreme eigenvalues and densities.

    Raises
    ------
    ValueError
        Where x has a wrong shape, or x or a Δ is not finite.

    Examples
    --------
    >>> import unijam as uj
    >>> state = uj.minimize(uj.SoftSpheres.random(n=64, packing_fraction=0.9))
    >>> hessian = uj.decompose_hessian(state.system, state.x)
    >>> bool(hessian.eigenvalues("hp").max() < 1e-12)  # Hp ≤ 0 for spheres
    True
    """
    x = require_positions(system, x)
    if system.matrix_free:
        return MatrixFreeHessian.at(system, x)  # type: ignore[return-value]  # refuses what it cannot have
    c = require_constraints(system, x)
    dof, constraints = c.bearing()
    overlaps = c.stressed & constraints
    inside = to_numpy(dof)
    indices = np.flatnonzero(to_numpy(overlaps))
    h0, hp = _blocks(system, c, indices, dof)
    held, lengths, symmetries = kinks(c), coordinate_lengths(system), system.symmetries(x)
    symmetries = symmetries if lengths is None else symmetries * lengths
    return HessianDecomposition(
        h0=h0,
        hp=hp,
        jacobian=to_numpy(over(c.jacobian(overlaps), lengths))[:, inside],
        force=to_numpy(system.potential.force(c.delta)[overlaps]),
        symmetries=to_numpy(orthonormal_rows(symmetries[:, dof])),
        bearing=inside,
        kinks=to_numpy(over(held.jacobian(held.held), lengths))[:, inside],
        _system=system,
        _x=x,
        _overlaps=indices,
    )


def _blocks(
    system: ConstrainedSystem, c: Constraints, overlaps: np.ndarray, dof: Array
) -> tuple[Array, Array]:
    """H0 and Hp of the constraints of these numbers, (n, n) each, on the degrees of freedom of the mask `dof`."""
    select = c.stressed & False
    select[overlaps] = True
    if isinstance(system.potential, Held):  # constraints held at Δ = 0 bear force too
        select[system.potential.index] = True
    h0, hp = hessian(system, c, select)
    require_finite(h0.diagonal() + hp.diagonal(), f"the diagonal of H of {type(system).__name__}")
    h0, hp = (over_both(h, coordinate_lengths(system)) for h in (h0, hp))
    return h0[dof][:, dof], hp[dof][:, dof]

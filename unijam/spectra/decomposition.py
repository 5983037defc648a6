"""The two parts of the Hessian, H = H0 + Hp, on the degrees of freedom that bear force, and Hp on the kernel of H0."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from ..core.border import require_constraints, require_positions
from ..core.capabilities import coordinate_lengths
from ..core.constraints import Constraints
from ..core.derivatives import hessian, kinks
from ..core.potentials import Held
from ..core.system import ConstrainedSystem
from ..linalg import NULL_MODE, Operator, null_space, orthonormal_rows, projection
from ..linalg.subspaces import require_null_space
from ..support.arrays import Array, column_norms, is_sparse, over, over_both, to_numpy
from ..support.memory import require_matrices
from ..support.printing import Brief
from ..support.validation import is_whole, require, require_finite
from .matrix_free import MatrixFreeHessian
from .quadrature import SpectralQuadrature, spectral_quadrature
from .sparse_form import ZERO, SparseForm

BALANCED = 1e-5  # relative gradient below which forces are taken to balance
# Bearing degrees of freedom of a sparse system up to which counts come from dense matrices, which are as quick there.
SMALL = 1000
# The share of all modes up to which Hp on the kernel is found mode by mode; beyond, dense matrices are quicker.
FEW_MODES = 0.2
# Dense (n, n) matrices held at once for eigenvalues: the matrix and the copy that Lapack overwrites; across some
# directions also their complement and two products.
COPIES, COPIES_ACROSS = 2, 3
MATRICES = ("h0", "hp", "total")
INSTEAD = "ask for kernel_signs(), extreme_eigenvalues() or spectrum()"


@dataclass(frozen=True)
class KernelSigns:
    """The kernel of H0 and the signs of Hp on it. Symmetries are no part of the kernel.

    Attributes
    ----------
    rank : int
        The rank of H0, and of the kinks' ∇z beside it if there are any.
    dimension : int
        The dimension of the kernel of H0, on the tangent space of the kinks.
    n_negative, n_zero, n_positive : int
        Eigenvalues of Hp on the kernel below zero, zero (within 1e-9 of the mean |diagonal entry| of Hp), and above.
    n_self_stress : int
        The number of states of self stress, kinks included.

    Examples
    --------
    >>> import unijam as uj
    >>> state = uj.jam(uj.Ellipses.random(n=32, aspect_ratio=1.4, packing_fraction=0.95)).settled()
    >>> signs = uj.decompose_hessian(state.system, state.x).kernel_signs()
    >>> signs.n_positive == signs.dimension > 0, signs.n_self_stress
    (True, 1)
    """

    rank: int
    dimension: int
    n_negative: int
    n_zero: int
    n_positive: int
    n_self_stress: int


@dataclass(frozen=True, eq=False, repr=False)
class HessianDecomposition(Brief):
    """H0 and Hp at a state, from its bearing overlaps; n is the number of bearing degrees of freedom.

    For a potential without finite range, all bearing constraints stand for the overlaps: all bear force.

    Angles count as lengths: derivatives are with respect to x times `system.coordinate_lengths`.

    Where the system is held on kinks, H is a second derivative only on their tangent space, the kernel of all ∇z.
    Eigenvalues and kernels are those on this space, and ∇z joins ∇Δ in states of self stress.

    Nothing is computed before it is asked for. Of a sparse system of more than 1000 bearing degrees of freedom, counts
    (`kernel_signs`, `n_negative_hp`, `n_self_stress`) come from inertia and `extreme_eigenvalues` from sparse solves.
    What needs a dense matrix beyond the memory there is raises a `MemoryError` of one sentence before it begins.

    Attributes
    ----------
    h0, hp : (n, n) scipy csc or dense
        Stiffness Jᵀu''J and prestress Σ u'∇∇Δ on the n bearing degrees of freedom, symmetries included.
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
    force: np.ndarray
    symmetries: np.ndarray
    bearing: np.ndarray
    kinks: np.ndarray
    _system: ConstrainedSystem
    _x: Array
    _overlaps: np.ndarray
    _jacobian: Array

    @cached_property
    def jacobian(self) -> np.ndarray:
        """∇Δ of the bearing overlaps, a dense NumPy array (N_Δ, n)."""
        require_matrices([self._jacobian.shape], f"the dense J of {self._size}", INSTEAD)
        return to_numpy(self._jacobian)

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
        _require_which(which, MATRICES)
        matrix = self._dense(which, f"eigenvalues of {which}", self.kinks if symmetries else self._fixed)
        return np.linalg.eigvalsh(matrix) if matrix.size else np.empty(0)

    def extreme_eigenvalues(
        self, which: str = "total", count: int = 1, *, lowest: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """The lowest (or highest) eigenvalues, ascending, without symmetries, and their residuals, (count,) each.

        Within the residual of each value there is an eigenvalue. Of a large sparse H they are found by Lanczos' method
        on the inverse of a sparse factor, and inertia counts that none is missed.

        Parameters
        ----------
        which : "h0", "hp", "total" or "kernel"
            "kernel" stands for Hp on the kernel of H0.
        count : int
            At most as many are returned as there are.
        lowest : bool

        Raises
        ------
        ValueError
            For another `which`, a count below one, and where the signs on the kernel cannot be told.
        """
        _require_which(which, (*MATRICES, "kernel"))
        require(is_whole(count) and count >= 1, "count", count, "an integer of at least 1")
        if self.large:
            return self._form(which).extremes(int(count), lowest)[:2]
        values = self.kernel_prestress() if which == "kernel" else self.eigenvalues(which, symmetries=False)
        found = values[:count] if lowest else values[max(len(values) - count, 0) :]
        return found, np.full(len(found), np.finfo(float).eps * np.abs(values).max(initial=0.0))

    def spectrum(
        self, which: str = "total", n_probes: int = 10, steps: int = 100, seed: int = 0
    ) -> SpectralQuadrature:
        """The spectrum, without symmetries, by stochastic Lanczos quadrature: densities, and counts with intervals.

        Parameters
        ----------
        which : "h0", "hp", "total" or "kernel"
            "kernel" stands for Hp on the kernel of H0.
        n_probes, steps, seed : int
            See `spectral_quadrature`.

        Raises
        ------
        ValueError
            For another `which`, and where the signs on the kernel cannot be told.
        """
        _require_which(which, (*MATRICES, "kernel"))
        if self.large:
            form = self._form(which)
            matrix, project, size = form.matrix, form.project, form.dimension
        elif which == "kernel":
            matrix, project = self.kernel.T @ (self.hp @ self.kernel), None
            size = len(matrix)
        else:
            matrix = self._dense(which, f"the spectrum of {which}", self._fixed)
            project, size = None, len(matrix)
        if not size:
            return SpectralQuadrature(0, [])
        operator = Operator(lambda v: matrix @ v, np.zeros(matrix.shape[0]))
        return spectral_quadrature(operator, n_probes, steps, seed, project=project, size=size)

    @property
    def rows(self) -> Array:
        """∇Δ of the bearing overlaps, (N_Δ, n), as the system has them: scipy csr or dense NumPy."""
        return self._jacobian

    def count_below(self, threshold: float) -> int | None:
        """The number of eigenvalues of H below a threshold, an int, on the tangent space of the kinks, by inertia.

        Symmetries are left out. None where H is not large and sparse, or rounding may have changed the number.
        """
        if not self.large:
            return None
        form = self._form("total")
        return form.saddle.count(1.0, -threshold / form.saddle.scale, form.epsilon)

    @cached_property
    def n_negative_hp(self) -> int:
        """N_−, an int: the number of negative modes of Hp across the symmetries, not only on the kinks' tangent space.

        At a minimum N_− ≤ N_Δ + N_kink: each overlap and each kink can hold one of them.
        """
        if self.large:
            none = sp.csr_array((0, self.hp.shape[0]))
            return SparseForm(sp.csc_array(self.hp), none, self.symmetries).n_negative
        matrix = self._dense("hp", "n_negative_hp", self.symmetries)
        values = np.linalg.eigvalsh(matrix) if matrix.size else np.empty(0)
        return int((values < -NULL_MODE * np.abs(values).max()).sum()) if values.size else 0

    @cached_property
    def n_self_stress(self) -> int:
        """The number of states of self stress, those of kinks included."""
        return self.kernel_signs().n_self_stress if self.large else int(self.self_stress.shape[1])

    @cached_property
    def self_stress(self) -> np.ndarray:
        """States of self stress: an orthonormal basis of the kernel of Jᵀ as columns, (N_Δ + K, s).

        The sign of each is such that its sum over the overlaps is not negative. The last K entries belong to the kinks.
        """
        m, n = len(self.force) + len(self.kinks), self.hp.shape[0]
        require_null_space(n, m, f"self_stress of {self._size}", INSTEAD)
        basis = null_space(np.vstack([self.jacobian, self._rows(self.kinks)]).T, self._imbalance)
        return basis * np.where(basis[: self.force.size].sum(axis=0) < 0, -1.0, 1.0)

    @cached_property
    def kernel(self) -> np.ndarray:
        """The kernel of H0 on the tangent space of the kinks, without symmetries: orthonormal columns, (n, k)."""
        m, n = len(self.force) + len(self._fixed), self.hp.shape[0]
        require_null_space(m, n, f"the kernel of {self._size}", INSTEAD)
        rows = np.vstack([self.jacobian, self._rows(self.symmetries), self._rows(self.kinks)])
        return null_space(rows, self._imbalance)

    @cached_property
    def _imbalance(self) -> float:
        """‖Jᵀu'‖/‖u'‖ across the kinks, an upper bound of the smallest singular value of J.

        At an imperfect minimum the forces are a state of self stress up to this. 0 where forces do not balance (to
        1e-5): such a state is no minimum, and has no self stress of this kind.
        """
        size = float(np.linalg.norm(self.force))
        residual = projection(self.kinks)[0](self._jacobian.T @ self.force)
        found = float(np.linalg.norm(residual)) / size if size else 0.0
        return found if found < BALANCED else 0.0

    def kernel_prestress(self) -> np.ndarray:
        """Eigenvalues of Hp on `kernel`, (k,), ascending; empty where the kernel is.

        Their sign decides. Where they are negative, each kernel mode is unstable, so that a stable state has none
        (isostatic). Where they are positive, Hp holds the kernel, and the state may be hypostatic.
        """
        if self.large:
            form = self._form("kernel")
            if form.dimension < FEW_MODES * form.matrix.shape[0]:
                return form.extremes(form.dimension, lowest=True)[0]
        if not self.kernel.shape[1]:
            return np.empty(0)
        return np.linalg.eigvalsh(
            self.kernel.T @ (self.hp @ self.kernel if self._sparse else to_numpy(self.hp) @ self.kernel)
        )

    def kernel_signs(self) -> KernelSigns:
        """The rank and the kernel of H0, and how many eigenvalues of Hp on the kernel are negative, zero and positive.

        Of a large sparse state they are counted by inertia, without a basis of the kernel and without any eigenvalue.

        Raises
        ------
        ValueError
            Where such a state does not tell them: see `SparseForm`.
        """
        if self.large:
            form = self._form("kernel")
            counts = (form.n_negative, form.n_zero, form.n_positive)
        else:
            values = self.kernel_prestress()
            zero = ZERO * float(np.abs(self.hp.diagonal()).mean()) if values.size else 0.0
            below, above = int((values < -zero).sum()), int((values > zero).sum())
            counts = (below, values.size - below - above, above)
        rank = self.hp.shape[0] - len(self.symmetries) - sum(counts)
        n_self_stress = len(self.force) + len(self.kinks) - rank
        return KernelSigns(rank, sum(counts), *counts, n_self_stress)

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
        rows = self._jacobian[kept]
        return replace(self, h0=h0, hp=hp, force=self.force[kept], _overlaps=overlaps, _jacobian=rows)

    @property
    def _sparse(self) -> bool:
        return hasattr(self.hp, "tocsc")

    @property
    def large(self) -> bool:
        """Whether counts come from sparse factors: H is sparse, on more than 1000 degrees of freedom."""
        return self._sparse and self.hp.shape[0] > SMALL

    @property
    def _size(self) -> str:
        return f"{len(self.force)} overlaps on {self.hp.shape[0]} degrees of freedom"

    @property
    def _fixed(self) -> np.ndarray:
        return np.vstack([self.kinks, self.symmetries])

    def _dense(self, which: str, what: str, fixed: np.ndarray) -> np.ndarray:
        """A matrix as a dense one, across some directions, (k, n), once there is memory for its eigenvalues too."""
        n = self.hp.shape[0]
        copies = COPIES + (COPIES_ACROSS if len(fixed) else 0)
        require_matrices([(copies * n, n)], f"{what} on {n} degrees of freedom", INSTEAD)
        return _on(to_numpy(getattr(self, which)), fixed)

    @cached_property
    def _forms(self) -> dict[str, SparseForm]:
        return {}

    def _form(self, which: str) -> SparseForm:
        """The sparse matrix of this name on the tangent space of the kinks ("kernel": Hp on the kernel), kept."""
        if which not in self._forms:
            on_kernel = which == "kernel"
            matrix = sp.csc_array(self.hp if on_kernel else getattr(self, which))
            kinks = sp.csr_array(self._rows(self.kinks))
            rows = sp.csr_array(sp.vstack([self._jacobian, kinks])) if on_kernel else kinks
            imbalance = self._imbalance if on_kernel else 0.0
            self._forms[which] = SparseForm(matrix, rows, self.symmetries, imbalance)
        return self._forms[which]

    def _rows(self, directions: np.ndarray) -> np.ndarray:
        """Directions, (k, n), scaled to the root mean square length of the rows of J.

        One gap in the singular values then tells the rank of all rows together.
        """
        squares = float((column_norms(self._jacobian) ** 2).sum())
        size = (squares / max(self._jacobian.shape[0], 1)) ** 0.5
        return (size if self._jacobian.shape[0] else 1.0) * _unit(directions)


def _require_which(which: str, allowed: tuple[str, ...]) -> None:
    names = [repr(name) for name in allowed]
    require(which in allowed, "which", which, f"{', '.join(names[:-1])} or {names[-1]}")


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
        force=to_numpy(system.potential.force(c.delta)[overlaps]),
        symmetries=to_numpy(orthonormal_rows(symmetries[:, dof])),
        bearing=inside,
        kinks=to_numpy(over(held.jacobian(held.held), lengths))[:, inside],
        _system=system,
        _x=x,
        _overlaps=indices,
        _jacobian=_bearing_columns(over(c.jacobian(overlaps), lengths), inside),
    )


def _bearing_columns(jacobian: Array, inside: np.ndarray) -> Array:
    """The columns of J, (m, n_dof), on a mask of degrees of freedom: csr where J is sparse, else NumPy."""
    if is_sparse(jacobian):
        return sp.csr_array(jacobian.tocsc()[:, np.flatnonzero(inside)])
    return to_numpy(jacobian)[:, inside]


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

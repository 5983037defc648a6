"""Measurements of one state: the count, the spectra of H0, Hp and H, Hp on the kernel of H0, the distances Δ."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..core.border import require_constraints
from ..core.capabilities import HasBucklers, coordinate_lengths
from ..core.system import ConstrainedSystem
from ..spectra import HessianDecomposition, decompose_hessian
from ..statistics import ConstraintCount, Estimate, count_constraints
from ..support.arrays import Array, over, to_numpy
from ..support.printing import Brief

ROUNDING = 1e-13  # in units of the largest |eigenvalue| of H: down to minus this an eigenvalue counts as zero


@dataclass(frozen=True, eq=False, repr=False)
class MeasuredState(Brief):
    """A system at one x. Spectra are computed at first use; see `HessianDecomposition` for their conventions.

    Of a matrix-free system `n_negative_hp` is an `Estimate` with its interval, and what needs all eigenvalues or a
    kernel raises a `ValueError`: `eigenvalues…`, `n_negative`, `n_self_stresses`, `kernel_…`.

    Attributes
    ----------
    system : ConstrainedSystem
    x : (n_dof,) array
        In the gauge of the system (`canonical`).
    count : ConstraintCount
    energy : float
        U.
    relative_gradient : float
        ‖Jᵀu'‖/‖u'‖; 0 where nothing bears force.
    typical_overlap : float
        √(2U/N_Δ) for the harmonic potential, in units of Δ, over the bearing overlaps.
    """

    system: ConstrainedSystem
    x: Array
    count: ConstraintCount
    energy: float
    relative_gradient: float
    typical_overlap: float

    @cached_property
    def hessian(self) -> HessianDecomposition:
        """H0 and Hp on the degrees of freedom that bear force; a `MatrixFreeHessian` for a matrix-free system."""
        return decompose_hessian(self.system, self.x)

    @cached_property
    def eigenvalues_h0(self) -> np.ndarray:
        """Eigenvalues of H0, (n,), ascending, without symmetries, on the tangent space of the kinks."""
        return self.hessian.eigenvalues("h0", symmetries=False)

    @cached_property
    def eigenvalues_hp(self) -> np.ndarray:
        """Eigenvalues of Hp, (n,), as `eigenvalues_h0`."""
        return self.hessian.eigenvalues("hp", symmetries=False)

    @cached_property
    def eigenvalues(self) -> np.ndarray:
        """Eigenvalues of H, (n,), as `eigenvalues_h0`."""
        return self.hessian.eigenvalues("total", symmetries=False)

    @cached_property
    def n_negative(self) -> int:
        """The number of negative eigenvalues of H: below −1e-13 of the largest |eigenvalue|, without symmetries."""
        return int((self.eigenvalues < -ROUNDING * np.abs(self.eigenvalues).max(initial=0.0)).sum())

    @property
    def n_negative_hp(self) -> int | Estimate:
        """N_−, the number of negative modes of Hp: see `HessianDecomposition.n_negative_hp`."""
        return self.hessian.n_negative_hp

    @property
    def n_self_stresses(self) -> int:
        """The number of states of self stress."""
        return self.hessian.n_self_stress

    @cached_property
    def kernel_prestress(self) -> np.ndarray:
        """Eigenvalues of Hp on the kernel of H0, (k,), ascending."""
        return self.hessian.kernel_prestress()

    @cached_property
    def kernel_modes(self) -> np.ndarray:
        """Changes of x along the eigenvectors of Hp on ker H0, as columns (n_dof, k); order of `kernel_prestress`."""
        hessian = self.hessian
        held = hessian.kernel.T @ (hessian.hp @ hessian.kernel)
        modes = np.zeros((len(hessian.bearing), hessian.kernel.shape[1]))
        modes[hessian.bearing] = hessian.kernel @ np.linalg.eigh(held)[1]
        changes: np.ndarray = over(modes.T, coordinate_lengths(self.system)).T
        return changes

    def distances(self, reach: float = 0.0) -> np.ndarray:
        """Δ of the bearing constraints, (m,), with gaps up to `reach`; both in `system.unit`."""
        unit = self.system.unit
        c = self.system.constraints(self.x, reach=reach * unit)
        return to_numpy(c.delta[c.bearing()[1]]) / unit

    def localised(self, reach: float = 0.0) -> np.ndarray | None:
        """Mask of `distances(reach)`, (m,): contacts of bucklers (`uj.localised_contacts`); None but for spheres."""
        if not isinstance(self.system, HasBucklers):
            return None
        mask: np.ndarray = self.system.localised(
            self.system.constraints(self.x, reach=reach * self.system.unit)
        )
        return mask


def measure_state(system: ConstrainedSystem, x: Array) -> MeasuredState:
    """Measure a system at one x.

    Parameters
    ----------
    system : ConstrainedSystem
    x : (n_dof,) array
        In general a minimum. Predictions of theory are for the count at jamming.

    Returns
    -------
    MeasuredState

    Raises
    ------
    ValueError
        Where x has a wrong shape, or x or a Δ is not finite.

    Examples
    --------
    >>> import unijam as uj
    >>> packing = uj.jam(uj.SoftSpheres.random(n=64, radii="uniform", packing_fraction=0.9))
    >>> state = measure_state(packing.system, packing.x)
    >>> state.count.n_overlaps - state.count.n_effective == state.n_self_stresses
    True
    """
    c = require_constraints(system, x)
    x = system.canonical(c.x)
    if x is not c.x:
        c = system.constraints(x)
    count, potential = count_constraints(system, x), system.potential
    force = potential.force(c.delta)
    energy = float(potential.energy(c.delta).sum())
    size, gradient = (float((v @ v) ** 0.5) for v in (force, c.vjp(force)))
    typical = potential.typical_overlap(energy, count.n_overlaps)
    return MeasuredState(system, x, count, energy, gradient / size if size else 0.0, typical)

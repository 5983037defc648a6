"""The Hessian of a system too large for matrices: extreme eigenvalues, densities of states, counts with intervals."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn, Self

import numpy as np

from ..core.derivatives import hessian
from ..core.system import ConstrainedSystem
from ..linalg import NULL_MODE, Operator, Projection, extreme_modes, on_dof, projection, refuse_operator
from ..statistics import Estimate
from ..support.arrays import Array, to_numpy
from ..support.printing import Brief
from .quadrature import SpectralQuadrature, spectral_quadrature


@dataclass(frozen=True, eq=False, repr=False)
class MatrixFreeHessian(Brief):
    """H0 and Hp at a state, from its bearing overlaps, known by their products; all spectra leave out the symmetries.

    The other members of a `HessianDecomposition` need every eigenvalue or a kernel; here they raise a `ValueError`
    that names what to use instead.

    Attributes
    ----------
    h0, hp : Operator
        Stiffness Jᵀu''J and prestress Σ u'∇∇Δ on all degrees of freedom, (n_dof, n_dof).
    force : (N_Δ,) NumPy array
        u' of the bearing overlaps.
    bearing : (n_dof,) mask
    n_effective : int
        Bearing degrees of freedom less the rank of the symmetries on them.
    """

    h0: Operator
    hp: Operator
    force: np.ndarray
    bearing: np.ndarray
    n_effective: int
    _project: Projection

    @classmethod
    def at(cls, system: ConstrainedSystem, x: Array) -> Self:
        """The Hessian of a system at x, (n_dof,)."""
        c = system.constraints(x)
        dof, constraints = c.bearing()
        overlaps = c.stressed & constraints
        h0, hp = hessian(system, c, overlaps)
        across, rank = projection(on_dof(system.symmetries(x), dof))
        force = to_numpy(system.potential.force(c.delta)[overlaps])
        return cls(h0, hp, force, to_numpy(dof), int(dof.sum()) - rank, lambda v: across(v * dof))

    @property
    def total(self) -> Operator:
        """H = H0 + Hp, an `Operator` whose product costs as much as one of H0 or Hp."""
        return self.h0 + self.hp

    def extreme_eigenvalues(
        self,
        which: str = "total",
        count: int = 1,
        *,
        lowest: bool = True,
        tolerance: float = 1e-6,
        max_products: int = 1000,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The lowest (or highest) eigenvalues of "h0", "hp" or "total", ascending, and their residuals, (count,) each.

        Within the residual of each value there is an eigenvalue. Lanczos' method does not see multiplicity: of equal
        eigenvalues it finds one, until rounding brings in others.

        Parameters
        ----------
        which : "h0", "hp" or "total"
        count : int
        lowest : bool
        tolerance : float
            Of the residuals, in units of the largest |eigenvalue| seen.
        max_products : int
            The largest number of products; where it does not suffice, residuals are above the tolerance.
        """
        options: dict[str, Any] = {"tolerance": tolerance, "max_products": max_products}
        found = extreme_modes(self._operator(which), count, lowest, project=self._project, **options)
        return found[0], found[2]

    def spectrum(
        self, which: str = "total", n_probes: int = 10, steps: int = 100, seed: int = 0
    ) -> SpectralQuadrature:
        """The spectrum of "h0", "hp" or "total", by stochastic Lanczos quadrature; see `spectral_quadrature`."""
        operator = self._operator(which)
        return spectral_quadrature(
            operator, n_probes, steps, seed, project=self._project, size=self.n_effective
        )

    @cached_property
    def n_negative_hp(self) -> Estimate:
        """N_−, the number of negative modes of Hp without symmetries, with its 95 % interval."""
        spectrum = self.spectrum("hp")
        return spectrum.below(-NULL_MODE * spectrum.largest)

    def eigenvalues(self, which: str = "total", *, symmetries: bool = True) -> NoReturn:
        """Not available: raises a `ValueError`. Use `extreme_eigenvalues` or `spectrum`."""
        self._refuse("eigenvalues", "extreme_eigenvalues() or spectrum()")

    def kernel_prestress(self) -> NoReturn:
        """Not available: raises a `ValueError`, since it needs the whole kernel of H0."""
        self._refuse("kernel_prestress", "spectrum()")

    def kernel_signs(self) -> NoReturn:
        """Not available: raises a `ValueError`."""
        self._refuse("kernel_signs", "spectrum()")

    def cut(self, fraction: float = 0.05, seed: int = 0) -> NoReturn:
        """Not available: raises a `ValueError`."""
        self._refuse("cut", "spectrum()")

    @property
    def kernel(self) -> NoReturn:
        """Not available: raises a `ValueError`."""
        self._refuse("kernel", "spectrum()")

    @property
    def self_stress(self) -> NoReturn:
        """Not available: raises a `ValueError`."""
        self._refuse("self_stress", "spectrum()")

    @property
    def n_self_stress(self) -> NoReturn:
        """Not available: raises a `ValueError`."""
        self._refuse("n_self_stress", "spectrum()")

    def _refuse(self, name: str, instead: str) -> NoReturn:
        refuse_operator(name, len(self.bearing), instead)

    def _operator(self, which: str) -> Operator:
        if which not in ("h0", "hp", "total"):
            raise ValueError(f"which = {which!r} is not valid: it must be 'h0', 'hp' or 'total'.")
        operator: Operator = getattr(self, which)
        return operator

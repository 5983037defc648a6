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
    """H0 and Hp at a state, from its bearing overlaps, known by their products; all spectra are across the symmetries.

    What a `HessianDecomposition` has beyond this needs every eigenvalue or a kernel, and is not to be had: asked for
    it, this one says so.

    Attributes
    ----------
    h0, hp : Operator
        Stiffness Jᵀu''J and prestress Σ u'∇∇Δ on all degrees of freedom.
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
        """Of a system at x."""
        c = system.constraints(x)
        dof, constraints = c.bearing()
        overlaps = c.stressed & constraints
        h0, hp = hessian(system, c, overlaps)
        across, rank = projection(on_dof(system.symmetries(x), dof))
        force = to_numpy(system.potential.force(c.delta)[overlaps])
        return cls(h0, hp, force, to_numpy(dof), int(dof.sum()) - rank, lambda v: across(v * dof))

    @property
    def total(self) -> Operator:
        """H = H0 + Hp, in one product."""
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
        """The lowest (or highest) eigenvalues of "h0", "hp" or "total", ascending, and their residuals.

        An eigenvalue lies within its residual of each value. Lanczos' method sees no multiplicity: of equal ones it
        finds one, until rounding brings others.

        Parameters
        ----------
        tolerance : float
            Of the residuals, in units of the largest |eigenvalue| seen.
        max_products : int
            Products at most; larger residuals then tell how far they led.
        """
        options: dict[str, Any] = {"tolerance": tolerance, "max_products": max_products}
        found = extreme_modes(self._operator(which), count, lowest, project=self._project, **options)
        return found[0], found[2]

    def spectrum(
        self, which: str = "total", n_probes: int = 10, steps: int = 100, seed: int = 0
    ) -> SpectralQuadrature:
        """The density of eigenvalues of "h0", "hp" or "total", by stochastic Lanczos quadrature."""
        operator = self._operator(which)
        return spectral_quadrature(
            operator, n_probes, steps, seed, project=self._project, size=self.n_effective
        )

    @cached_property
    def n_negative_hp(self) -> Estimate:
        """N_−, the number of negative modes of Hp, symmetries apart, with its interval."""
        spectrum = self.spectrum("hp")
        return spectrum.below(-NULL_MODE * spectrum.largest)

    def eigenvalues(self, which: str = "total", *, symmetries: bool = True) -> NoReturn:
        """Not to be had: ask for `extreme_eigenvalues` or a `spectrum`."""
        self._refuse("eigenvalues", "extreme_eigenvalues() or spectrum()")

    def kernel_prestress(self) -> NoReturn:
        """Not to be had: it needs the whole kernel of H0."""
        self._refuse("kernel_prestress", "spectrum()")

    def cut(self, fraction: float = 0.05, seed: int = 0) -> NoReturn:
        """Not to be had, as `kernel_prestress` is not."""
        self._refuse("cut", "spectrum()")

    @property
    def kernel(self) -> NoReturn:
        """Not to be had."""
        self._refuse("kernel", "spectrum()")

    @property
    def self_stress(self) -> NoReturn:
        """Not to be had."""
        self._refuse("self_stress", "spectrum()")

    def _refuse(self, name: str, instead: str) -> NoReturn:
        refuse_operator(name, len(self.bearing), instead)

    def _operator(self, which: str) -> Operator:
        if which not in ("h0", "hp", "total"):
            raise ValueError(f"which = {which!r} is not valid: it must be 'h0', 'hp' or 'total'.")
        operator: Operator = getattr(self, which)
        return operator

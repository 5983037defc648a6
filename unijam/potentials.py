"""Potentials u(Δ) of finite range: energy u, force u', stiffness u'' of each signed distance Δ (u = 0 for Δ ≤ 0)."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from .arrays import Array
from .validation import require


class Potential(ABC):
    """What one constraint costs: elementwise functions of the signed distances, (m,) -> (m,).

    Attributes
    ----------
    exponent : float
        a of u ∝ Δ^a for small overlaps: U = Δ^a/a defines the typical overlap, a U/τ the distance from jamming.
    """

    exponent: float = 2.0

    @abstractmethod
    def energy(self, delta: Array) -> Array:
        """u(Δ)."""

    @abstractmethod
    def force(self, delta: Array) -> Array:
        """u'(Δ)."""

    @abstractmethod
    def stiffness(self, delta: Array) -> Array:
        """u''(Δ)."""

    def typical_overlap(self, energy: float, n_overlaps: int) -> float:
        """(a U/N_Δ)^(1/a), √(2U/N_Δ) for the harmonic potential, in units of Δ."""
        return (self.exponent * energy / max(n_overlaps, 1)) ** (1 / self.exponent)


@dataclass(frozen=True)
class Harmonic(Potential):
    """u = ½ Δ² for Δ > 0, else 0: the harmonic repulsion of soft spheres, the quadratic hinge of networks."""

    def energy(self, delta: Array) -> Array:
        return 0.5 * self.force(delta) ** 2

    def force(self, delta: Array) -> Array:
        return delta * (delta > 0)

    def stiffness(self, delta: Array) -> Array:
        return (delta > 0) * (0.0 * delta + 1.0)


@dataclass(frozen=True)
class Hertzian(Potential):
    """u = Δ^a / a for Δ > 0, else 0, a ≥ 2: a = 5/2 for elastic spheres in three dimensions (Hertz), 2 is harmonic."""

    exponent: float = 2.5

    def __post_init__(self) -> None:
        a = self.exponent
        require(math.isfinite(a) and a >= 2, "exponent", a, "a finite number of at least 2")

    def energy(self, delta: Array) -> Array:
        return self.force(delta) * delta / self.exponent

    def force(self, delta: Array) -> Array:
        overlap = delta * (delta > 0)
        return overlap ** (self.exponent - 1)

    def stiffness(self, delta: Array) -> Array:
        overlapping = delta > 0
        return (self.exponent - 1) * overlapping * (delta * overlapping) ** (self.exponent - 2)

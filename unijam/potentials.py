"""Potentials u(Δ) of finite range: energy u, force u', stiffness u'' of each signed distance Δ (u = 0 for Δ ≤ 0)."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from .arrays import Array


class Potential(ABC):
    """What one constraint costs: elementwise functions of the signed distances, (m,) -> (m,)."""

    @abstractmethod
    def energy(self, delta: Array) -> Array:
        """u(Δ)."""

    @abstractmethod
    def force(self, delta: Array) -> Array:
        """u'(Δ)."""

    @abstractmethod
    def stiffness(self, delta: Array) -> Array:
        """u''(Δ)."""


@dataclass(frozen=True)
class Harmonic(Potential):
    """u = ½ Δ² for Δ > 0, else 0: the harmonic repulsion of soft spheres, the quadratic hinge of networks."""

    def energy(self, delta: Array) -> Array:
        return 0.5 * self.force(delta) ** 2

    def force(self, delta: Array) -> Array:
        return delta * (delta > 0)

    def stiffness(self, delta: Array) -> Array:
        return (delta > 0) * (0.0 * delta + 1.0)

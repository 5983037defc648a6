"""The objective of a system with kinks: a point is held on some of them, and H is that of their tangent space."""

from typing import Any, Self

from ...core.kinks import HeldKinks, Kinks
from ...core.system import ConstrainedSystem, Constraints, energy, kinks, released
from ...support.arrays import Array, namespace
from ..objective import Objective
from ..point import Point


class KinkedObjective(Objective):
    """E of the system without held kinks; its points may hold some, with slopes that are part of their state."""

    held: HeldKinks | None = None
    holds_kinks = True

    @classmethod
    def of(cls, objective: Objective) -> Self:
        """The objective of the same system, starting from the kinks that it holds."""
        system = objective.system
        kinked = cls(released(system), objective.weight_decay, objective.conjugate, objective.mask)
        kinked.held = system.kinks
        return kinked

    def first(self, x: Array) -> Point:
        return self.holding(self.start(x), self.held)

    def __call__(self, y: Array, memory: Any = None) -> Point:
        return self.holding(y, None)

    def moved(self, point: Point, y: Array) -> Point:
        return self.holding(y, self.constraints_at(point).system.kinks)

    def holding(self, y: Array, held: HeldKinks | None) -> Point:
        """The objective at y with these kinks held: there Δ is smooth, and ∇E that of the slopes."""
        c = self._constraints(y, held)
        force = c.system.potential.force(c.delta)
        conjugate = float(force @ c.loading()) if self.conjugate is not None else 0.0
        point = self.point(
            y, energy(c.system, c), c.vjp(force), float(force @ force), int(c.overlaps.sum()), conjugate
        )
        return point._replace(constraints=c)

    def value(self, y: Array) -> tuple[float, Array, Array]:
        """E, every z and every Δ at y, from a forward pass with no kink held."""
        self.n_evaluations += 1
        c, x = self._constraints(y, None), self.x(y)
        value = energy(c.system, c) + 0.5 * self.weight_decay * float(x @ x)
        if self.conjugate is not None:
            value -= self.conjugate * ((self.scale(y) or 0.0) - self.reference)
        return value, kinks(c).values, c.delta

    def kinks(self, point: Point) -> Kinks:
        """All kinks of U at the point."""
        return kinks(self.constraints_at(point))

    def system_at(self, point: Point) -> ConstrainedSystem:
        return self.constraints_at(point).system

    def fixed_directions(self, point: Point) -> Array:
        """The symmetries and the gradients of the held z: what is left is the kinks' tangent space."""
        found = self.kinks(point)
        rows = found.jacobian(found.held)
        if self.conjugate is None and self.weight_decay:  # breaks rescalings
            return rows
        return namespace(rows).concat([super().fixed_directions(point), rows])

    def _constraints(self, y: Array, held: HeldKinks | None) -> Constraints:
        system = self.system
        if self.conjugate is not None:
            system = system.at(scale=self.scale(y))
        if held is not None and len(held[1]):
            system = system.at(kinks=held)
        return system.constraints(self.x(y))

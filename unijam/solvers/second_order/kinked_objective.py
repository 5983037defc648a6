"""The objective of a system with kinks: a point can be held on some of them, and H is that of their tangent space."""

from typing import Any, Self

from ...core.constraints import Constraints
from ...core.derivatives import energy, kinks
from ...core.kinks import HeldKinks, Kinks
from ...core.system import ConstrainedSystem, released
from ...support.arrays import Array, namespace
from ..objective import Objective
from ..point import Point


class KinkedObjective(Objective):
    """E of the system without held kinks. A point of it may be held on kinks; their slopes are part of its state."""

    held: HeldKinks | None = None
    holds_kinks = True

    @classmethod
    def of(cls, objective: Objective) -> Self:
        """The objective of the same system; its first point is held on the kinks that the system holds."""
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
        """The point at y, held on the given kinks (members and slopes). Δ is smooth there, with ∇E of these slopes."""
        c = self._constraints(y, held)
        force = c.system.potential.force(c.delta)
        conjugate = float(force @ c.loading()) if self.conjugate is not None else 0.0
        point = self.point(
            y, energy(c.system, c), c.vjp(force), float(force @ force), int(c.overlaps.sum()), conjugate
        )
        return point._replace(constraints=c)

    def value(self, y: Array) -> tuple[float, Array, Array]:
        """E, z of every kink, (k,), and Δ, (m,), at y, from a forward pass without held kinks."""
        self.n_evaluations += 1
        c, x = self._constraints(y, None), self.x(y)
        value = energy(c.system, c) + 0.5 * self.weight_decay * float(x @ x)
        if self.conjugate is not None:
            value -= self.conjugate * ((self.scale(y) or 0.0) - self.reference)
        return value, kinks(c).values, c.delta

    def kinks(self, point: Point) -> Kinks:
        """All kinks of U at a point; `held` are those that the point is held on."""
        return kinks(self.constraints_at(point))

    def system_at(self, point: Point) -> ConstrainedSystem:
        return self.constraints_at(point).system

    def fixed_directions(self, point: Point) -> Array:
        """The symmetries and the gradients ∇z of the held kinks, as rows, (k, n_dof).

        The directions that are left are the tangent space of the kinks.
        """
        found = self.kinks(point)
        rows = found.jacobian(found.held)
        if self.conjugate is None and self.weight_decay:  # weight decay breaks the symmetries of rescaling
            return rows
        return namespace(rows).concat([super().fixed_directions(point), rows])

    def _constraints(self, y: Array, held: HeldKinks | None) -> Constraints:
        system = self.system
        if self.conjugate is not None:
            system = system.at(scale=self.scale(y))
        if held is not None and len(held[1]):
            system = system.at(kinks=held)
        return system.constraints(self.x(y))

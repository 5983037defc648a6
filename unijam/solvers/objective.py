"""What solvers minimise: E = U + ½ μ |x|² − τ λ over x, or over (x, λ) where the conjugate force τ is prescribed."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..compiled import COMPILED
from ..core.capabilities import CompiledEvaluator, Rescaled, coordinate_lengths, gauge_directions, n_data
from ..core.system import ConstrainedSystem, Constraints
from ..linalg import Elimination
from ..linalg.vectors import dot
from ..support.arrays import Array, is_torch, namespace, over
from ..support.validation import require, require_finite
from .point import Point


class Objective:
    """E over y: a value, a gradient and a scale for each y; owns an evaluator of the system.

    The quadratic models of E at a point are functions of an objective, in `models`; compiled loops take E from
    `first_order.compiled_objective`.

    Parameters
    ----------
    system : ConstrainedSystem
    weight_decay : float
        μ ≥ 0.
    conjugate : float or None
        τ; where given, the scale moves.
    mask : (n_dof,) array or None
        Degrees of freedom that may move (first-order solvers only).
    evaluate : function or None
        A `scaled_evaluator` of the system, of whatever scale, to go on with.

    Attributes
    ----------
    unit, force_unit : float
        A typical Δ, and u' of an overlap as large: what lengths and forces are compared with.
    """

    holds_kinks = (
        False  # whether a point may be held on kinks, whose gradients are then among the fixed directions
    )

    def __init__(
        self,
        system: ConstrainedSystem,
        weight_decay: float = 0.0,
        conjugate: float | None = None,
        mask: Array | None = None,
        evaluate: Callable[..., Any] | None = None,
    ) -> None:
        self.system, self.weight_decay, self.conjugate, self.mask = system, weight_decay, conjugate, mask
        self.unit = system.unit
        self.force_unit = system.potential.force_unit(self.unit)
        self.n_evaluations = 0
        self.reference = system.scale or 0.0
        self.scale_weight = 1.0
        self.as_it_is = False  # y = x, whatever lengths the system has
        self.lengths: Array | None = None
        self.elimination = Elimination()
        self._sensitivity: float | None = None
        self.far: float | None = (
            None  # typical gradient from which on rounding is looked at, once it was asked for
        )
        self.rounding: float | None = None  # of ‖∇E‖, once it was asked for
        self.opens_below: float | None = (
            None  # typical overlap at which opening the last overlaps is tried next
        )
        self.scaled = conjugate is not None if evaluate is None else True
        self.evaluate: Callable[..., Any] = evaluate or (
            system.scaled_evaluator() if self.scaled else system.evaluator()
        )
        self._known: tuple[Point, Constraints] | None = None  # at the point asked for last

    def on(self, system: ConstrainedSystem) -> "Objective":
        """The same objective of another system."""
        other = Objective(system, self.weight_decay, self.conjugate, self.mask)
        other.as_it_is = self.as_it_is
        return other

    def going_on(self, system: ConstrainedSystem, **changes: Any) -> "Objective":
        """The objective of the same system at another scale, or with another conjugate force or mask.

        Its evaluator goes on with the lists, its factors with the order, of this one.
        """
        made = {"conjugate": self.conjugate, "mask": self.mask} | changes
        other = Objective(system, self.weight_decay, **made, evaluate=self.evaluate if self.scaled else None)
        other.elimination, other.as_it_is = self.elimination, self.as_it_is
        return other

    def start(self, x: Array, c: Constraints | None = None) -> Array:
        """y at x and the system's own scale, in units chosen here; c are the constraints there."""
        plain = self.as_it_is or self.system.matrix_free
        own = self.system.lengths(x) if isinstance(self.system, Rescaled) and not plain else None
        self.lengths = coordinate_lengths(self.system) if plain else own
        if self.conjugate is not None:
            c = c or self.system.constraints(x)
            loading = c.loading()[c.overlaps]
            self.scale_weight = (float((loading * loading).sum()) or 1.0) ** 0.5
        return self.y(x, self.scale_weight * self.reference)

    def y(self, x: Array, last: float | Array) -> Array:
        """y of x and, where the scale moves, of w λ."""
        y = x if self.lengths is None else x * self.lengths
        return y if self.conjugate is None else append(y, last)

    def first(self, x: Array) -> Point:
        """The objective at x and the system's own scale."""
        if self.conjugate is None:
            return self(self.start(x))
        c = self.system.constraints(x)
        self._known = point, _ = self(self.start(x, c)), c
        return point

    def relative_gradient(self, point: Point) -> float:
        """The residual with ∂E/∂x itself, angles taken as lengths."""
        if self.lengths is None or not 0 < point.force < math.inf:
            return point.residual
        gradient = over(point.gradient[: len(self.lengths)] * self.lengths, coordinate_lengths(self.system))
        tension = 0.0 if self.conjugate is None else abs(float(point.gradient[-1])) * self.scale_weight
        return max(math.sqrt(dot(gradient, gradient)) / point.force, tension / (self.conjugate or 1.0))

    def x(self, y: Array) -> Array:
        """The degrees of freedom in y."""
        y = y if self.conjugate is None else y[:-1]
        return y if self.lengths is None else y / self.lengths

    @property
    def moving(self) -> bool:
        """Whether the scale moves."""
        return self.conjugate is not None

    def scale(self, y: Array) -> float | None:
        """The scale at y."""
        return self.system.scale if self.conjugate is None else float(y[-1]) / self.scale_weight

    def system_at(self, point: Point) -> ConstrainedSystem:
        """The system at the point's scale."""
        if self.conjugate is None:
            return self.system
        if self._known is not None and self._known[0] is point:
            return self._known[1].system
        return self.system.at(scale=self.scale(point.y))

    def constraints_at(self, point: Point) -> Constraints:
        """The constraints at the point."""
        if point.constraints is not None:
            return point.constraints
        if self._known is None or self._known[0] is not point:
            self._known = point, self.system_at(point).constraints(self.x(point.y))
        return self._known[1]

    def __call__(self, y: Array, memory: Any = None) -> Point:
        x = self.x(y)
        try:
            found = self.evaluate(x, self.scale(y)) if self.scaled else self.evaluate(x)
        except ValueError:
            if not self.refuses(self.scale(y)):
                raise
            found = math.nan, x * math.nan, math.nan, 0, math.nan
        point = self.point(y, *found)
        return point if memory is None else point._replace(memory=memory)

    def refuses(self, scale: float | None) -> bool:
        """Whether the scale moves and the system cannot have this one: a step there is refused as one to NaN is."""
        if self.moving:
            try:
                self.system.at(scale=scale)
            except ValueError:
                return True
        return False

    def point(
        self,
        y: Array,
        energy: float,
        gradient: Array,
        square: float,
        n_overlaps: int,
        conjugate: float = 0.0,
    ) -> Point:
        """The point at y from U, ∇U, Σ u'², N_Δ and Σ u'c there."""
        self.n_evaluations += 1
        x = self.x(y)
        tension, value = 0.0, energy
        if self.conjugate is not None:
            tension = conjugate - self.conjugate
            value = energy - self.conjugate * ((self.scale(y) or 0.0) - self.reference)
        if self.weight_decay:
            value += 0.5 * self.weight_decay * float(x @ x)
            gradient = gradient + self.weight_decay * x
        if self.mask is not None:
            gradient = gradient * self.mask
        gradient = over(gradient, self.lengths)
        force = math.sqrt(square)
        norm = math.sqrt(dot(gradient, gradient))
        residual = norm / force if force > 0 else math.inf if norm > 0 else 0.0
        if self.conjugate is not None:
            residual = max(residual, abs(tension) / self.conjugate)
            gradient = append(gradient, tension / self.scale_weight)
        if not math.isfinite(value + norm):  # refused by every step
            value = math.inf
        return Point(y, value, energy, gradient, force, n_overlaps, residual)

    def require_numbers(self, point: Point) -> None:
        """Raise a `ValueError` where E or its gradient at a start is NaN or infinite."""
        if math.isfinite(point.value):
            return
        kind = type(self.system).__name__
        require_finite(self.constraints_at(point).delta, f"{kind}.delta(x) at the start")
        require_finite(point.gradient, f"the gradient of {kind} at the start")
        require(False, f"the energy of {kind} at the start", point.energy, "finite")

    def sample(self, part: ConstrainedSystem, y: Array, memory: Any = None) -> Point:
        """E as some of the data make it: their U counts as often as all are more, their forces in square."""
        require(self.conjugate is None, "conjugate", self.conjugate, "None where data are drawn")
        self.n_evaluations += 1
        times = (n_data(self.system) or 0) / (n_data(part) or 1)
        there = self.part(part, times)(y)
        return there._replace(
            value=times * there.value,
            energy=times * there.energy,
            gradient=times * there.gradient,
            force=times**0.5 * there.force,
            residual=times**0.5 * there.residual,
            memory=memory,
        )

    def part(self, system: ConstrainedSystem, times: float) -> "Objective":
        """The same objective of a system with fewer data, by so many times."""
        return Objective(system, self.weight_decay / times, mask=self.mask)

    def along(self, numbers: Any, y: Array) -> Any:
        """Numbers of a point as factors of y."""
        return numbers

    def observe(self, observable: Callable[..., Any], system: ConstrainedSystem, x: Array) -> float:
        """What a function of (system, x) gives."""
        return float(observable(system, x))

    @property
    def in_bursts(self) -> bool:
        """Whether `compiled` serves: the evaluator has a kernel, and nothing is added to E."""
        return COMPILED and isinstance(self.evaluate, CompiledEvaluator) and not self.weight_decay

    def canonical(self, point: Point) -> Point:
        """The point in the system's gauge (the same object where nothing is to be done)."""
        x = self.x(point.y)
        kept = self.system.canonical(x)
        if kept is x:
            return point
        return self.moved(point, self.y(kept, point.y[-1]))

    def moved(self, point: Point, y: Array) -> Point:
        """The objective at y, in the state (all that is not in y) of the point."""
        return self(y)

    def near_rounding(self, point: Point) -> bool:
        """Whether the gradient is so small that rounding may be all of it (cheap: most points are far from that)."""
        if self.far is None:  # as a force: a rounding error of Δ times the stiffness of a typical overlap
            self.far = 1e4 * self.system.resolution(self.x(point.y)) * (self.force_unit / self.unit)
        return point.residual * point.typical_force < self.far

    def tolerance(self, point: Point, gradient_tolerance: float) -> float:
        """The residual asked for, or the one that rounding leaves at least.

        Each Δ is known to the system's resolution r, so the gradient to r ‖u'' J‖ (Frobenius); 3.5 times that
        makes 5 r / √(2U/N_Δ) for contacts, whose |∇Δ| = √2, and more for networks with large gradients.
        """
        if point.residual <= gradient_tolerance or point.force == 0:
            return gradient_tolerance
        x = self.x(point.y)
        if self._sensitivity is None:
            self._sensitivity = self.constraints_at(point).sensitivity(self.lengths)
        self.rounding = 3.5 * self.system.resolution(x) * self._sensitivity
        return max(gradient_tolerance, self.rounding / point.force)

    def fixed_directions(self, point: Point) -> Array:
        """Directions across which curvature is looked at: the symmetries, (k, n_dof)."""
        return gauge_directions(self.system, self.x(point.y))


def append(x: Array, last: float | Array) -> Array:
    """x with one more entry, (n + 1,), where x is."""
    if is_torch(x):
        xp = namespace(x)
        return xp.concat([x, xp.asarray(last, dtype=x.dtype, device=x.device).reshape(1)])
    longer = np.empty(len(x) + 1)
    longer[:-1], longer[-1] = x, last
    return longer

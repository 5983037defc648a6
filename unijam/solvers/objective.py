"""The objective of solvers: E = U + ½ μ |x|² − τ λ over x, or over (x, λ) if the conjugate force τ is prescribed."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..compiled import COMPILED
from ..core.capabilities import CompiledEvaluator, Rescaled, coordinate_lengths, gauge_directions, n_data
from ..core.constraints import Constraints
from ..core.system import ConstrainedSystem
from ..linalg import Elimination
from ..linalg.vectors import dot
from ..support.arrays import Array, is_torch, namespace, over
from ..support.validation import require, require_finite
from .point import Point


class Objective:
    """E as a function of y: x in units of the system's lengths and, if the scale λ moves, w λ as the last entry.

    Calling it, `objective(y)`, evaluates E and its gradient and returns a `Point`. It owns an evaluator of the system.
    Quadratic models of E are functions of an objective, in `models`; compiled loops evaluate E by
    `first_order.compiled_objective`.

    Parameters
    ----------
    system : ConstrainedSystem
    weight_decay : float
        μ ≥ 0.
    conjugate : float or None
        τ. If given, the scale moves.
    mask : (n_dof,) array or None
        The degrees of freedom that may move; None: all (first-order solvers only).
    evaluate : function or None
        A `scaled_evaluator` of the same system, at any scale, to use instead of a new evaluator.

    Attributes
    ----------
    unit, force_unit : float
        A typical Δ, and the force u' of an overlap of that size. Thresholds for lengths and forces are multiples of
        them (docs/decisions/073).
    scale_weight : float
        w: y ends in w λ if the scale moves. √Σc² over the overlaps makes λ about as stiff as one more degree of
        freedom (docs/decisions/003).
    n_evaluations : int
        The number of evaluations so far.
    """

    # whether a point can be held on kinks; the gradients of these are then among the fixed directions
    holds_kinks = False

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
        self.as_it_is = False  # whether y = x, although the system has lengths
        self.lengths: Array | None = None
        self.elimination = Elimination()  # of contacts
        self.foreseen = Elimination()  # of contacts and near gaps
        self._sensitivity: float | None = None
        # ‖∇E‖/√N_Δ below which `tolerance` computes the rounding error; None: not needed yet
        self.far: float | None = None
        self.rounding: float | None = None  # the rounding error of ‖∇E‖; None: not needed yet
        self.opens_below: float | None = None  # typical overlap below which `verdict.opened` tries again
        self.scaled = conjugate is not None if evaluate is None else True
        self.evaluate: Callable[..., Any] = evaluate or (
            system.scaled_evaluator() if self.scaled else system.evaluator()
        )
        self._known: tuple[Point, Constraints] | None = None  # the last point whose constraints were needed

    def on(self, system: ConstrainedSystem) -> "Objective":
        """An objective of another system with the same weight decay, conjugate force and mask."""
        other = Objective(system, self.weight_decay, self.conjugate, self.mask)
        other.as_it_is = self.as_it_is
        return other

    def going_on(self, system: ConstrainedSystem, **changes: Any) -> "Objective":
        """An objective of the same system at another scale, or with another conjugate force or mask (`changes`).

        It uses the neighbour list and the order of elimination of this one, so that they need not be made again.
        """
        made = {"conjugate": self.conjugate, "mask": self.mask} | changes
        other = Objective(system, self.weight_decay, **made, evaluate=self.evaluate if self.scaled else None)
        other.elimination, other.foreseen = self.elimination, self.foreseen
        other.as_it_is = self.as_it_is
        return other

    def start(self, x: Array, c: Constraints | None = None) -> Array:
        """Choose the units of y (`lengths`, `scale_weight`) at x, (n_dof,), and return y of x and the system's scale.

        c are the constraints at x, if they are known already.
        """
        plain = self.as_it_is or self.system.matrix_free
        own = self.system.lengths(x) if isinstance(self.system, Rescaled) and not plain else None
        self.lengths = coordinate_lengths(self.system) if plain else own
        if self.conjugate is not None:
            c = c or self.system.constraints(x)
            loading = c.loading()[c.overlaps]
            self.scale_weight = (float((loading * loading).sum()) or 1.0) ** 0.5
        return self.y(x, self.scale_weight * self.reference)

    def y(self, x: Array, last: float | Array) -> Array:
        """y of x, (n_dof,); if the scale moves, with `last` = w λ as one more entry."""
        y = x if self.lengths is None else x * self.lengths
        return y if self.conjugate is None else append(y, last)

    def first(self, x: Array) -> Point:
        """The point at x, (n_dof,), and the system's own scale; it also chooses the units of y."""
        if self.conjugate is None:
            return self(self.start(x))
        c = self.system.constraints(x)
        self._known = point, _ = self(self.start(x, c)), c
        return point

    def relative_gradient(self, point: Point) -> float:
        """‖∂E/∂x‖/‖u'‖ of a point, not in the units of y: angles count as lengths.

        If the scale moves it is at least |τ − Σu'c|/τ.
        """
        if self.lengths is None or not 0 < point.force < math.inf:
            return point.residual
        gradient = over(point.gradient[: len(self.lengths)] * self.lengths, coordinate_lengths(self.system))
        tension = 0.0 if self.conjugate is None else abs(float(point.gradient[-1])) * self.scale_weight
        return max(math.sqrt(dot(gradient, gradient)) / point.force, tension / (self.conjugate or 1.0))

    def x(self, y: Array) -> Array:
        """x, (n_dof,), of y."""
        y = y if self.conjugate is None else y[:-1]
        return y if self.lengths is None else y / self.lengths

    @property
    def moving(self) -> bool:
        """Whether the scale moves, because the conjugate force is prescribed."""
        return self.conjugate is not None

    def scale(self, y: Array) -> float | None:
        """The scale λ at y; None if the system has none."""
        return self.system.scale if self.conjugate is None else float(y[-1]) / self.scale_weight

    def system_at(self, point: Point) -> ConstrainedSystem:
        """The system at the scale of a point."""
        if self.conjugate is None:
            return self.system
        if self._known is not None and self._known[0] is point:
            return self._known[1].system
        return self.system.at(scale=self.scale(point.y))

    def constraints_at(self, point: Point) -> Constraints:
        """The constraints at a point; those of the last point asked for are kept."""
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
        """Whether the scale moves and the system does not allow this value.

        E is then NaN there, so that solvers refuse a step to it.
        """
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
        """The point at y from U, ∇U, (n_dof,), Σ u'², N_Δ and, if the scale moves, Σ u'c."""
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
        if not math.isfinite(value + norm):  # every method refuses a step to an infinite E
            value = math.inf
        return Point(y, value, energy, gradient, force, n_overlaps, residual)

    def require_numbers(self, point: Point) -> None:
        """Raise a `ValueError` if E or its gradient at a start is NaN or infinite."""
        if math.isfinite(point.value):
            return
        kind = type(self.system).__name__
        require_finite(self.constraints_at(point).delta, f"{kind}.delta(x) at the start")
        require_finite(point.gradient, f"the gradient of {kind} at the start")
        require(False, f"the energy of {kind} at the start", point.energy, "finite")

    def sample(self, part: ConstrainedSystem, y: Array, memory: Any = None) -> Point:
        """An estimate of E at y from a system with only some of the data.

        U of these data and its gradient are multiplied by P over their number, and so is Σ u'².
        """
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
        """The objective of a system with `times` fewer data, whose weight decay is `times` smaller."""
        return Objective(system, self.weight_decay / times, mask=self.mask)

    def along(self, numbers: Any, y: Array) -> Any:
        """Numbers that belong to a point in a form that multiplies y: with replicas, (k, 1)."""
        return numbers

    def observe(self, observable: Callable[..., Any], system: ConstrainedSystem, x: Array) -> float:
        """The value of an observable, a function of (system, x), as a float."""
        return float(observable(system, x))

    @property
    def in_bursts(self) -> bool:
        """Whether compiled loops can evaluate E: the evaluator is compiled, and there is no weight decay."""
        return COMPILED and isinstance(self.evaluate, CompiledEvaluator) and not self.weight_decay

    def canonical(self, point: Point) -> Point:
        """The point in the system's gauge; the same object if it is in this gauge already."""
        x = self.x(point.y)
        kept = self.system.canonical(x)
        if kept is x:
            return point
        return self.moved(point, self.y(kept, point.y[-1]))

    def moved(self, point: Point, y: Array) -> Point:
        """The point at y with the other state of `point`: in a subclass, the kinks that it is held on."""
        return self(y)

    def near_rounding(self, point: Point) -> bool:
        """Whether the gradient of a point may be nothing but rounding error, so that `tolerance` is worth computing.

        It is a cheap test, which most points fail.
        """
        # 10⁴ times the force that a rounding error of Δ makes: a rounding error times the stiffness of an overlap of
        # one unit
        if self.far is None:
            self.far = 1e4 * self.system.resolution(self.x(point.y)) * (self.force_unit / self.unit)
        return point.residual * point.typical_force < self.far

    def tolerance(self, point: Point, gradient_tolerance: float) -> float:
        """The residual to ask for at a point: the given one, or the smallest that rounding allows if that is larger.

        Each Δ is known to the system's resolution r, so the gradient is known to r ‖u'' J‖ (Frobenius norm). 3.5 times
        that, over ‖u'‖, is 5 r / √(2U/N_Δ) for contacts, whose |∇Δ| is √2, and larger for networks with large
        gradients (docs/decisions/010).
        """
        if point.residual <= gradient_tolerance or point.force == 0:
            return gradient_tolerance
        x = self.x(point.y)
        if self._sensitivity is None:
            self._sensitivity = self.constraints_at(point).sensitivity(self.lengths)
        self.rounding = 3.5 * self.system.resolution(x) * self._sensitivity
        return max(gradient_tolerance, self.rounding / point.force)

    def fixed_directions(self, point: Point) -> Array:
        """Directions that curvature leaves out at a point, as rows, (k, n_dof): the symmetries."""
        return gauge_directions(self.system, self.x(point.y))


def append(x: Array, last: float | Array) -> Array:
    """x, (n,), with one more entry, (n + 1,), in the array library and on the device of x."""
    if is_torch(x):
        xp = namespace(x)
        return xp.concat([x, xp.asarray(last, dtype=x.dtype, device=x.device).reshape(1)])
    longer = np.empty(len(x) + 1)
    longer[:-1], longer[-1] = x, last
    return longer

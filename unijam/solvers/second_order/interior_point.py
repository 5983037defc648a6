"""An interior-point method: Newton's method that foresees which contacts close and which open."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from ...core.capabilities import step_unit
from ...core.constraints import Constraints
from ...linalg import QuadraticModel, across_symmetries
from ...support.arrays import Array, over, over_both
from ...support.validation import require
from ..loop import Solver
from ..objective import Objective, append
from ..point import Point
from .trust_region_newton import TrustRegionNewton

# The first μ, in squares of a typical overlap, and the last one. Below it overlap and slack of no constraint can be
# mixed up: the smallest overlaps and gaps of 10⁵ particles are some 1e-3 of the typical ones.
FIRST, LAST = 0.09, 1e-8
# The first shift where H is not positive definite, in units of a typical force over a unit of length, the factor by
# which it grows until H is, and the factor by which the next step begins with less (docs/decisions/093).
SHIFT, FACTOR = 0.1, 4.0
INSIDE = 0.99  # of the way to the nearest border that a step may go
# The method gives up after so many steps in a row that went less than this part of the way, and where after so many
# steps μ, in squares of a typical overlap, has not fallen to the last number: contacts rearrange then.
SHORT, PATIENCE = 0.02, 6
PROBE, FALLEN = 20, 0.25


@dataclass(frozen=True)
class InteriorPoint(Solver):
    """Newton steps in which each constraint has an overlap s > 0 and a slack w = s − Δ > 0, with s w = μ → 0.

    A Newton step of U knows the contacts of its start only, so that near jamming, where contacts open and close within
    a step, it is short. Here a gap pushes too, a little, before it closes: as in a gas of hard spheres, whose mean
    force at a gap is proportional to 1/gap. As μ falls to zero, what is left are the overlaps of a minimum of U. The
    number of steps hardly depends on the number of contacts that change, nor on the number of particles.

    It is made for states near jamming. Where packings rearrange, descent is faster (docs/decisions/093).

    Attributes
    ----------
    reach : float
        Gaps up to this width are foreseen, in units of the system's `unit`.
    longest : float
        The largest change of a degree of freedom in one step, in units of `reach`.

    Notes
    -----
    Source: S. Mehrotra, SIAM J. Optim. 2, 575 (1992): a step first aims at μ = 0; how far it gets sets μ.

    Examples
    --------
    >>> import unijam as uj
    >>> state = uj.jam(uj.SoftSpheres.random(n=64), pressure=1e-5).settled()
    >>> uj.minimize(state.system.at(scale=0.999999 * state.system.scale), state.x, uj.InteriorPoint()).status
    'converged'
    """

    max_steps: int = 60
    reach: float = 0.01
    longest: float = 1.0
    sees_curvature: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.reach > 0, "reach", self.reach, "positive")
        require(self.longest > 0, "longest", self.longest, "positive")

    def prepared(self, objective: Objective) -> Objective:
        objective = super().prepared(objective)
        system = objective.system
        wanted = f"TrustRegionNewton, say, for {type(system).__name__}: it needs overlaps, and a sparse J"
        require(system.sparse and bool(system.potential.finite_range), "solver", "InteriorPoint", wanted)
        return objective

    def iterate(self, objective: Objective, point: Point) -> Iterator[Point]:
        reach, longest = self.reach * objective.unit, self.longest * self.reach * step_unit(objective.system)
        c = _near(objective, point, reach)
        overlaps = c.delta[c.delta > 0]
        if not len(overlaps):
            return
        s, w = _central(c.delta, FIRST * float((overlaps**2).mean()))
        shift, short, n_steps = 0.0, 0, 0
        while short < PATIENCE:
            step = _Step(objective, point, c, s, w, shift)
            if step.factor is None:
                return
            # Mehrotra's rule: how far a step to μ = 0 can go says how small μ can be at the end of this step, and
            # how large the product of the changes of s and w will be.
            aim = step.towards(0.0)
            free = step.fraction(aim, 1.0, longest)
            share = max(1.0 - free, 0.01 if free == 1.0 else 0.1) ** 2
            mu = max(share * float((s * w).mean()), 0.5 * LAST * float((s * s).mean()))
            change = step.towards(mu - free * aim.s * aim.w)
            t = step.fraction(change, INSIDE, longest)
            reached = objective(point.y + t * change.y)
            if not np.isfinite(reached.value):  # the system refuses this scale
                return
            yield reached
            near = _near(objective, reached, reach)
            (s, w), c = _carried(c.members, s + t * change.s, w + t * change.w, near, mu), near
            point, short = reached, short + 1 if t < SHORT else 0
            enough = step.shift == shift  # at once, so less may be enough too
            shift = step.shift / (FACTOR if enough else 1.0) if step.shift >= step.least else 0.0
            typical = float((s * s).mean()) ** 0.5
            # A rattler in a wide cage may be far off; what counts is what is missing of overlaps.
            missing = np.abs((c.delta - s + w) * s / (s + w)).max()
            product, n_steps = float((s * w).mean()) / typical**2, n_steps + 1
            if product <= LAST and missing <= 1e-6 * typical:
                break
            if n_steps == PROBE and product > FALLEN:
                return
        else:
            return
        # what slacks still hold back, Newton steps of U alone put right: contacts are known now
        yield from TrustRegionNewton(self.gradient_tolerance, patience=2).iterate(objective, point)


class _Change(NamedTuple):
    """The change of y, of the overlaps s and of the slacks w, all (m,), in one step."""

    y: Array
    s: Array
    w: Array


class _Step:
    """The linear equations of one step: forces balance, and s w = μ for each constraint.

    Attributes
    ----------
    factor : Factor or None
        Of H with the stiffness u'' s/(s + w) of each constraint, shifted until it is positive definite; None if no
        shift is large enough.
    shift, least : float
        The shift, and the smallest one that is tried besides zero.
    """

    def __init__(
        self, objective: Objective, point: Point, c: Constraints, s: Array, w: Array, shift: float
    ) -> None:
        self.objective, self.point, self.c, self.s, self.w = objective, point, c, s, w
        potential = c.system.potential
        self.force, self.stiffness = potential.force(s), potential.stiffness(s)
        self.loading = c.loading() / objective.scale_weight if objective.moving else None
        model = self._model()
        self.least, self.shift, self.factor = SHIFT * self._prestress(), shift, None
        while self.shift < 1e6 * model.rho:
            factor = model.factor(self.shift or model.floor)
            if factor.positive:
                self.factor = factor
                return
            self.shift = max(FACTOR * self.shift, self.least)

    def _prestress(self) -> float:
        """A typical force over a unit of length: the size of the eigenvalues of Hp."""
        return float((self.force**2).sum() / self.force.sum()) / self.objective.unit

    def _model(self) -> QuadraticModel:
        objective, c, lengths = self.objective, self.c, self.objective.lengths
        stiffness = self.stiffness * self.s / (self.s + self.w)
        h, directions = (
            over_both(c.hessian(stiffness, self.force), lengths),
            objective.fixed_directions(self.point),
        )
        if lengths is not None:
            directions = directions * lengths
        touched = h.diagonal() > 0  # a gap holds a rattler too
        h, rho = across_symmetries(h, lambda: touched, directions)
        if self.loading is None:
            return QuadraticModel(h, None, 0.0, rho, objective.foreseen)
        border = stiffness * self.loading
        column = over(c.vjp(border), lengths)
        return QuadraticModel(h, column, float(border @ self.loading), rho, objective.foreseen)

    def towards(self, product: float | Array) -> _Change:
        """The Newton step to the point at which s w is a given product, a number or (m,)."""
        c, s, w, objective = self.c, self.s, self.w, self.objective
        assert self.factor is not None
        missing = c.delta - s + w
        own = (product - s * w + s * missing) / (s + w)  # the change of s at fixed Δ
        force = self.force + self.stiffness * own
        gradient = over(c.vjp(force), objective.lengths)
        if self.loading is None:
            y = -self.factor.solve(gradient)
            closing = c.jvp(over(y, objective.lengths))
        else:
            tension = float(self.loading @ force) - (objective.conjugate or 0.0) / objective.scale_weight
            y = -self.factor.solve(append(gradient, tension))
            closing = c.jvp(over(y[:-1], objective.lengths)) + self.loading * y[-1]
        change = own + s / (s + w) * closing
        return _Change(y, change, change - closing - missing)

    def fraction(self, change: _Change, inside: float, longest: float) -> float:
        """The part of a step, at most 1, that keeps s and w positive and no coordinate moves farther than `longest`."""
        steepest = max(float((-change.s / self.s).max()), float((-change.w / self.w).max()))
        farthest = float(np.abs(change.y[: len(self.c.x)]).max())
        return min(1.0, inside / max(steepest, 1e-300), longest / max(farthest, 1e-300))


def _near(objective: Objective, point: Point, reach: float) -> Constraints:
    """The constraints at a point, with gaps up to `reach`."""
    return objective.system_at(point).constraints(objective.x(point.y), reach)


def _central(delta: Array, mu: float) -> tuple[Array, Array]:
    """s and w with s − w = Δ and s w = μ."""
    root = np.sqrt(delta**2 + 4 * mu)
    larger = 0.5 * (np.abs(delta) + root)
    return np.where(delta > 0, larger, mu / larger), np.where(delta > 0, mu / larger, larger)


def _carried(members: Array, s: Array, w: Array, near: Constraints, mu: float) -> tuple[Array, Array]:
    """s and w of the constraints at the next point: of a constraint that was not near before, those of its Δ and μ."""
    fresh = _central(near.delta, mu)
    if members.shape == near.members.shape and bool((members == near.members).all()):
        return s, w
    most = max(int(members.max(initial=0)), int(near.members.max(initial=0))) + 1
    old, new = _numbers(members, most), _numbers(near.members, most)
    order = np.argsort(old)
    place = order[np.minimum(np.searchsorted(old, new, sorter=order), len(old) - 1)]
    known = old[place] == new
    return np.where(known, s[place], fresh[0]), np.where(known, w[place], fresh[1])


def _numbers(members: Array, most: int) -> Array:
    """A number for each constraint, (m,), from its members, (m, k), and from how many before it have the same."""
    number = np.zeros(len(members), np.int64)
    for column in members.T:
        number = number * (most + 1) + column + 1
    order = np.argsort(number, kind="stable")
    first = np.ones(len(order), bool)
    first[1:] = number[order][1:] != number[order][:-1]
    begin = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
    repeat = np.empty(len(order), np.int64)
    repeat[order] = np.arange(len(order)) - begin
    return number * (int(repeat.max(initial=0)) + 1) + repeat

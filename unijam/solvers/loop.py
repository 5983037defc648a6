"""The loop that every solver shares: records, stopping tests, progress, interrupts."""

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from ..core.system import ConstrainedSystem
from ..support.arrays import Array
from ..support.interrupts import deferred, is_interrupt, pressed
from ..support.printing import Brief
from ..support.progress import Progress
from ..support.validation import require, require_options
from .history import Log, Record, Watch
from .kink_probe import KINK, Progressing
from .objective import Objective
from .point import Point
from .verdict import is_fitted, opened, why

RESOLVED = 100.0  # rounding errors of Δ that a typical overlap is at least
GAIN_STEPS = 5  # over which E must gain, where that is asked


@dataclass(frozen=True, eq=False, repr=False)
class MinimizeResult(Brief):
    """What a solver reached.

    Attributes
    ----------
    system : ConstrainedSystem
        The system of which `x` is a minimum (its scale, where that moved).
    x : (n_dof,) array
        In the system's gauge.
    energy, relative_gradient : float
        U and ‖Jᵀu'‖/‖u'‖.
    n_overlaps : int
    status : str
        What ended the run: "satisfied" (N_Δ = 0, no Δ above 15 resolutions), "converged" (stationary, and no direction
        of negative curvature was found), "saddle", "stalled", "step-limit", "stopped" (early, by a `Watch`),
        "interrupted" (unfinished when Ctrl-C came).
    n_steps, n_evaluations, seconds
        What it took.
    history : tuple of Record
        Logarithmically spaced.
    memory : object
        What the method carried from step to step (the moments of Adam, with the point in its own gauge), if any:
        `minimize` goes on from a result as if it had not been stopped.
    solver : str
        The class of the solver that `minimize` ran, "" of results that come from elsewhere.
    interrupted : bool
        Whether Ctrl-C was pressed during the run, also where it came too late to change the result: a loop ends here.
    certified : bool
        Whether a "converged" state is a minimum by the inertia of H, from a factor: of methods that see curvature, on
        systems whose H is a matrix. Else at most 20 products with H looked for negative curvature (`certify` computes
        what is missing). Of a system with kinks H is that of the smooth piece in which x lies, or of the kinks held.
    reason : str
        One sentence where the status is neither "converged" nor "satisfied".

    Examples
    --------
    >>> import unijam as uj
    >>> result = uj.minimize(uj.SoftSpheres.random(n=32, packing_fraction=1.0))
    >>> result.status, result.energy > 0, result.x.shape
    ('converged', True, (64,))
    """

    system: ConstrainedSystem
    x: Array
    energy: float
    relative_gradient: float
    n_overlaps: int
    status: str
    n_steps: int
    n_evaluations: int
    seconds: float
    history: tuple[Record, ...]
    memory: Any = None
    solver: str = ""
    interrupted: bool = False
    certified: bool = False
    reason: str = ""

    @property
    def typical_overlap(self) -> float:
        """√(2U/N_Δ) (for other exponents (aU/N_Δ)^(1/a)), in units of Δ."""
        return self.system.potential.typical_overlap(self.energy, self.n_overlaps)

    @property
    def resolved(self) -> bool:
        """Whether the typical overlap is more than 100 rounding errors of Δ: below, contacts are lost one by one."""
        return self.typical_overlap > RESOLVED * self.system.resolution(self.x)

    @property
    def jammed(self) -> bool:
        """Whether overlaps are those of jamming: typically `jamming_overlap`, or as small as can be resolved."""
        return self.typical_overlap <= self.system.jamming_overlap * self.system.unit or not self.resolved

    @property
    def fitted(self) -> bool:
        """Whether U = 0 to rounding: no overlap, U/N_Δ < 1e-20 unit², or a minimum with the overlaps of jamming."""
        small = is_fitted(self.system, self.energy, self.n_overlaps)
        return small or (self.status == "converged" and self.jammed)


def joined(results: list[MinimizeResult]) -> MinimizeResult:
    """The last result, with the steps, seconds and history of all."""
    history, steps, seconds = [], 0, 0.0
    for r in results:
        history += [replace(h, step=h.step + steps, seconds=h.seconds + seconds) for h in r.history]
        steps, seconds = steps + r.n_steps, seconds + r.seconds
    evaluations = sum(r.n_evaluations for r in results)
    return replace(
        results[-1], n_steps=steps, seconds=seconds, n_evaluations=evaluations, history=tuple(history)
    )


@dataclass(frozen=True)
class Solver(ABC):
    """A minimiser: a small frozen object that holds its options and its method, nothing else.

    Attributes
    ----------
    gradient_tolerance : float
        The relative gradient at which a point is converged (or 5 × resolution / typical overlap, if larger).
    max_steps : int
        Points visited at most.
    force_tolerance : float or None
        Where given, a point is converged instead when no component of ∂E/∂x is larger (in the units of U over those of
        x).
    least_gain : float
        The fraction of E that five steps must gain, else the run ends as stalled; 0: no such test.
    """

    gradient_tolerance: float = 1e-10
    max_steps: int = 100_000
    force_tolerance: float | None = None
    least_gain: float = 0.0
    sees_curvature: ClassVar[bool] = False
    leaves_kinks: ClassVar[bool] = False  # whether a run that a kink holds up is given up

    def __post_init__(self) -> None:
        require_options(self)
        require(
            0 < self.gradient_tolerance < 1, "gradient_tolerance", self.gradient_tolerance, "between 0 and 1"
        )
        positive = self.force_tolerance is None or self.force_tolerance > 0
        require(positive, "force_tolerance", self.force_tolerance, "positive, or None")
        require(self.max_steps >= 1, "max_steps", self.max_steps, "at least 1")
        require(0 <= self.least_gain < 1, "least_gain", self.least_gain, "at least 0 and below 1")

    @abstractmethod
    def iterate(self, objective: Objective, point: Point) -> Iterator[Point]:
        """The points that the method visits from `point` on, each truly evaluated; it ends where it is stuck."""

    def visits(
        self, objective: Objective, point: Point, most: Callable[[], int]
    ) -> Iterator[tuple[Point, int]]:
        """Points for the loop to look at, and how many were evaluated since the last one, at most `most()`."""
        for reached in self.iterate(objective, point):
            yield reached, 1

    @property
    def sampled(self) -> bool:
        """Whether the points visited are those of mini-batches, which say little of the whole."""
        return False

    def prepared(self, objective: Objective) -> Objective:
        """The objective as the method sees it: kinks that the system holds are let go."""
        if objective.system.kinks is None:
            return objective
        return objective.on(objective.system.at(kinks=None))

    def run(
        self,
        objective: Objective,
        x: Array,
        progress: bool = False,
        watch: Watch | None = None,
        earlier: "MinimizeResult | None" = None,
    ) -> MinimizeResult:
        """Follow `iterate` from x until a test stops it; or go on from an earlier result of the same solver."""
        with deferred(told=True) as ctrl_c:
            result = self._followed(objective, x, progress, watch, earlier)
        return replace(result, interrupted=True) if ctrl_c.pressed else result

    def _followed(
        self,
        objective: Objective,
        x: Array,
        progress: bool,
        watch: Watch | None,
        earlier: "MinimizeResult | None",
    ) -> MinimizeResult:
        log, steps, status, reason = Log(watch or Watch(), self.max_steps), 0, "", ""
        objective = self.prepared(objective)
        if earlier is None:
            point = objective.first(x)
            objective.require_numbers(point)
            log.record(0, objective, point)
        else:
            log.go_on(earlier.history, earlier.seconds)
            steps, objective.n_evaluations = earlier.n_steps, earlier.n_evaluations
            point = objective(*earlier.memory) if earlier.memory else objective.first(x)

        def most() -> int:
            return min(self.max_steps, log.due) - steps

        try:
            with Progress(progress, type(self).__name__) as report:
                status, point = self.verdict(objective, point)
                points = self.visits(objective, point, most)
                progressing = Progressing(objective)
                values = deque([math.inf] * GAIN_STEPS, GAIN_STEPS)
                while not status:
                    if steps >= self.max_steps or pressed():
                        status = "interrupted" if pressed() else "step-limit"
                        break
                    reached, taken = next(points, (None, 0))
                    if reached is None or not math.isfinite(reached.value):
                        status = "stalled"
                        break
                    point, steps = reached, steps + taken
                    if self.sampled:
                        if steps < log.due:
                            continue
                        point = objective(point.y, point.memory)
                    if steps >= log.due:
                        log.record(steps, objective, point)
                        if report.due:
                            report.say(f"step {steps}, {point}")
                        if log.out_of_patience and log.best_point:
                            status, point = "stopped", log.best_point
                            break
                    status, kept = self.verdict(objective, point)
                    if kept is not point:
                        point, points = kept, self.visits(objective, kept, most)
                    if self.leaves_kinks and not status and progressing.held_up(objective, point, taken):
                        status, reason = "stalled", KINK
                    if self.least_gain and not status:
                        if values[0] - point.value < self.least_gain * abs(point.value):
                            status, reason = (
                                "stalled",
                                f"five steps lowered E by less than {self.least_gain:g} of it.",
                            )
                        values.append(point.value)
            if status in ("stalled", "step-limit"):
                status = self._saddle_or(objective, point, status)
        except FloatingPointError as error:  # no H, so no step
            status, reason = "stalled", str(error)
        except (KeyboardInterrupt, SystemError) as error:
            if not is_interrupt(error):
                raise
            status = "interrupted"
        if self.sampled and log.records[-1].step != steps:
            point = objective(point.y, point.memory)
        return self.result(objective, point, status, steps, log, reason)

    def result(
        self, objective: Objective, point: Point, status: str, steps: int, log: Log, reason: str = ""
    ) -> MinimizeResult:
        """What was reached, in the system's gauge, recorded."""
        memory, point = point.memory and (point.y, point.memory), objective.canonical(point)
        if log.records[-1].step == steps and log.records[-1].n_overlaps != point.n_overlaps:
            log.records.pop()  # the last overlaps were opened after it
        if not log.records or log.records[-1].step != steps:
            log.record(steps, objective, point)
        return MinimizeResult(
            objective.system_at(point),
            objective.x(point.y),
            point.energy,
            objective.relative_gradient(point),
            point.n_overlaps,
            status,
            steps,
            objective.n_evaluations,
            log.seconds,
            tuple(log.records),
            memory,
            interrupted=status == "interrupted",
            certified=status == "converged" and self.sees_curvature and not objective.system.matrix_free,
            reason=reason or why(status, self.max_steps, log.watch.stop),
        )

    def converged(self, objective: Objective, point: Point) -> bool:
        """Whether the relative gradient is as small as asked, or as rounding allows."""
        if self.force_tolerance is not None:
            if (
                not objective.moving
                and point.residual * point.force > self.force_tolerance * len(point.gradient) ** 0.5
            ):
                return False
            return float(abs(point.gradient).max()) <= self.force_tolerance
        if point.residual > self.gradient_tolerance and not objective.near_rounding(point):
            return False
        return point.residual <= objective.tolerance(point, self.gradient_tolerance)

    def verdict(self, objective: Objective, point: Point) -> tuple[str, Point]:
        """The status, or "" to go on, and the point in its gauge where it was looked at there."""
        if not math.isfinite(point.value):
            return "stalled", point
        free = objective.conjugate is None and not objective.weight_decay
        if free and point.n_overlaps == 0:
            kept = objective.canonical(point)
            return "satisfied" if kept.n_overlaps == 0 else "", kept
        if (beyond := opened(objective, point)) is not None:
            return "satisfied", beyond
        if self.converged(objective, point):
            kept = objective.canonical(point)
            if kept is not point and not self.converged(objective, kept):
                return "", kept
            if self.sees_curvature and objective.is_saddle(kept):
                return "", kept
            return "converged", kept
        return "", point

    def _saddle_or(self, objective: Objective, point: Point, status: str) -> str:
        kept = objective.canonical(point)
        if not (self.sees_curvature and self.converged(objective, kept)):
            return status
        return "saddle" if objective.is_saddle(kept) else "converged"

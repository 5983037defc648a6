"""The loop that every solver shares: records, stopping tests, progress, interrupts."""

import math
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from ..support.arrays import Array
from ..support.interrupts import deferred, is_interrupt, pressed
from ..support.progress import Progress
from ..support.validation import require, require_options
from .history import Log, Watch
from .kink_probe import KINK, Progressing
from .method import Method
from .models import is_saddle
from .objective import Objective
from .point import Point
from .result import MinimizeResult
from .verdict import opened, why

GAIN_STEPS = 5  # over which E must gain, where that is asked


@dataclass(frozen=True)
class Solver(Method):
    """A minimiser that goes from point to point: a small frozen object that holds its options, nothing else.

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
            if self.sees_curvature and is_saddle(objective, kept):
                return "", kept
            return "converged", kept
        return "", point

    def _saddle_or(self, objective: Objective, point: Point, status: str) -> str:
        kept = objective.canonical(point)
        if not (self.sees_curvature and self.converged(objective, kept)):
            return status
        return "saddle" if is_saddle(objective, kept) else "converged"

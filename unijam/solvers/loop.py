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

GAIN_STEPS = 5  # `least_gain` compares E with its value this many steps before


@dataclass(frozen=True)
class Solver(Method):
    """A minimiser that moves from point to point: a small frozen object that holds only its options.

    Attributes
    ----------
    gradient_tolerance : float
        The relative gradient at which a point is converged, or 3.5 × resolution × ‖u'' J‖/‖u'‖ if that is larger: the
        relative gradient that rounding allows (for contacts 5 × resolution / typical overlap).
    max_steps : int
        The largest number of points to visit.
    force_tolerance : float or None
        If given, a point is converged when no component of ∂E/∂x is larger than this, in units of U over those of x;
        `gradient_tolerance` is not used then.
    least_gain : float
        The run ends as "stalled" if five steps lower E by less than this fraction of it; 0: no such test.
    sees_curvature : bool, of the class
        Whether points are converged only if H has no negative eigenvalue.
    """

    gradient_tolerance: float = 1e-10
    max_steps: int = 100_000
    force_tolerance: float | None = None
    least_gain: float = 0.0
    sees_curvature: ClassVar[bool] = False
    leaves_kinks: ClassVar[bool] = False  # whether the loop gives up a run that a kink holds up

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
        """The points that the method visits after `point`, all evaluated. It ends if it finds no further step."""

    def visits(
        self, objective: Objective, point: Point, most: Callable[[], int]
    ) -> Iterator[tuple[Point, int]]:
        """(point for the loop to test, steps since the last such point, at most `most()`), one after the other."""
        for reached in self.iterate(objective, point):
            yield reached, 1

    @property
    def sampled(self) -> bool:
        """Whether points are evaluated on mini-batches; their E and gradient are then estimates."""
        return False

    def prepared(self, objective: Objective) -> Objective:
        """The objective that the method minimises: that of a system without held kinks."""
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
        """Run the method from x, (n_dof,), until a test stops it, or resume an earlier result of the same solver.

        Parameters
        ----------
        objective : Objective
        x : (n_dof,) array
            Not checked again.
        progress : bool
            Show a line of progress.
        watch : Watch, optional
        earlier : MinimizeResult, optional
            The result to resume; x must be its x. `max_steps` then counts its steps too.

        Returns
        -------
        MinimizeResult

        Raises
        ------
        ValueError
            E or its gradient is NaN or infinite at the start.
        """
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
        except FloatingPointError as error:  # H is not finite: there is no step
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
        """The result of a run that ended at a point: x in the system's gauge, and a record of the last step."""
        memory, point = point.memory and (point.y, point.memory), objective.canonical(point)
        if log.records[-1].step == steps and log.records[-1].n_overlaps != point.n_overlaps:
            log.records.pop()  # it was made before the last overlaps were opened
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
        """Whether the relative gradient of a point is as small as asked for, or as small as rounding allows."""
        if self.force_tolerance is not None:
            # The largest component is at least the root mean square: a cheap test that most points fail.
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
        """(status, point): the status is "" if the run must continue; the point is in the gauge of the test."""
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

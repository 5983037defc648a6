"""The history of a run: records, observables, stored positions, early stopping."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core.system import ConstrainedSystem
from ..support.arrays import Array
from ..support.printing import Brief
from ..support.validation import require, require_options
from .objective import Objective
from .point import Point

Observable = Callable[[ConstrainedSystem, Array], Any]


@dataclass(frozen=True, eq=False, repr=False)
class Record(Brief):
    """One line of a history.

    Attributes
    ----------
    step : int
    seconds, energy, relative_gradient : float
    n_overlaps : int
    observed : mapping of str to float
        The observables of the `Watch`, by name.
    x : (n_dof,) array or None
        The degrees of freedom, at steps that the `Watch` keeps; else None.
    """

    step: int
    seconds: float
    energy: float
    relative_gradient: float
    n_overlaps: int
    observed: Mapping[str, Any] = field(default_factory=dict)
    x: Array | None = None


@dataclass(frozen=True)
class Watch:
    """The choice of what a run records, and of when it stops early.

    Attributes
    ----------
    observables : mapping of str to functions (system, x) -> float
        Evaluated at each record: a test error, N_Δ/N_eff, …
    keep : tuple of int
        Steps at which a record is made that holds x.
    spacing : float
        A record is made whenever the number of steps has grown by this factor, above 1, and at the last step.
    stop : str or None
        The name of the observable for early stopping. Once `patience` records have not lowered it, the run ends with
        the status "stopped", at the point where it was lowest. NaN does not lower it; at the first record it must be a
        number.
    patience : int
        The number of records without a lower value after which the run stops.

    Examples
    --------
    >>> import unijam as uj
    >>> network = uj.FullyConnected.random(depth=1, width=5, input_dimension=5, n_data=40, weights="free")
    >>> watch = uj.Watch({"ratio": lambda s, x: uj.count_constraints(s, x).ratio}, keep=(30,))
    >>> result = uj.minimize(network, None, uj.Adam(max_steps=50), watch=watch)
    >>> [(record.step, record.x is not None) for record in result.history][-5:]
    [(30, True), (34, False), (39, False), (44, False), (50, False)]
    """

    observables: Mapping[str, Observable] = field(default_factory=dict)
    keep: tuple[int, ...] = ()
    spacing: float = 1.1
    stop: str | None = None
    patience: int = 20

    def __post_init__(self) -> None:
        require_options(self)
        steps = isinstance(self.keep, Iterable) and all(isinstance(k, int | np.integer) for k in self.keep)
        require(steps, "keep", self.keep, "a sequence of steps, as (10, 100)")
        object.__setattr__(self, "keep", tuple(sorted(self.keep)))
        require(isinstance(self.observables, Mapping), "observables", self.observables, "a mapping of names")
        functions = all(callable(f) for f in self.observables.values())
        require(functions, "observables", self.observables, "functions of (system, x), by name")
        require(all(step >= 0 for step in self.keep), "keep", self.keep, "steps, zero or positive")
        require(self.spacing > 1, "spacing", self.spacing, "above 1")
        known = self.stop is None or self.stop in self.observables
        require(known, "stop", self.stop, f"None or one of observables: {', '.join(self.observables)}")
        require(self.patience >= 1, "patience", self.patience, "at least 1")

    def next_after(self, step: int) -> int:
        """The step of the next record after `step`, apart from the record of the last step of the run."""
        spaced = math.ceil(self.spacing * step + 1)
        return min([spaced, *(k for k in self.keep if k > step)])


# For the parts of a path, such as the stages of `jam`: with more records their cost would be noticed in small packings
# (docs/decisions/034).
SPARSE = Watch(spacing=1.5)


class Log:
    """The records of one run, including those of an earlier run that it resumes."""

    def __init__(self, watch: Watch, last_step: int) -> None:
        self.watch, self.last_step, self.due = watch, last_step, 0
        self.records, self.begin = list[Record](), time.perf_counter()
        # the lowest value of the observable of early stopping, and the number of records since then
        self.best, self.since = math.inf, 0
        self.best_point: Point | None = None

    def go_on(self, records: tuple[Record, ...], seconds: float) -> None:
        """Resume an earlier run: start with its records and its seconds."""
        self.records, self.begin = list(records), self.begin - seconds
        self.due = min(self.watch.next_after(records[-1].step), self.last_step)

    @property
    def seconds(self) -> float:
        """Seconds since the beginning of the run, including those of an earlier run that it resumes."""
        return time.perf_counter() - self.begin

    def record(self, step: int, objective: Objective, point: Point) -> None:
        """Add a record of a point, and set `due`, the step of the next record."""
        x, observed = objective.x(point.y), {}
        if self.watch.observables:
            system = objective.system_at(point)
            observed = {name: objective.observe(f, system, x) for name, f in self.watch.observables.items()}
        kept = x if step in self.watch.keep else None
        line = (step, self.seconds, point.energy, objective.relative_gradient(point), point.n_overlaps)
        self.records.append(Record(*line, observed, kept))
        self.due = min(self.watch.next_after(step), self.last_step)
        if self.watch.stop is not None:
            self._compare(observed[self.watch.stop], point)

    def _compare(self, value: float, point: Point) -> None:
        self.since += 1
        if self.best_point is None:
            field = f"the observable {self.watch.stop!r} at the first record"
            require(not math.isnan(value), field, value, "a number, for the run to be stopped by it")
        if value < self.best or self.best_point is None:
            self.best, self.best_point, self.since = value, point, 0

    @property
    def out_of_patience(self) -> bool:
        """Whether the last `patience` records have not lowered the observable of early stopping."""
        return self.watch.stop is not None and self.since >= self.watch.patience

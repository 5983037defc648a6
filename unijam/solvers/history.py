"""What is looked at while a solver runs: records, observables, positions that are kept, early stopping."""

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
        What the `Watch` looks at, by name.
    x : (n_dof,) array or None
        Where the `Watch` keeps it.
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
    """What is recorded of a run, and when it is given up.

    Attributes
    ----------
    observables : mapping of str to functions (system, x) -> float
        Evaluated at each record: a test error, N_Δ/N_eff, …
    keep : tuple of int
        Steps at which there is a record that holds x.
    spacing : float
        Records are made whenever the number of steps has grown by this factor, above 1, and at the last step.
    stop : str or None
        The name of the observable of early stopping: the run ends, with the status "stopped", at the point where
        this was lowest, once `patience` records have not lowered it (NaN does not; it may not begin with that).
    patience : int

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
        """The step of the next record, not counting the last of the run."""
        spaced = math.ceil(self.spacing * step + 1)
        return min([spaced, *(k for k in self.keep if k > step)])


SPARSE = Watch(spacing=1.5)  # of parts of a run: what a record costs adds up where packings are small


class Log:
    """The records of one run, those of an earlier one that it continues included."""

    def __init__(self, watch: Watch, last_step: int) -> None:
        self.watch, self.last_step, self.due = watch, last_step, 0
        self.records, self.begin = list[Record](), time.perf_counter()
        self.best, self.since = math.inf, 0
        self.best_point: Point | None = None

    def go_on(self, records: tuple[Record, ...], seconds: float) -> None:
        """Put the records and the time of an earlier run first."""
        self.records, self.begin = list(records), self.begin - seconds
        self.due = min(self.watch.next_after(records[-1].step), self.last_step)

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.perf_counter() - self.begin

    def record(self, step: int, objective: Objective, point: Point) -> None:
        """Add a line, and find when the next is due."""
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
        """Whether the observable of early stopping has not fallen for too long."""
        return self.watch.stop is not None and self.since >= self.watch.patience

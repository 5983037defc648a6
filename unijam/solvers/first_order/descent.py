"""The common part of gradient descent and Adam: learning rates and mini-batches."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.capabilities import HasData, n_data
from ...core.system import ConstrainedSystem
from ...support.arrays import Array
from ...support.validation import is_positive, is_whole, require
from ..loop import Solver
from ..objective import Objective
from ..point import Point

Rate = float | Callable[[int], float] | None


@dataclass(frozen=True)
class Descent(Solver):
    """A solver that steps along the gradient of all data, or of a mini-batch.

    Attributes
    ----------
    learning_rate : float, function of the step (from 0) or None
        A `TorchSchedule` is such a function. None: found from the curvature at the start.
    batch_size : int or None
        The number of data of one step; None: all. Data are drawn without replacement until all have been used. U is
        then estimated as P/batch_size times that of the batch, and the tests of convergence use all data, but are
        made only when a record is made.
    seed : int
        Seed of the draws.
    """

    learning_rate: Rate = None
    batch_size: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        rate, size = self.learning_rate, self.batch_size
        right = rate is None or callable(rate) or is_positive(rate)
        require(right, "learning_rate", rate, "positive, a function of the step, or None")
        whole = size is None or (is_whole(size) and size >= 1)
        require(whole, "batch_size", size, "a whole number of at least 1, or None")
        require(self.seed >= 0, "seed", self.seed, "zero or positive")

    @property
    def sampled(self) -> bool:
        return self.batch_size is not None

    def prepared(self, objective: Objective) -> Objective:
        """The objective with y = x: the user's learning rate is meant for x itself."""
        objective = super().prepared(objective)
        objective.as_it_is = True
        return objective

    def perhaps_finished(self, objective: Objective, point: Point) -> np.ndarray:
        """Mask of the replicas, (k,), whose point may be converged or satisfied, so that the full test is worth making.

        `point` has a leading axis. The test is cheap and generous: it must not miss a finished run.
        """
        # A gradient of 10⁶ rounding errors, an energy of (1e-9 units)² for each overlap: well above what the full test
        # accepts
        least = 1e6 * float(np.finfo(str(point.y.dtype).rpartition(".")[2]).eps) * objective.force_unit
        n_overlaps = np.maximum(point.n_overlaps, 1)
        small = 1e-18 * objective.force_unit * objective.unit
        near = (point.energy < small * n_overlaps) | (point.residual * point.force < least * n_overlaps**0.5)
        sure = (point.n_overlaps == 0) | (point.residual <= self.gradient_tolerance)
        perhaps: np.ndarray = near | sure | (self.force_tolerance is not None)
        return perhaps

    def rate(self, step: int, found: float) -> float:
        """The learning rate of a step (from 0): the user's, or `found` if none was given."""
        if self.learning_rate is None:
            return found
        return self.learning_rate(step) if callable(self.learning_rate) else self.learning_rate

    def evaluations(self, objective: Objective) -> Callable[[Array, int, Any], Point]:
        """A function (y, step, memory) -> point, evaluated on all data or on the mini-batch of that step."""
        if self.batch_size is None:
            return lambda y, step, memory: objective(y, memory)
        batches = Batches(objective.system, self.batch_size, self.seed)
        return lambda y, step, memory: objective.sample(batches.of(step), y, memory)


class Batches:
    """The mini-batches of a run. Each pass through the data has its own order, drawn from (seed, pass)."""

    def __init__(self, system: ConstrainedSystem, size: int, seed: int) -> None:
        kind, n = type(system).__name__, n_data(system) or 0
        require(n > 0, "batch_size", size, f"None for {kind}, which has no data")
        require(size <= n, "batch_size", size, f"at most {n}, the number of data")
        assert isinstance(system, HasData)
        self.system: Any = system
        self.size, self.seed, self.n = size, seed, n
        self.epoch, self.shuffled = -1, self.system

    def of(self, step: int) -> Any:
        """The system with the data of a step (from 0)."""
        epoch, k = divmod(step, self.n // self.size)
        if epoch != self.epoch:
            order = np.random.default_rng([self.seed, epoch]).permutation(self.n)
            self.epoch, self.shuffled = epoch, self.system.subset(order)
        return self.shuffled.subset(slice(k * self.size, (k + 1) * self.size))


class TorchSchedule:
    """A learning rate as a function of the step, from a schedule of torch.optim.lr_scheduler.

    Parameters
    ----------
    learning_rate : float
        The rate at the start.
    make : function of an optimizer
        Makes the schedule, which is advanced once for each step. A schedule that needs a loss (ReduceLROnPlateau) is
        not possible.

    Examples
    --------
    >>> from functools import partial
    >>> import torch
    >>> import unijam as uj
    >>> rate = uj.TorchSchedule(0.1, partial(torch.optim.lr_scheduler.StepLR, step_size=100, gamma=0.5))
    >>> rate(0), rate(250)
    (0.1, 0.025)
    >>> solver = uj.Adam(learning_rate=rate)
    """

    def __init__(self, learning_rate: float, make: Callable[[Any], Any]) -> None:
        require(is_positive(learning_rate), "learning_rate", learning_rate, "positive and finite")
        self.learning_rate, self.make = learning_rate, make
        self._start()
        advances = hasattr(self.schedule, "get_last_lr") and not hasattr(self.schedule, "patience")
        require(
            advances,
            "make",
            make,
            "one that makes a torch.optim.lr_scheduler that is advanced by steps alone",
        )

    def _start(self) -> None:
        import torch

        self.optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=self.learning_rate)
        self.schedule, self.step = self.make(self.optimizer), 0
        self.optimizer.step()  # torch wants one before the first step of a schedule

    def __call__(self, step: int) -> float:
        if step < self.step:
            self._start()
        for _ in range(step - self.step):
            self.schedule.step()
        self.step = step
        return float(self.optimizer.param_groups[0]["lr"])

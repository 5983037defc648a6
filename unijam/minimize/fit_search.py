"""A search for U = 0: networks smoothed and held by weight decay, freed as far as they fit, then sharpened."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import Array, is_torch, namespace
from ..system import ConstrainedSystem
from ..validation import require, require_options
from .homotopy import softplus_to_relu
from .levenberg_marquardt import LevenbergMarquardt
from .loop import MinimizeResult, joined
from .newton import newton_for
from .objective import Objective
from .progress import Progress

NEAR, FAR = 0.1, 4.0  # U over the energy of weight decay at which a fit is near, and at which none is
LEAST_DECAY = 3e-3
QUICK_DECAY = 0.3  # of the quick try
SHARPEST = 500.0  # β from which ReLU is next


@dataclass(frozen=True)
class FitSearch:
    """A search for U = 0 of networks with free weights; where it fails, a minimum.

    First a quick try: softplus of sharpness β at weight decay 0.3, then at none. Where that fails, a thorough one:
    at μ until five steps gain less than 0.1 %, then at ever smaller decay until U is a tenth of its energy ½μ|x|² (a
    fit is near, and found without decay) or four times that (none is). From a fit β is doubled again and again,
    U = 0 kept by Levenberg-Marquardt, up to ReLU; networks that are smooth stay as they are. Reheats are thorough
    too, each from the end of the last with noise added. The lowest state of a search that failed goes on to a
    minimum, or to U = 0 after all, by `softplus_to_relu`.

    Attributes
    ----------
    sharpness : float or None
        β; by default 2 for up to two hidden layers, 3.2 for three, 8 for five: soft units damp what passes them.
    weight_decay : float or None
        μ; by default P over 16 times the number of hidden units: 3 at N = 325, P = 1150.
    reheats : int
        Searches from noisy states at most.
    noise : float
        Of a reheat, in units of the root mean square weight.
    seed : int
        Of the noise.
    quick : bool
        Whether to begin with the quick try.
    finish : bool
        Whether a failed search goes on to a minimum.
    """

    sharpness: float | None = None
    weight_decay: float | None = None
    reheats: int = 6
    noise: float = 0.2
    seed: int = 0
    quick: bool = True
    finish: bool = True

    def __post_init__(self) -> None:
        require_options(self)
        positive = self.sharpness is None or self.sharpness > 0
        require(positive, "sharpness", self.sharpness, "positive, or None")
        positive = self.weight_decay is None or self.weight_decay > 0
        require(positive, "weight_decay", self.weight_decay, "positive, or None")
        require(self.reheats >= 0, "reheats", self.reheats, "zero or positive")
        require(self.noise > 0, "noise", self.noise, "positive")

    def run(self, objective: Objective, x: Array, progress: bool = False) -> MinimizeResult:
        """Search until the system is satisfied, reheats are used up, or the search is interrupted."""
        system, random = objective.system, np.random.default_rng(self.seed)
        results: list[MinimizeResult] = []
        lowest: MinimizeResult | None = None
        convex = getattr(system, "depth", 1) == 0
        tries = 1 if convex else self.reheats + 1 + self.quick
        with Progress(progress, "FitSearch") as report:
            for number in range(tries):
                start = x if number <= self.quick else self._heated(results[-1].x, random)
                way = self._quick_try if self.quick and not number else self._thorough_try
                for reached in way(system, start):
                    results.append(reached)
                    if reached.status == "interrupted":
                        return joined(results)
                last = results[-1]
                if last.fitted and not _softened(last.system, system):
                    return joined(results)
                if lowest is None or last.energy < lowest.energy:
                    lowest = last
                report.say(f"try {number + 1} of {tries}, lowest U = {lowest.energy:.2e}")
        assert lowest is not None
        reached = _FIT.run(Objective(system), system.canonical(lowest.x))
        results.append(reached)
        if self.finish and not reached.fitted and reached.status != "interrupted":
            results.append(self.finished(reached))
        return joined(results)

    @staticmethod
    def softens(system: ConstrainedSystem) -> bool:
        """Whether a system is a network of layers of ReLU units, which softplus makes smooth."""
        return bool(getattr(system, "depth", 0)) and getattr(system, "activation", "") == "relu"

    @staticmethod
    def finished(state: MinimizeResult) -> MinimizeResult:
        """What `softplus_to_relu` makes of a state that the search missed (Newton's method, of a smooth network)."""
        system = state.system
        softest = _softest(system)
        way = (
            softplus_to_relu(tuple(softest * 2**k for k in range(4)))
            if FitSearch.softens(system)
            else newton_for(system)
        )
        return way.run(Objective(system), state.x)

    def _quick_try(self, system: ConstrainedSystem, x: Array) -> Iterator[MinimizeResult]:
        soft = self._softened(system)
        yield (held := _QUICKLY.run(Objective(soft, QUICK_DECAY), x))
        yield (free := _FIT.run(Objective(soft), held.x))
        yield from _sharpened(system, free, 4.0)

    def _thorough_try(self, system: ConstrainedSystem, x: Array) -> Iterator[MinimizeResult]:
        soft = self._softened(system)
        units = sum(getattr(system, "widths", ()))
        mu = self.weight_decay or ((system.n_data or 0) / (16 * units) if units else 1.0)
        while True:
            yield (held := _THOROUGHLY.run(Objective(soft, mu), x))
            x = held.x
            ratio = held.energy / max(0.5 * mu * float(x @ x), 1e-300)
            if ratio > FAR:
                return
            if ratio < NEAR or mu < LEAST_DECAY:
                break
            mu /= 2 if ratio > 0.5 else 5
        yield (free := _THOROUGHLY.run(Objective(soft), x))
        yield from _sharpened(system, free, 2.0)

    def _softened(self, system: ConstrainedSystem) -> ConstrainedSystem:
        """Softplus for ReLU; a smooth network itself."""
        if not self.softens(system):
            return system
        return system.at(activation="softplus", beta=self.sharpness or _softest(system))

    def _heated(self, x: Array, random: np.random.Generator) -> Array:
        noise: Any = random.standard_normal(len(x))
        if is_torch(x):
            noise = namespace(x).asarray(noise, dtype=x.dtype, device=x.device)
        return x + self.noise * float(x @ x / len(x)) ** 0.5 * noise


_QUICKLY = LevenbergMarquardt(gradient_tolerance=1e-2, max_steps=100, least_gain=0.03, prestress=True)
_THOROUGHLY = LevenbergMarquardt(gradient_tolerance=1e-2, max_steps=200, least_gain=1e-3, prestress=True)
_FIT = LevenbergMarquardt(max_steps=150, least_gain=0.01)


def _softest(system: ConstrainedSystem) -> float:
    """β at which a search begins: soft units damp what passes them, so it rises with depth."""
    return float(2 ** (1 + max(getattr(system, "depth", 0) - 2, 0) / 1.5))


def _softened(system: ConstrainedSystem, target: ConstrainedSystem) -> bool:
    """Whether a system is the target made smooth."""
    return getattr(system, "activation", "") != getattr(target, "activation", "")


def _sharpened(system: ConstrainedSystem, free: MinimizeResult, factor: float) -> Iterator[MinimizeResult]:
    """From U = 0 of a soft network to that of the system itself, β times a factor at a time, while it is kept."""
    while _softened(free.system, system) and free.status in ("satisfied", "converged", "step-limit"):
        beta = factor * getattr(free.system, "beta", SHARPEST)
        sharper = system if beta > SHARPEST else free.system.at(beta=beta)
        yield (free := _FIT.run(Objective(sharper), sharper.canonical(free.x)))

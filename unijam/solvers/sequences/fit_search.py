"""A search for U = 0 from a smooth network: weight decay is lowered first, then softplus is sharpened to ReLU."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.capabilities import Layered, Softened, n_data, softest
from ...core.system import ConstrainedSystem
from ...support.arrays import Array, is_torch, namespace
from ...support.progress import Progress
from ...support.validation import require, require_options
from ..objective import Objective
from ..result import MinimizeResult, joined
from ..second_order.levenberg_marquardt import LevenbergMarquardt
from ..second_order.newton import newton_for
from .sequence import Sequence
from .softplus_to_relu import SHARPEST, rising, softplus_to_relu

# U over the energy ½μ|x|² of weight decay: below the first a fit is near, and weight decay is switched off; above the
# second the try is given up (docs/decisions/038).
NEAR, FAR = 0.1, 4.0
LEAST_DECAY = 3e-3  # weight decay below this is switched off in any case
QUICK_DECAY = 0.3  # weight decay of the quick try


@dataclass(frozen=True)
class FitSearch(Sequence):
    """A search for U = 0 of networks with free weights; if it fails, a path to a minimum.

    First comes a quick try: softplus of sharpness β at weight decay 0.3, then without. If it fails, a thorough try
    follows: at weight decay μ until five steps gain less than 0.1 %, then at smaller and smaller decay, until U is a
    tenth of ½μ|x|² (a fit is near, and is found without decay) or four times that (the try has failed). From a fit at
    β, the sharpness is doubled repeatedly, up to ReLU, and Levenberg-Marquardt keeps U = 0. A network without ReLU
    stays as it is. Reheats are thorough tries, each from the end of the last one with noise added. If all fail,
    `softplus_to_relu` takes the lowest state to a minimum, or to U = 0 after all.

    Attributes
    ----------
    sharpness : float or None
        β; by default the system's `softest`.
    weight_decay : float or None
        μ; by default P over 16 times the number of hidden units: 3 at N = 325, P = 1150.
    reheats : int
        The largest number of tries from noisy states.
    noise : float
        The noise of a reheat, in units of the root mean square weight.
    seed : int
        Seed of the noise.
    quick : bool
        Whether to begin with the quick try.
    finish : bool
        Whether a failed search continues to a minimum.

    Examples
    --------
    >>> import unijam as uj
    >>> network = uj.FullyConnected.random(depth=1, width=8, input_dimension=8, n_data=30, weights="free")
    >>> uj.minimize(network, None, uj.FitSearch(reheats=0)).status
    'satisfied'
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

    def follow(
        self, objective: Objective, x: Array, progress: bool, results: list[MinimizeResult]
    ) -> MinimizeResult:
        """Search until U = 0, until the reheats are used up, or until an interrupt; parameters as in `follow`."""
        system, random = objective.system, np.random.default_rng(self.seed)
        lowest: MinimizeResult | None = None
        alone = isinstance(system, Layered) and system.convex
        tries = 1 if alone else self.reheats + 1 + self.quick
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
    def finished(state: MinimizeResult) -> MinimizeResult:
        """The minimum to which `softplus_to_relu` takes a state with U > 0; of a smooth network, Newton's method."""
        system, beta = state.system, softest(state.system)
        way = newton_for(system) if beta is None else softplus_to_relu(rising(beta))
        return way.run(Objective(system), state.x)

    def _quick_try(self, system: ConstrainedSystem, x: Array) -> Iterator[MinimizeResult]:
        soft, beta = self._softened(system)
        yield (held := _QUICKLY.run(Objective(soft, QUICK_DECAY), x))
        yield (free := _FIT.run(Objective(soft), held.x))
        yield from _sharpened(system, free, beta, 4.0)  # a factor 4 may lose the fit, 2 did not: decision 038

    def _thorough_try(self, system: ConstrainedSystem, x: Array) -> Iterator[MinimizeResult]:
        soft, beta = self._softened(system)
        units, number = system.n_hidden if isinstance(system, Layered) else 0, n_data(system)
        mu = self.weight_decay or (number / (16 * units) if number and units else 1.0)
        while True:
            yield (held := _THOROUGHLY.run(Objective(soft, mu), x))
            x = held.x
            ratio = held.energy / max(0.5 * mu * float(x @ x), 1e-300)  # x may have shrunk to zero
            if ratio > FAR:
                return
            if ratio < NEAR or mu < LEAST_DECAY:
                break
            mu /= 2 if ratio > 0.5 else 5  # slowly where U is not small yet (docs/decisions/038)
        yield (free := _THOROUGHLY.run(Objective(soft), x))
        yield from _sharpened(system, free, beta, 2.0)

    def _softened(self, system: ConstrainedSystem) -> tuple[ConstrainedSystem, float]:
        """The network with softplus instead of ReLU, and β; a smooth network itself, and SHARPEST."""
        if not isinstance(system, Softened) or system.softest is None:
            return system, SHARPEST
        beta = self.sharpness or system.softest
        return system.softened(beta), beta

    def _heated(self, x: Array, random: np.random.Generator) -> Array:
        """x, (n_dof,), with Gaussian noise."""
        noise: Any = random.standard_normal(len(x))
        if is_torch(x):
            noise = namespace(x).asarray(noise, dtype=x.dtype, device=x.device)
        return x + self.noise * float(x @ x / len(x)) ** 0.5 * noise


# Solvers of the stages. Five steps must gain 3 %, 0.1 % or 1 % of E, else the stage ends (docs/decisions/038).
_QUICKLY = LevenbergMarquardt(gradient_tolerance=1e-2, max_steps=100, least_gain=0.03, prestress=True)
_THOROUGHLY = LevenbergMarquardt(gradient_tolerance=1e-2, max_steps=200, least_gain=1e-3, prestress=True)
_FIT = LevenbergMarquardt(max_steps=150, least_gain=0.01)


def _softened(system: ConstrainedSystem, target: ConstrainedSystem) -> bool:
    """Whether a system is the smooth form of the target, not the target itself."""
    return softest(system) != softest(target)


def _sharpened(
    system: ConstrainedSystem, free: MinimizeResult, beta: float, factor: float
) -> Iterator[MinimizeResult]:
    """The states from U = 0 of a soft network to the system itself; β is multiplied by `factor` each time.

    It ends early when U = 0 is lost.
    """
    assert isinstance(system, Softened) or not _softened(free.system, system)
    while _softened(free.system, system) and (free.fitted or free.status in ("converged", "step-limit")):
        beta *= factor
        sharper: Any = system if beta > SHARPEST else system.softened(beta)  # type: ignore[attr-defined]
        yield (free := _FIT.run(Objective(sharper), sharper.canonical(free.x)))

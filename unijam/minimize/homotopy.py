"""From softplus to ReLU: a path of smooth networks that ends at one with kinks, and a search for U = 0 along it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import Array, is_torch, namespace
from ..system import ConstrainedSystem
from ..validation import require, require_options
from .default import newton_for
from .levenberg_marquardt import LevenbergMarquardt
from .loop import MinimizeResult, joined
from .objective import Objective
from .progress import Progress
from .proximal_newton import ProximalNewton
from .stages import Stage, Stages
from .trust_region_newton import TrustRegionNewton

SHARPNESS = (2.0, 4.0, 8.0, 16.0)  # β of softplus


def softplus_to_relu(
    sharpness: tuple[float, ...] = SHARPNESS, weight_decay: tuple[float, ...] = (1.0, 0.1, 0.01)
) -> Stages:
    """The path to a minimum of a ReLU network: softplus of rising β, then ReLU at falling weight decay μ, then μ = 0.

    Parameters
    ----------
    sharpness : tuple of float
        β of each stage of softplus, all at the first weight decay.
    weight_decay : tuple of float
        μ of each stage of ReLU but the last, which has none.
    """
    rough = TrustRegionNewton(gradient_tolerance=1e-3, max_steps=40)
    near = ProximalNewton(gradient_tolerance=1e-3, max_steps=100)
    smooth = [Stage({"activation": "softplus", "beta": b}, rough, weight_decay[0]) for b in sharpness]
    kinked = [Stage({}, near, mu) for mu in weight_decay[1:]]
    relu = Stage({"activation": "relu"}, near, weight_decay[0])
    return Stages((*smooth, relu, *kinked, Stage({}, ProximalNewton())))


@dataclass(frozen=True)
class FitSearch:
    """A search for U = 0 of networks with free weights; where it fails, a minimum.

    Rungs of softplus of rising β (of the network itself where it is smooth) at falling weight decay μ; from each,
    Levenberg-Marquardt without decay at β, 4β, 16β and then ReLU. Where all rungs fail: reheats, each from the
    start with Gaussian noise added. The lowest state of a search that failed goes on to a minimum.

    Attributes
    ----------
    sharpness, weight_decay : tuple of float
        β and μ of the rungs.
    reheats : int
        Searches from noisy starts at most.
    noise : float
        Of a reheat, in units of the root mean square weight.
    seed : int
        Of the noise.
    finish : bool
        Whether a failed search goes on to a minimum.
    """

    sharpness: tuple[float, ...] = (2.0,)
    weight_decay: tuple[float, ...] = (0.3,)
    reheats: int = 6
    noise: float = 0.5
    seed: int = 0
    finish: bool = True

    def __post_init__(self) -> None:
        require_options(self)
        pairs = len(self.sharpness) == len(self.weight_decay) > 0
        require(pairs, "weight_decay", self.weight_decay, f"{len(self.sharpness)} numbers, one a sharpness")
        require(min(self.sharpness) > 0, "sharpness", self.sharpness, "positive numbers")
        require(min(self.weight_decay) >= 0, "weight_decay", self.weight_decay, "zero or positive numbers")
        require(self.reheats >= 0, "reheats", self.reheats, "zero or positive")
        require(self.noise > 0, "noise", self.noise, "positive")

    def run(self, objective: Objective, x: Array, progress: bool = False) -> MinimizeResult:
        """Search until the system is satisfied, reheats are used up, or the search is interrupted."""
        system, random, start = objective.system, np.random.default_rng(self.seed), x
        results: list[MinimizeResult] = []
        best: MinimizeResult | None = None
        with Progress(progress, "FitSearch") as report:
            for heat in range(self.reheats + 1):
                x = self._heated(start, random) if heat else start
                for beta, mu in zip(self.sharpness, self.weight_decay, strict=True):
                    way = [_APPROACH.run(Objective(system.at(**_smooth(system, beta)), mu), x)]
                    x = way[-1].x
                    if way[-1].status != "interrupted":
                        way += _descent(system, beta, x)
                    results += way
                    if way[-1].fitted or way[-1].status == "interrupted":
                        return joined(results)
                    if best is None or way[-1].energy < best.energy:
                        best = way[-1]
                    report.say(f"reheat {heat}, β = {beta:g}, lowest U = {best.energy:.2e}")
        assert best is not None
        last = newton_for(system).run(Objective(system), best.x) if self.finish else best
        return joined([*results, last])

    def _heated(self, start: Array, random: np.random.Generator) -> Array:
        noise = random.standard_normal(len(start))
        if is_torch(start):
            noise = namespace(start).asarray(noise, dtype=start.dtype, device=start.device)
        return start + self.noise * float(start @ start / len(start)) ** 0.5 * noise


_APPROACH = ProximalNewton(gradient_tolerance=1e-2, max_steps=100, least_gain=0.03)
_DESCENT = LevenbergMarquardt(max_steps=100, least_gain=0.01)


def _descent(system: ConstrainedSystem, beta: float, x: Array) -> list[MinimizeResult]:
    """Levenberg-Marquardt without decay at β, 4β, 16β, and on the system itself."""
    results: list[MinimizeResult] = []
    for factor in (1, 4, 16) if _smooth(system, beta) else ():
        results.append(_DESCENT.run(Objective(system.at(**_smooth(system, factor * beta))), x))
        x = results[-1].x
        if results[-1].status == "interrupted":
            return results
    results.append(_DESCENT.run(Objective(system), system.canonical(x)))
    return results


def _smooth(system: ConstrainedSystem, beta: float) -> dict[str, Any]:
    """What changes in a ReLU network on the way; nothing in smooth ones."""
    kinked = getattr(system, "activation", "") == "relu" and getattr(system, "depth", 0) > 0
    return {"activation": "softplus", "beta": beta} if kinked else {}

"""Solvers in sequence, along a path of systems and weight decays."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...core.capabilities import Softened
from ...core.system import ConstrainedSystem, released
from ...support.arrays import Array
from ...support.validation import require, require_options
from ..loop import Solver
from ..objective import Objective
from ..result import MinimizeResult, joined
from ..second_order.trust_region_newton import TrustRegionNewton
from .sequence import Sequence


@dataclass(frozen=True)
class Stage:
    """One stage of a path: changes of the system, a solver, and a weight decay μ.

    If a `sharpness` β is given, the stage uses `system.softened(β)` instead of the system.

    Attributes
    ----------
    changes : mapping of str to values
        The arguments of `system.at`; the changes stay for later stages.
    solver : Solver
        `TrustRegionNewton()` by default.
    weight_decay : float
        μ of ½ μ |x|², which is added to U.
    sharpness : float or None
        β of the softened system; None: the system itself.

    Examples
    --------
    >>> import unijam as uj
    >>> uj.Stage(solver=uj.Adam(max_steps=100), weight_decay=0.1).weight_decay
    0.1
    """

    changes: Mapping[str, Any] = field(default_factory=dict)
    solver: Solver = field(default_factory=TrustRegionNewton)
    weight_decay: float = 0.0
    sharpness: float | None = None

    def __post_init__(self) -> None:
        require_options(self)
        require(isinstance(self.solver, Solver), "solver", self.solver, "a Solver, as Adam()")
        require(
            isinstance(self.changes, Mapping), "changes", self.changes, "a mapping of parameters to values"
        )
        require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "zero or positive")
        positive = self.sharpness is None or self.sharpness > 0
        require(positive, "sharpness", self.sharpness, "positive, or None")


@dataclass(frozen=True)
class Stages(Sequence):
    """A path of stages. Each stage starts from the result of the last one; the final stage has no weight decay.

    Attributes
    ----------
    stages : tuple of Stage

    Examples
    --------
    >>> import unijam as uj
    >>> path = uj.Stages((uj.Stage(solver=uj.Fire(max_steps=50)), uj.Stage(solver=uj.TrustRegionNewton())))
    >>> uj.minimize(uj.SoftSpheres.random(n=32, packing_fraction=1.0), None, path).status
    'converged'
    """

    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        several = isinstance(self.stages, Iterable) and not isinstance(self.stages, str)
        require(several, "stages", self.stages, "a sequence of Stage")
        object.__setattr__(self, "stages", tuple(self.stages))
        require(len(self.stages) > 0, "stages", self.stages, "at least one Stage")
        require(all(isinstance(s, Stage) for s in self.stages), "stages", self.stages, "a sequence of Stage")
        last = self.stages[-1]
        require(last.weight_decay == 0, "weight_decay", last.weight_decay, "0 in the last stage")
        require(last.sharpness is None, "sharpness", last.sharpness, "None in the last stage")

    def follow(
        self, objective: Objective, x: Array, progress: bool, results: list[MinimizeResult]
    ) -> MinimizeResult:
        """Run every stage; parameters as in `Sequence.follow`.

        The path ends early after an interrupt, and when the system is satisfied and later stages change nothing.
        """
        system = objective.system
        for k, stage in enumerate(self.stages):
            system = system.at(**stage.changes) if stage.changes else system
            there = system if stage.sharpness is None else _softened(system, stage.sharpness)
            local = Objective(there, stage.weight_decay, objective.conjugate, objective.mask)
            results.append(stage.solver.run(local, x, progress))
            there, x = results[-1].system, results[-1].x
            if stage.sharpness is None:
                system = there
            else:  # the next stage starts from the system itself; only the scale of the softened one is kept
                system = released(system)
                system = system if objective.conjugate is None else system.at(scale=there.scale)
            nothing_left = not any(s.changes or s.weight_decay or s.sharpness for s in self.stages[k:])
            if results[-1].status == "interrupted" or (results[-1].status == "satisfied" and nothing_left):
                break
        return joined(results)


def _softened(system: ConstrainedSystem, beta: float) -> ConstrainedSystem:
    """The system with softplus instead of ReLU; a `ValueError` if its class is not `Softened`."""
    kind = type(system).__name__
    require(isinstance(system, Softened), "sharpness", beta, f"None for {kind}, whose class is not Softened")
    soft: ConstrainedSystem = system.softened(beta)  # type: ignore[attr-defined]
    return soft

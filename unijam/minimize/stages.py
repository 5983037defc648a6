"""Solvers in sequence, along a path of systems and weight decays."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..arrays import Array
from ..validation import require, require_options
from .loop import MinimizeResult, Solver, joined
from .objective import Objective
from .trust_region_newton import TrustRegionNewton


@dataclass(frozen=True)
class Stage:
    """One stage: what changes in the system (given to `system.at`), with which solver, at which weight decay μ."""

    changes: Mapping[str, Any] = field(default_factory=dict)
    solver: Solver = field(default_factory=TrustRegionNewton)
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        require_options(self)
        require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "zero or positive")


@dataclass(frozen=True)
class Stages:
    """A path of stages; each starts where the last one stopped. The last stage has no weight decay."""

    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", tuple(self.stages))
        require(len(self.stages) > 0, "stages", self.stages, "at least one Stage")
        require(all(isinstance(s, Stage) for s in self.stages), "stages", self.stages, "a sequence of Stage")
        require(
            self.stages[-1].weight_decay == 0,
            "weight_decay",
            self.stages[-1].weight_decay,
            "0 in the last stage",
        )

    def run(self, objective: Objective, x: Array, progress: bool = False) -> MinimizeResult:
        """Run every stage; a satisfied or interrupted one ends the path where nothing is to change any more."""
        system, results = objective.system, []
        for k, stage in enumerate(self.stages):
            system = system.at(**stage.changes) if stage.changes else system
            local = Objective(system, stage.weight_decay, objective.conjugate, objective.mask)
            results.append(stage.solver.run(local, x, progress))
            system, x = results[-1].system, results[-1].x
            nothing_left = not any(s.changes or s.weight_decay for s in self.stages[k:])
            if results[-1].status == "interrupted" or (results[-1].status == "satisfied" and nothing_left):
                break
        return joined(results)

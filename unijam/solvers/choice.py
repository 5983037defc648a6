"""The choice of a method for a system and a purpose; no other file decides this."""

from typing import Literal, get_args

from ..core.capabilities import softest
from ..core.system import ConstrainedSystem
from ..core.tolerances import NEARLY_STATIONARY, STATIONARY
from ..support.validation import require
from .method import Method
from .second_order.levenberg_marquardt import LevenbergMarquardt
from .second_order.newton import newton_for
from .sequences.fit_search import FitSearch
from .sequences.rounds import Rounds
from .sequences.stages import Stage, Stages

Purpose = Literal[
    "minimum", "nearby minimum", "replicas", "next state", "same branch", "stage", "polish", "minimum below"
]


def solver_for(system: ConstrainedSystem, purpose: Purpose = "minimum") -> Method:
    """Choose a method from properties of the system: `sparse`, `kinked`, `matrix_free`, its scale, its ReLU.

    Parameters
    ----------
    system : ConstrainedSystem
    purpose : str
        "minimum"
            Any minimum. Sparse systems: rounds of descent and Newton's method. ReLU networks of free weights: a search
            for U = 0 that ends at a minimum if it fails. Other systems: as "nearby minimum".
        "nearby minimum"
            The minimum to which the start leads. Sparse systems: rounds. Dense ones: Newton's method, if the system
            has no scale after a few Levenberg-Marquardt steps.
        "replicas"
            For many starts that run at once: a single solver that satisfies a system in few steps.
        "next state"
            The minimum that a state becomes when its scale is changed: Newton's method first, for sparse systems too.
        "same branch"
            The minimum that a state becomes when a few data are removed: Newton's method without a search, which
            might find another branch.
        "stage"
            A minimum of U − τλ near the last state, for `jam`. Dense systems: to the accuracy that kinks allow.
        "polish"
            From such a state to the relative gradient that the next state of a branch starts from.
        "minimum below"
            The minimum below a state that descent has reached, in few Newton steps.

    Returns
    -------
    Method

    Raises
    ------
    ValueError
        The purpose is not one of these.
    """
    known = get_args(Purpose)
    require(purpose in known, "purpose", purpose, f"one of {', '.join(known)}")
    if purpose == "replicas":
        return LevenbergMarquardt()
    if system.sparse:
        if purpose in ("same branch", "stage", "polish"):
            return Rounds(STATIONARY, newton_first=True)
        return Rounds(newton_first=purpose == "next state")
    # The limits of steps below are guards: a stage, a polish or a step down that needs more is given up.
    if purpose == "stage":
        return newton_for(system, NEARLY_STATIONARY, max_steps=300)
    if purpose == "same branch":
        return newton_for(system, STATIONARY)
    if purpose == "polish":
        return newton_for(system, STATIONARY, max_steps=50)
    if purpose == "minimum below":
        return newton_for(system, max_steps=100)
    if purpose == "minimum" and _to_be_searched(system):
        return FitSearch(reheats=0)
    if system.scale is not None:
        return newton_for(system)
    # Levenberg-Marquardt reaches U = 0 in few steps; if it does not get there, Newton's method starts where it stopped.
    quick = LevenbergMarquardt(gradient_tolerance=1e-4, max_steps=300)
    return Stages((Stage(solver=quick), Stage(solver=newton_for(system))))


def _to_be_searched(system: ConstrainedSystem) -> bool:
    """Whether the default is a search for U = 0, from smooth systems to the one with kinks (docs/decisions/040).

    It is for ReLU networks without a scale whose U can vanish, and whose only kinks are those of ReLU.
    """
    softens = softest(system) is not None and system.control is None
    hinge = bool(system.potential.finite_range) and not system.potential.kink
    return softens and hinge and not system.matrix_free

"""Which method suits a system and a purpose: the only place where that is decided."""

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
    """Choose a method by what the system says of itself: `sparse`, `kinked`, `matrix_free`, its scale, its ReLU.

    Parameters
    ----------
    system : ConstrainedSystem
    purpose : str
        "minimum"
            Any. Sparse: rounds of descent and Newton. A ReLU network of free weights is searched for U = 0, and taken
            to a minimum where that fails. Else as "nearby minimum".
        "nearby minimum"
            Where the start leads. Sparse: rounds; dense: Newton, after a few Levenberg-Marquardt steps where no
            scale moves.
        "replicas"
            One of many starts that run at once: a single solver that is quick to a satisfied system.
        "next state"
            The minimum that a state becomes when its scale is set: Newton's method first, for sparse systems too.
        "same branch"
            The minimum that a state becomes when a few data are taken away: Newton's method alone, so that another
            branch is not looked for.
        "stage"
            A minimum of U − τλ near the last state, on the way of `jam`. Dense: only as near as kinks let it come.
        "polish"
            From such a state on to the relative gradient that a branch goes on from.
        "minimum below"
            The minimum under a state that descent has reached, in few Newton steps.

    Returns
    -------
    Method

    Raises
    ------
    ValueError
        Where the purpose is none of these.
    """
    known = get_args(Purpose)
    require(purpose in known, "purpose", purpose, f"one of {', '.join(known)}")
    if purpose == "replicas":
        return LevenbergMarquardt()
    if system.sparse:
        if purpose in ("same branch", "stage", "polish"):
            return Rounds(STATIONARY, newton_first=True)
        return Rounds(newton_first=purpose == "next state")
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
    quick = LevenbergMarquardt(gradient_tolerance=1e-4, max_steps=300)
    return Stages((Stage(solver=quick), Stage(solver=newton_for(system))))


def _to_be_searched(system: ConstrainedSystem) -> bool:
    """Whether U = 0 is worth a search of its own, from smooth systems to those with kinks."""
    softens = softest(system) is not None and system.control is None
    hinge = bool(system.potential.finite_range) and not system.potential.kink
    return softens and hinge and not system.matrix_free

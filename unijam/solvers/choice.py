"""Which solver suits a system: the only place where that is decided."""

import scipy.sparse as sp

from ..core.system import ConstrainedSystem
from .loop import Solver
from .second_order.levenberg_marquardt import LevenbergMarquardt
from .second_order.newton import newton_for
from .sequences.fit_search import FitSearch
from .sequences.rounds import Rounds
from .sequences.stages import Stage, Stages


def is_sparse(system: ConstrainedSystem) -> bool:
    """Whether the system's Jacobian is sparse."""
    if system.matrix_free:
        return False
    c = system.constraints(system.initial)
    return sp.issparse(c.jacobian(c.overlaps & False))


def default_solver(system: ConstrainedSystem, nearby: bool = False) -> Solver | Stages | Rounds | FitSearch:
    """Sparse: rounds of descent and Newton; with a scale: Newton; without: Levenberg-Marquardt first.

    A ReLU network of free weights is searched for U = 0, and taken to a minimum by `softplus_to_relu` where that
    fails, unless the minimum wanted is one nearby.
    """
    if is_sparse(system):
        return Rounds()
    if not nearby and _to_be_searched(system):
        return FitSearch(reheats=0)
    newton = newton_for(system)
    if system.scale is not None:
        return newton
    quick = LevenbergMarquardt(gradient_tolerance=1e-4, max_steps=300)
    return Stages((Stage(solver=quick), Stage(solver=newton)))


def _to_be_searched(system: ConstrainedSystem) -> bool:
    """Whether U = 0 is worth a search of its own, from smooth systems to those with kinks."""
    softens = system.softest is not None and system.control is None
    hinge = bool(system.potential.finite_range) and not system.potential.kink
    return softens and hinge and not system.matrix_free

"""Which solver suits a system: the only place where that is decided."""

import scipy.sparse as sp

from ..system import ConstrainedSystem
from .levenberg_marquardt import LevenbergMarquardt
from .loop import Solver
from .rounds import Rounds
from .stages import Stage, Stages
from .trust_region_newton import TrustRegionNewton


def is_sparse(system: ConstrainedSystem) -> bool:
    """Whether the system's Jacobian is sparse."""
    c = system.constraints(system.initial)
    return sp.issparse(c.jacobian(c.overlaps))


def default_solver(system: ConstrainedSystem) -> Solver | Stages | Rounds:
    """Sparse: rounds of descent and Newton; dense with a scale: Newton; dense without: Levenberg-Marquardt first."""
    if is_sparse(system):
        return Rounds()
    newton = TrustRegionNewton()
    if system.scale is not None:
        return newton
    quick = LevenbergMarquardt(gradient_tolerance=1e-4, max_steps=300)
    return Stages((Stage(solver=quick), Stage(solver=newton)))

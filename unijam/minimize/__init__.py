"""Minimisers: one loop, one solver a file, one entry."""

from ..arrays import Array
from ..system import ConstrainedSystem
from ..validation import require, require_positions
from .adam import Adam
from .conjugate_gradient import ConjugateGradient
from .default import default_solver
from .fire import Fire
from .gradient_descent import GradientDescent
from .levenberg_marquardt import LevenbergMarquardt
from .loop import MinimizeResult, Record, Solver
from .objective import Objective, Point
from .rounds import Rounds
from .stages import Stage, Stages
from .trust_region_newton import TrustRegionNewton

__all__ = [
    "Adam",
    "ConjugateGradient",
    "Fire",
    "GradientDescent",
    "LevenbergMarquardt",
    "MinimizeResult",
    "Objective",
    "Point",
    "Record",
    "Rounds",
    "Solver",
    "Stage",
    "Stages",
    "TrustRegionNewton",
    "default_solver",
    "minimize",
]


def minimize(
    system: ConstrainedSystem,
    x0: Array | None = None,
    solver: Solver | Stages | Rounds | None = None,
    *,
    progress: bool = False,
) -> MinimizeResult:
    """Minimise the energy U of a system.

    Parameters
    ----------
    system : ConstrainedSystem
    x0 : (n_dof,) array, optional
        Where to start; `system.initial` by default.
    solver : Solver, Stages or Rounds, optional
        One that suits the system by default.
    progress : bool
        Show a line that says where the work stands.

    Returns
    -------
    MinimizeResult
        An interrupt (Ctrl-C) returns what was reached, with the status "interrupted".

    Raises
    ------
    ValueError
        Where x0 has the wrong shape or holds NaN.

    Examples
    --------
    >>> import unijam as uj
    >>> uj.minimize(uj.SoftSpheres.random(n=64, packing_fraction=0.9)).status
    'converged'
    """
    require(solver is None or hasattr(solver, "run"), "solver", solver, "a Solver, Stages or Rounds")
    x = require_positions(system, system.initial if x0 is None else x0)
    return (solver or default_solver(system)).run(Objective(system), x, progress)

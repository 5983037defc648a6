"""`minimize`, the entrance to all solvers."""

from dataclasses import replace
from typing import Any, cast

import numpy as np

from ..core.border import require_positions, require_system
from ..core.system import ConstrainedSystem
from ..support.arrays import Array, private
from ..support.interrupts import deferred
from ..support.validation import require
from .choice import solver_for
from .history import Watch
from .kink_probe import KINK, ends_at_kink
from .loop import Solver
from .method import Method
from .objective import Objective
from .replicas.run import ReplicaResult, run_replicas
from .result import MinimizeResult, joined, unless_interrupted
from .resume import goes_on
from .ritz import looked_at


def minimize(
    system: ConstrainedSystem,
    x0: Array | MinimizeResult | None = None,
    solver: Method | None = None,
    *,
    watch: Watch | None = None,
    progress: bool = False,
) -> MinimizeResult:
    """Minimise the energy U of a system.

    Parameters
    ----------
    system : ConstrainedSystem
    x0 : (n_dof,) or (…, n_dof) array or MinimizeResult, optional
        The start; `system.initial` by default. A result of the same system (the same object, or one with equal
        attributes) and of a solver of the same class is resumed, as if the run had not been stopped: steps, seconds
        and history include those of the result. Of any other result only x is used. Leading axes number replicas,
        which run at once (x must be a tensor); the fields of the result have the same axes.
    solver : Method, optional
        A solver, such as `Adam()`, a sequence of solvers (`Stages`, `Rounds`, `FitSearch`), or your own `Solver` or
        `Method`. The default depends on the system; for replicas it is `LevenbergMarquardt`. For a ReLU network of
        free weights and without x0 it searches for U = 0 from smooth networks, and ends at a minimum if it fails; with
        x0 it finds a minimum nearby.
    watch : Watch, optional
        What a single solver records, and when it stops early.
    progress : bool
        Show a line of progress.

    Returns
    -------
    MinimizeResult
        After Ctrl-C, the state reached, with `interrupted` True. An unfinished run has the status "interrupted", a
        finished one keeps its own. A loop over runs should test `interrupted`; between two runs Ctrl-C raises
        KeyboardInterrupt as usual.

    Raises
    ------
    ValueError
        x0 has the wrong shape or holds NaN, or a `watch` is given for a sequence of solvers.

    Examples
    --------
    >>> import unijam as uj
    >>> uj.minimize(uj.SoftSpheres.random(n=64, packing_fraction=0.9)).status
    'converged'
    """
    with deferred(told=True) as ctrl_c:
        found = _minimized(system, x0, solver, watch, progress)
    if not ctrl_c.pressed:
        return found
    if isinstance(found, ReplicaResult):
        return replace(found, interrupted=np.full(np.shape(found.status), True))  # type: ignore[arg-type]
    return replace(found, interrupted=True)


def _minimized(
    system: ConstrainedSystem,
    x0: Array | MinimizeResult | None,
    solver: Method | None,
    watch: Watch | None,
    progress: bool,
) -> MinimizeResult:
    require_system(system)
    known = solver is None or isinstance(solver, Method)
    require(known, "solver", solver, "a Solver, Stages, Rounds or FitSearch, as Adam()")
    require(not isinstance(x0, Method), "x0", x0, "positions, a result or None; the solver comes after it")
    require(watch is None or isinstance(watch, Watch), "watch", watch, "a Watch or None")
    earlier = x0 if isinstance(x0, MinimizeResult) else None
    start = x0 if earlier is None else earlier.x
    x = private(require_positions(system, system.initial if start is None else start, replicas=True))
    several = x.ndim > 1
    purpose: Any = "replicas" if several else "minimum" if x0 is None else "nearby minimum"
    method = solver or solver_for(system, purpose)
    if several:
        require(isinstance(method, Solver), "solver", method, "a single Solver where x has leading axes")
    if earlier is not None and not goes_on(system, method, earlier):
        earlier = None
    found = _run(method, system if earlier is None else earlier.system, x, watch, progress, earlier)
    name = type(method).__name__
    if not several:
        found = unless_interrupted(_examined, found)
    return replace(found, solver=name)


def _examined(found: MinimizeResult) -> MinimizeResult:
    """The result, once curvature and kinks have been looked for at its x."""
    found = looked_at(found)
    unknown = found.status in ("saddle", "stalled", "step-limit") and not found.interrupted
    if unknown and ends_at_kink(found.system, found.x):
        status = "stalled" if found.status == "saddle" else found.status
        return replace(found, reason=KINK, status=status)
    return found


def _run(
    method: Method,
    system: ConstrainedSystem,
    x: Array,
    watch: Watch | None,
    progress: bool,
    earlier: MinimizeResult | None,
) -> MinimizeResult:
    """The result of a method from x, (n_dof,) or (…, n_dof), joined with the earlier result that it resumes."""
    if isinstance(method, Solver):
        if x.ndim > 1:
            return run_replicas(method, system, x, watch, cast(ReplicaResult | None, earlier))
        return method.run(Objective(system), x, progress, watch, earlier)
    path = type(method).__name__
    require(
        watch is None, "watch", watch, f"None for a path of solvers, as {path}; a single Solver is watched"
    )
    found = method.run(Objective(system), x, progress)
    return found if earlier is None else joined([earlier, found])

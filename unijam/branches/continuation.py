"""A branch of minima: raised above jamming, followed down at a prescribed conjugate force τ, or set to a scale.

Minimising U − τλ over (x, λ) keeps a state of given τ = ∂U/∂λ, which cannot lose its overlaps; lowered to zero it
runs down its branch to the jamming point.
"""

import math
from collections.abc import Callable

from ..core.capabilities import Softened, redundancy, softest
from ..core.system import ConstrainedSystem, released
from ..core.tolerances import STATIONARY
from ..solvers import Method, MinimizeResult, Objective, TrustRegionNewton, joined, solver_for
from ..solvers.sequences.softplus_to_relu import rising
from ..support.arrays import Array

MAX_LOG_STEP = math.log(10.0)  # of τ, one stage
STARTS = (0.3, 0.2, 0.45)  # scales at which the quench of a ReLU network begins: much higher ones cost units
SOFTEST = 4.0  # β of the softplus it begins with
MIN_LOG_STEP = math.log(1.02)
RISE, MOST_RISE = 0.05, 10.0  # of a satisfied system's scale, in its units: at first, and at most
GENTLE_RISE = 0.2  # at most where the unit grows with the scale, as the mean diameter does
LEAST_RISE = 1e-3  # below which a scale that the system refuses is not come any nearer to


def conjugate_force(system: ConstrainedSystem, x: Array) -> float:
    """τ = ∂U/∂λ = Σ u' c.

    Parameters
    ----------
    system : ConstrainedSystem
        One with a scale λ.
    x : (n_dof,) array

    Returns
    -------
    float
        In units of U/λ; for packings λτ = d V p for contacts whose Δ is linear in all lengths.

    Raises
    ------
    ValueError
        Where x has a wrong shape, or Δ is not finite there.

    Examples
    --------
    >>> import unijam as uj
    >>> state = uj.minimize(uj.Perceptron.random(n=20, load=4.0, margin=0.5))
    >>> tau = uj.conjugate_force(state.system, state.x)  # Σ u' for a margin, c = 1
    >>> round(tau / float(state.system.constraints(state.x).delta.clamp(min=0).sum()), 6)
    1.0
    """
    c = system.constraints(x)
    return float(system.potential.force(c.delta) @ c.loading())


def distance_to_threshold(state: MinimizeResult) -> float:
    """aU/τ (2U/τ for the harmonic potential): how far a state near jamming lies above the threshold of its branch.

    Parameters
    ----------
    state : MinimizeResult
        A minimum with overlaps, of a system with a scale.

    Returns
    -------
    float
        In units of the scale λ (packings: of the mean diameter; networks: of the margin).

    Examples
    --------
    >>> import unijam as uj
    >>> packing = uj.jam(uj.SoftSpheres.random(n=64, packing_fraction=0.9), excess=1e-3)
    >>> state = packing.settled()  # φ ∝ λ², so that Δφ/φ ≈ 2 Δλ/λ
    >>> 0.3 < 2 * uj.distance_to_threshold(state) / state.system.scale / (1e-3 / packing.control) < 3
    True
    """
    if state.energy <= 0:
        return 0.0
    return state.system.potential.exponent * state.energy / conjugate_force(state.system, state.x)


def quench(system: ConstrainedSystem, x: Array) -> MinimizeResult:
    """A state above jamming; where there are softened systems and x is the system's own start, by way of those.

    Lowered from the start as it is, a ReLU network loses units, and traps data: of those the first layer feels
    nothing any more, and two of different labels leave no threshold but 0. A way that traps some is begun anew.
    """
    if softest(system) is None or not bool((x == system.initial).all()):
        return _raised(system, x)
    for start in STARTS:
        state = _by_smooth_ones(system, x, min(system.scale or 0.0, start))
        if state.status in ("satisfied", "interrupted") or not redundancy(state.system, state.x).trapped:
            break
    return state


def _by_smooth_ones(system: ConstrainedSystem, x: Array, scale: float) -> MinimizeResult:
    """Softplus of rising β at falling τ, then the network itself."""
    rough, system, (first, *sharper) = TrustRegionNewton(1e-2, 60), released(system), rising(SOFTEST)
    state = _raised(_softened(system, scale, first), x, rough)
    if state.status in ("satisfied", "interrupted"):
        return state
    tau = conjugate_force(state.system, state.x)
    for beta in sharper:
        tau *= math.exp(-MAX_LOG_STEP / 2)
        soft = _softened(system, state.system.scale, beta)
        state = rough.run(Objective(soft, conjugate=tau), state.x)
        if state.status == "interrupted":
            return state
    return settle(Objective(system.at(scale=state.system.scale), conjugate=tau), state.x)


def _softened(system: ConstrainedSystem, scale: float | None, beta: float) -> ConstrainedSystem:
    """The system at a scale, with softplus of sharpness β for ReLU."""
    assert isinstance(system, Softened)
    soft: ConstrainedSystem = system.at(scale=scale).softened(beta)
    return soft


def _raised(system: ConstrainedSystem, x: Array, solver: Method | None = None) -> MinimizeResult:
    """A minimum; while it is satisfied the scale is raised, by twice as much each time.

    Where the system refuses a scale (a particle wider than half the box), it is raised by less from then on.
    """
    rise, free = RISE, True
    while True:
        method = solver or solver_for(system, "nearby minimum")
        state = method.run(Objective(system), x)
        if state.status != "satisfied" or rise > MOST_RISE:
            return state
        scale = system.scale or 0.0
        while refusal(system, scale + rise * system.unit):
            rise, free = rise / 2, False
            if rise < LEAST_RISE:
                return state
        raised = system.at(scale=scale + rise * system.unit)
        if free:
            rise = 2 * rise if raised.unit == system.unit else min(2 * rise, GENTLE_RISE)
        system = raised


def refusal(system: ConstrainedSystem, scale: float) -> str:
    """Why a system cannot have a scale, "" where it can."""
    try:
        system.at(scale=scale)
    except ValueError as error:
        return str(error)
    return ""


def settle(objective: Objective, x: Array) -> MinimizeResult:
    """A minimum of U − τλ near x; Newton's first step from a state of the branch is the tangent to it.

    Near kinks Newton's method may not come as near as `certify` asks: what it has reached then will do.
    """
    system = objective.system
    state = solver_for(system, "stage").run(objective, x)
    if system.sparse or state.status != "converged" or state.relative_gradient <= STATIONARY:
        return state
    nearer = solver_for(system, "polish").run(objective.on(state.system), state.x)
    return joined([state, nearer]) if nearer.status in ("converged", "interrupted") else state


def at_scale(state: MinimizeResult, scale: float) -> MinimizeResult:
    """The minimum that a state becomes when its scale is set."""
    system = state.system.at(scale=scale)
    return solver_for(system, "next state").run(Objective(system), state.x)


def walk(
    state: MinimizeResult,
    arrived: Callable[[MinimizeResult], bool],
    keep: Callable[[MinimizeResult], None],
    sign: int = -1,
) -> str:
    """Lower τ, or raise it (sign +1), until a state has arrived, handing each to `keep`; the status of the way.

    A stage that fails is retried from the last state with half the logarithmic step.
    """
    tau = conjugate_force(state.system, state.x)
    step, objective = MAX_LOG_STEP / 2, Objective(state.system, conjugate=tau)
    while not arrived(state):
        step = min(
            step, MAX_LOG_STEP / 2 if state.typical_overlap > 0.05 * state.system.unit else MAX_LOG_STEP
        )
        objective = objective.going_on(state.system, conjugate=tau * math.exp(sign * step))
        following = settle(objective, state.x)
        if following.status == "interrupted":
            return "interrupted"
        if following.status == "converged" and following.n_overlaps:
            state, tau = following, tau * math.exp(sign * step)
            keep(state)
            step *= 2
        else:
            step /= 2
            if step < MIN_LOG_STEP:
                return following.status if following.status != "converged" else "stalled"
    return state.status

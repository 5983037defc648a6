"""Continuation: a state is raised above jamming, moved along its branch by the conjugate force τ, or set to a scale.

Minimising U − τλ over (x, λ) gives a state with the prescribed τ = ∂U/∂λ, which cannot lose all of its overlaps. As τ
is lowered to zero, the state moves down its branch to the jamming point (docs/decisions/056).
"""

import math
from collections.abc import Callable

from ..core.capabilities import Softened, redundancy, softest
from ..core.system import ConstrainedSystem, released
from ..core.tolerances import STATIONARY
from ..solvers import Method, MinimizeResult, Objective, TrustRegionNewton, joined, solver_for
from ..solvers.sequences.softplus_to_relu import rising
from ..support.arrays import Array

MAX_LOG_STEP = math.log(10.0)  # the largest change of log τ in one stage
# Scales at which the quench of a ReLU network begins, tried in this order. At much higher ones hidden units die
# (docs/decisions/041).
STARTS = (0.3, 0.2, 0.45)
SOFTEST = 4.0  # the sharpness β of the softplus with which this quench begins
MIN_LOG_STEP = math.log(1.02)  # a path ends if a stage with a smaller change of log τ fails
# The scale of a satisfied system is raised by the first number, in its units, then by twice as much each time, until a
# rise exceeds the second number.
RISE, MOST_RISE = 0.05, 10.0
# The largest rise if the unit grows with the scale, as the mean diameter of a packing does.
GENTLE_RISE = 0.2
# If the system refuses a scale, the rise is halved; below this value raising ends (docs/decisions/075).
LEAST_RISE = 1e-3


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
        In units of U/λ. For packings whose Δ is linear in all lengths, λτ = d V p.

    Raises
    ------
    ValueError
        x has a wrong shape, or Δ is not finite there.

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
    """aU/τ (2U/τ for the harmonic potential): the distance of a state near jamming from the threshold of its branch.

    Parameters
    ----------
    state : MinimizeResult
        A minimum with overlaps of a system with a scale.

    Returns
    -------
    float
        In units of the scale λ (for packings those of the mean diameter, for networks those of the margin); 0 if U = 0.

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
    """A state above jamming from x, (n_dof,): a minimum with overlaps, at the system's scale or a higher one.

    A ReLU network that starts from its own `initial` begins with softplus. Begun with ReLU it would lose units and trap
    data, whose signal vanishes before the first layer; two trapped data of different labels leave no threshold but 0.
    If data are trapped all the same, the quench is repeated from another scale. The status is "satisfied" if overlaps
    cannot be made.
    """
    if softest(system) is None or not bool((x == system.initial).all()):
        return _raised(system, x)
    for start in STARTS:
        state = _by_smooth_ones(system, x, min(system.scale or 0.0, start))
        if state.status in ("satisfied", "interrupted") or not redundancy(state.system, state.x).trapped:
            break
    return state


def _by_smooth_ones(system: ConstrainedSystem, x: Array, scale: float) -> MinimizeResult:
    """A state of a ReLU network, by softplus of rising β at falling τ, then ReLU."""
    # smooth states are only starts for the next one: a relative gradient of 1e-2 is enough
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
    """The system at a scale, with softplus of sharpness β instead of ReLU."""
    assert isinstance(system, Softened)
    soft: ConstrainedSystem = system.at(scale=scale).softened(beta)
    return soft


def _raised(system: ConstrainedSystem, x: Array, solver: Method | None = None) -> MinimizeResult:
    """A minimum from x, (n_dof,). As long as it is satisfied the scale is raised, by twice as much each time.

    If the system refuses a scale (a particle wider than half the box), the scale is raised by less from then on.
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
    """The sentence with which a system refuses a scale; "" if it does not."""
    try:
        system.at(scale=scale)
    except ValueError as error:
        return str(error)
    return ""


def settle(objective: Objective, x: Array) -> MinimizeResult:
    """A minimum of U − τλ near x, (n_dof,). From a state of the branch, Newton's first step follows its tangent.

    Near kinks Newton's method may not reach the relative gradient that `certify` asks for; the state at which it stops
    is then returned (docs/decisions/048).
    """
    system = objective.system
    state = solver_for(system, "stage").run(objective, x)
    if system.sparse or state.status != "converged" or state.relative_gradient <= STATIONARY:
        return state
    nearer = solver_for(system, "polish").run(objective.on(state.system), state.x)
    return joined([state, nearer]) if nearer.status in ("converged", "interrupted") else state


def at_scale(state: MinimizeResult, scale: float) -> MinimizeResult:
    """The minimum that a state moves to when its scale is changed to `scale`."""
    system = state.system.at(scale=scale)
    return solver_for(system, "next state").run(Objective(system), state.x)


def walk(
    state: MinimizeResult,
    arrived: Callable[[MinimizeResult], bool],
    keep: Callable[[MinimizeResult], None],
    sign: int = -1,
) -> str:
    """Move a state along its branch: lower τ, or raise it, in stages. The status of the path is returned.

    A stage that fails is tried again from the last state with half the logarithmic step.

    Parameters
    ----------
    state : MinimizeResult
        A minimum with overlaps.
    arrived : function of a state
        Whether the path ends there.
    keep : function of a state
        Called with each new state.
    sign : int
        −1 to lower τ, +1 to raise it.

    Returns
    -------
    str
        The status of the last state if it has arrived; otherwise that of the stage that failed, or "stalled".
    """
    tau = conjugate_force(state.system, state.x)
    step, objective = MAX_LOG_STEP / 2, Objective(state.system, conjugate=tau)
    while not arrived(state):
        # while overlaps are large, above 0.05 units, τ changes by √10 at most
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

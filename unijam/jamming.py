"""jam: from a system to its jamming point, by letting its scale λ move while the conjugate force τ is lowered.

Δ = λ c − g(x), so ∂U/∂λ = Σ u'c. Minimising U − τλ over (x, λ) keeps a state of prescribed τ, which cannot lose
its overlaps; as τ → 0 the state runs down its branch to the threshold, λ_J = λ − 2U/τ for the harmonic potential.
"""

import math
import time
from dataclasses import dataclass

from .arrays import Array
from .minimize import MinimizeResult, Objective, Rounds, TrustRegionNewton, minimize
from .minimize.default import is_sparse
from .minimize.progress import Progress
from .system import ConstrainedSystem
from .validation import require_positions

STATIONARY = 1e-7  # relative gradient of a state on the way
MAX_LOG_STEP = math.log(10.0)  # of τ, one stage
MIN_LOG_STEP = math.log(1.02)


@dataclass(frozen=True)
class JamResult:
    """A system at its jamming point, and the way there.

    Attributes
    ----------
    system, x
        The state nearest to jamming that was reached.
    control, threshold : float
        The system's control parameter (a packing fraction, a margin) in that state, and at the jamming point.
    status : str
        "converged" only where the last state is a converged minimum with √(2U/N_Δ) ≤ `system.jamming_overlap`;
        else what ended the way ("stalled", "saddle", "step-limit", "interrupted").
    reason : str
        One sentence where the status is not "converged".
    states : tuple of MinimizeResult
        Converged minima from the first quench to the last state, each with its own `.system`.
    distances : tuple of float
        2U/τ of each state: how far its scale lies from the threshold.
    seconds : float
    """

    system: ConstrainedSystem
    x: Array
    control: float
    threshold: float
    status: str
    reason: str
    states: tuple[MinimizeResult, ...]
    distances: tuple[float, ...]
    seconds: float

    def settled(self, relative_gradient: float = 1e-6) -> MinimizeResult:
        """The state nearest to jamming whose relative gradient is at most this (rounding raises it on the way)."""
        fit = [s for s in self.states if s.relative_gradient <= relative_gradient]
        return (fit or list(self.states))[-1]


def conjugate_force(system: ConstrainedSystem, x: Array) -> float:
    """τ = ∂U/∂λ = Σ u' c."""
    c = system.constraints(x)
    return float(system.potential.force(c.delta) @ c.loading())


def distance_to_threshold(state: MinimizeResult) -> float:
    """2U/τ: how far the scale of a converged state lies above the threshold of its branch."""
    return 2 * state.energy / conjugate_force(state.system, state.x) if state.energy > 0 else 0.0


def jam(system: ConstrainedSystem, x0: Array | None = None, *, progress: bool = False) -> JamResult:
    """Bring a system to its jamming point.

    A quench at the system's own scale (raised where that is satisfied), then stages of τ lowered tenfold, each a
    true minimum of U − τλ; a stage that fails is retried from the last state with half the logarithmic step.

    Parameters
    ----------
    system : ConstrainedSystem
        One with a `control`: discs, ellipses, perceptrons, networks with spherical weights.
    x0 : (n_dof,) array, optional
        Where to start; `system.initial` by default.
    progress : bool
        Show a line that says where the work stands.

    Raises
    ------
    ValueError
        Where the system has no scale, or x0 has a wrong shape or holds NaN.

    Examples
    --------
    >>> import unijam as uj
    >>> packing = uj.jam(uj.SoftSpheres.random(n=64, radii="uniform", packing_fraction=0.9))
    >>> uj.count_constraints(packing.system, packing.x).ratio > 1
    True
    """
    if system.scale is None:
        raise ValueError(
            f"control = None is not valid: jam needs a system with a scale, and this {type(system).__name__} has "
            "none (free weights can scale their output at will); find_transition looks for its transition instead."
        )
    begin = time.perf_counter()
    x = require_positions(system, system.initial if x0 is None else x0)
    states: list[MinimizeResult] = []
    with Progress(progress, "jam") as report:
        try:
            status = _descend(system, x, states, report)
        except KeyboardInterrupt:
            if not states:
                raise
            status = "interrupted"
    last = states[-1]
    if status == "converged" and last.typical_overlap > system.jamming_overlap:
        status = "stalled"
    distances = tuple(distance_to_threshold(s) for s in states)
    threshold_scale = (last.system.scale or 0.0) - distances[-1]
    name = str(system.control)
    threshold = float(getattr(last.system.at(scale=threshold_scale), name)) if threshold_scale else 0.0
    reason = "" if status == "converged" else f"the way down ended at √(2U/N_Δ) = {last.typical_overlap:.1e}."
    if system.least_threshold is not None and threshold < system.least_threshold:
        status = "stalled"
        reason = f"{name} at the threshold is {threshold:.1e}, below {system.least_threshold:g}: a trivial solution."
    return JamResult(
        last.system,
        last.x,
        float(getattr(last.system, name)),
        threshold,
        status,
        reason,
        tuple(states),
        distances,
        time.perf_counter() - begin,
    )


def _descend(system: ConstrainedSystem, x: Array, states: list[MinimizeResult], report: Progress) -> str:
    """Append the states on the way; the status of the way."""
    state = _quench(system, x)
    states.append(state)
    if state.status in ("interrupted", "satisfied"):
        return "stalled" if state.status == "satisfied" else state.status
    tau = conjugate_force(state.system, state.x)
    step = MAX_LOG_STEP / 2
    while state.typical_overlap > system.jamming_overlap:
        step = min(step, MAX_LOG_STEP / 2 if state.typical_overlap > 0.05 else MAX_LOG_STEP)
        below = _settle(state.system, state.x, tau * math.exp(-step))
        report.say(f"√(2U/N_Δ) = {below.typical_overlap:.1e}, {below.n_overlaps} overlaps, {below.status}")
        if below.status == "interrupted":
            return "interrupted"
        if below.status == "converged" and below.n_overlaps:
            state, tau = below, tau * math.exp(-step)
            states.append(state)
            step *= 2
        else:
            step /= 2
            if step < MIN_LOG_STEP:
                return below.status if below.status != "converged" else "stalled"
    return state.status


def _quench(system: ConstrainedSystem, x: Array) -> MinimizeResult:
    """A state above jamming: the scale is raised, twice as much each time, while the quench is satisfied."""
    rise = 0.05
    while True:
        state = minimize(system, x)
        if state.status != "satisfied" or rise > 10:
            return state
        system, rise = system.at(scale=(system.scale or 0.0) + rise), 2 * rise


def _settle(system: ConstrainedSystem, x: Array, tau: float) -> MinimizeResult:
    """A minimum of U − τλ near the last state; Newton's first step from there is the tangent to the branch."""
    sparse = is_sparse(system)
    solver = Rounds(STATIONARY, newton_first=True) if sparse else TrustRegionNewton(STATIONARY, max_steps=300)
    return solver.run(Objective(system, conjugate=tau), x)

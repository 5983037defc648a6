"""`jam`: takes a system to its jamming point, or to a given state above it, with a scale λ that moves.

Δ = λ c − g(x), so ∂U/∂λ = Σ u'c = τ. As τ is lowered, a state moves down its branch to the threshold λ_J = λ − 2U/τ
(harmonic potential).
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..core.border import require_positions, require_system
from ..core.capabilities import HasPressure, Layered
from ..core.system import ConstrainedSystem
from ..core.tolerances import QUOTED
from ..solvers import MinimizeResult, Objective, solver_for
from ..support.arrays import Array, private
from ..support.interrupts import deferred, is_interrupt
from ..support.printing import Brief
from ..support.progress import Progress
from ..support.validation import Finite, Positive, checked, require, require_finite
from .continuation import (
    LEAST_RISE,
    at_scale,
    conjugate_force,
    distance_to_threshold,
    quench,
    refusal,
    settle,
    walk,
)

# If a path to a higher pressure ends, and the system refuses 1.1 times the last scale, that refusal is the reason.
NEAR_REFUSAL = 1.1


@dataclass(frozen=True, eq=False, repr=False)
class JamResult(Brief):
    """A system at its jamming point, or at the state asked for, and the states on the path to it.

    Attributes
    ----------
    system, x : ConstrainedSystem, (n_dof,) array
        The state reached.
    control, threshold : float
        The system's control parameter (a packing fraction, a margin) in that state, and at the jamming point of its
        branch. The threshold is extrapolated from the state of least energy, and exact only if that is near jamming.
        It is NaN if no state bore force.
    status : str
        "converged" only if the state reached is a converged minimum and the one asked for; at jamming this means
        √(2U/N_Δ) ≤ `system.jamming_overlap` units, or 100 rounding errors of Δ (single precision). "satisfied": no
        overlap is left there (unjammed). Otherwise, how the path ended: "stalled", "saddle", "step-limit" or
        "interrupted".
    reason : str
        One sentence, if the status is not "converged".
    states : tuple of MinimizeResult
        The converged minima of the path, each with its own `.system`, in the order in which they were found: by falling
        τ on the path to jamming. With a target, the last one is the state asked for.
    distances : tuple of float
        The scale of each state minus the threshold.
    seconds : float
    target : str
        The kind of state asked for: "jamming", "pressure", "packing_fraction", "margin" or "excess".
    interrupted : bool
        Whether Ctrl-C was pressed, even if too late to change the result: a loop over runs should end.

    Examples
    --------
    >>> import unijam as uj
    >>> packing = uj.jam(uj.SoftSpheres.random(n=32, packing_fraction=0.9))
    >>> packing.status, packing.states[-1].energy < packing.states[0].energy
    ('converged', True)
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
    target: str = "jamming"
    interrupted: bool = False

    def settled(self, relative_gradient: float = QUOTED) -> MinimizeResult:
        """The minimum that measurements should use.

        With a target it is the state reached. At jamming it is the state closest to jamming whose relative gradient is
        at most `relative_gradient`: rounding raises the relative gradient on the path. If there is none, it is the last
        state, whose `relative_gradient` should be checked.

        Raises
        ------
        ValueError
            The state asked for was not reached, or has no overlaps ("satisfied"); at jamming, no state converged.
        """
        if self.target != "jamming":
            wanted = f"'converged' for the {self.target} asked for to be settled"
            require(self.status == "converged", "status", self.status, wanted)
            return self.states[-1]
        require(len(self.states) > 0, "states", self.states, "at least one state that converged")
        fit = [s for s in self.states if s.relative_gradient <= relative_gradient]
        return (fit or list(self.states))[-1]


@checked
def jam(
    system: ConstrainedSystem,
    x0: Array | None = None,
    *,
    pressure: Positive | None = None,
    packing_fraction: Positive | None = None,
    margin: Finite | None = None,
    excess: Positive | None = None,
    progress: bool = False,
) -> JamResult:
    """Bring a system to its jamming point, or to a given state above it.

    The system is quenched at its own scale, or at a higher one if it is satisfied there. Then τ is lowered in stages,
    tenfold at most; each state is a minimum of U − τλ. A stage that fails is tried again from the last state with half
    the logarithmic step. A ReLU network begins as softplus, at a margin of at most 0.2 to 0.45, and is made sharper
    while τ is lowered.

    Parameters
    ----------
    system : ConstrainedSystem
        One with a `control`: discs, ellipses, perceptrons, networks with spherical weights.
    x0 : (n_dof,) array, optional
        The start; `system.initial` by default.
    pressure : float, optional
        Go to this pressure instead of jamming (`system.pressure(c)`, in contact stiffnesses × box units^(2 − d)). It is
        met to 1e-6, or as accurately as rounding allows. If overlaps are lost in rounding first (discs: below about
        1e-12), the path ends there as "stalled".
    packing_fraction, margin : float, optional
        Go to this value of the control instead. A system that starts below it is quenched there.
    excess : float, optional
        Go to jamming, then back to the control's threshold plus this: Δφ = φ − φ_J, with the packing's own φ_J.
    progress : bool
        Show a line of progress.

    Returns
    -------
    JamResult
        After an interrupt (Ctrl-C), the states reached, with the status "interrupted".

    Raises
    ------
    ValueError
        The system has no scale, x0 has a wrong shape or holds NaN, a target is out of range or belongs to another
        kind of system, or two targets are given.

    Examples
    --------
    >>> import unijam as uj
    >>> packing = uj.jam(uj.SoftSpheres.random(n=64, radii="uniform", packing_fraction=0.9))
    >>> uj.count_constraints(packing.system, packing.x).ratio > 1
    True
    """
    with deferred(told=True) as ctrl_c:
        asked = {
            "pressure": pressure,
            "packing_fraction": packing_fraction,
            "margin": margin,
            "excess": excess,
        }
        found = _jammed(system, x0, asked, progress)
    return replace(found, interrupted=True) if ctrl_c.pressed else found


def _jammed(
    system: ConstrainedSystem, x0: Array | None, targets: dict[str, float | None], progress: bool
) -> JamResult:
    require_system(system)
    if system.scale is None:
        raise ValueError(
            f"control = None is not valid: jam needs a system with a scale, and this {type(system).__name__} has "
            "none (free weights can scale their output at will); find_transition looks for its transition instead."
        )
    pressure, excess = targets["pressure"], targets["excess"]
    asked = [name for name, value in targets.items() if value is not None]
    controls = {name: targets[name] for name in ("packing_fraction", "margin")}
    given = {name: value for name, value in controls.items() if value is not None}
    require(len(asked) <= 1, "targets", asked, "at most one of pressure, packing_fraction, margin and excess")
    for name in given:
        require(name == system.control, "target", name, f"{system.control}, the control of this system")
    require(pressure is None or isinstance(system, HasPressure), "target", "pressure", "that of a packing")
    x = private(require_positions(system, system.initial if x0 is None else x0))
    way = _Way(system, progress, *asked)
    with way.report:
        _require_linear(system, x)
        try:
            if given:
                way.to_control(x, next(iter(given.values())))
            elif pressure is not None:
                way.to_pressure(x, pressure)
            else:
                way.to_jamming(x)
                if excess is not None and way.status == "converged":
                    way.back_to(excess)
            return way.result()
        except (KeyboardInterrupt, SystemError) as error:
            if way.state is None or not is_interrupt(error):
                raise
            way.interrupted()
            return way.result()


def _require_linear(system: ConstrainedSystem, x: Array) -> None:
    """Raise a `ValueError` unless Δ is λ c − g(x): its changes over one step of λ and over two must agree.

    The steps lead towards λ = 0, because a system may refuse a larger scale.
    """
    scale = system.scale or 0.0
    step = -1e-3 * scale or 1e-3 * system.unit  # of the unit, if the scale is zero
    here, near, far = (system.at(scale=scale + k * step).constraints(x).delta for k in (0, 1, 2))
    require_finite(here, f"{type(system).__name__}.delta(x)")
    if here.shape == near.shape == far.shape and here.shape[0]:  # packings list other pairs at another scale
        bend = float(abs(far - 2 * near + here).max())
        allowed = 1e-6 * float(abs(far - here).max()) + 100 * system.resolution(x)
        require(bend <= allowed, "control", system.control, "a parameter in which every Δ is linear")


class _Way:
    """A path to jamming or to a target: the states found so far, the last one, and the status."""

    def __init__(self, system: ConstrainedSystem, progress: bool, target: str = "jamming") -> None:
        self.start, self.name, self.target = system, str(system.control), target
        self.report = Progress(progress, "jam")
        self.states: list[MinimizeResult] = []
        self.state: MinimizeResult | None = None
        self.status, self.reason = "stalled", ""
        self.begin = time.perf_counter()

    @property
    def last(self) -> MinimizeResult:
        """The last state, converged or not."""
        assert self.state is not None
        return self.state

    def keep(self, state: MinimizeResult) -> None:
        """Make a state the last one, and add it to `states` if it converged."""
        self.state = state
        if state.status == "converged":
            self.states.append(state)
        self.report.say(
            f"√(2U/N_Δ) = {state.typical_overlap:.1e}, {state.n_overlaps} overlaps, {state.status}"
        )

    def interrupted(self) -> None:
        """Note that Ctrl-C ended the path."""
        self.status, self.reason = "interrupted", "interrupted on the way."

    def quench(self, system: ConstrainedSystem, x: Array) -> MinimizeResult:
        """Find the first state. `status` is "" if the path can continue from it."""
        state = quench(system, x)
        self.keep(state)
        self.status = {"interrupted": "interrupted", "satisfied": "stalled"}.get(state.status, "")
        if state.status == "satisfied":
            self.reason = (
                f"no overlap is left at {self.name} = {self.control(state):.6g}, to which it was raised."
            )
            there = state.system
            beyond = refusal(there, (there.scale or 0.0) + 2 * LEAST_RISE * there.unit)
            if beyond:
                self.reason = f"{self.reason[:-1]}; beyond, {beyond}"
        return state

    def to_jamming(self, x: Array) -> None:
        """Lower τ until a state counts as jammed."""
        least = self.start.least_threshold if isinstance(self.start, Layered) else None

        def arrived(state: MinimizeResult) -> bool:
            """Jammed, or below the least threshold: the threshold of a branch lies below every scale on it."""
            return state.jammed or (least is not None and self.control(state) < least)

        state = self.quench(self.start, x)
        if not self.status:
            self.status = walk(state, arrived, self.keep)
        last = self.states[-1] if self.states else state
        if self.status == "converged" and not last.jammed:
            self.status = "stalled"
        if self.status != "converged" and not self.reason:
            self.reason = f"the way down ended at √(2U/N_Δ) = {last.typical_overlap:.1e}."
        threshold = self.control(last, -distance_to_threshold(last))
        if least is not None and threshold < least and self.status != "interrupted":
            self.status = "stalled"
            self.reason = (
                f"{self.name} at the threshold is {threshold:.1e}, below {least:g}: a trivial solution."
            )

    def to_control(self, x: Array, value: float) -> None:
        """Go to a value of the control: from above if the system starts above it, else by a quench there."""
        target = self.start.at(**{self.name: value})
        scale = target.scale or 0.0
        if (self.start.scale or 0.0) > scale:
            state = self.quench(self.start, x)
            if not self.status:
                self.status = walk(
                    state, lambda s: (s.system.scale or 0.0) <= scale or s.jammed, self._keep_above(scale)
                )
            # A path that ended early is taken to the scale asked for all the same.
            if self.status != "interrupted":
                self._set_scale(scale)
        else:
            self.keep(solver_for(target, "nearby minimum").run(Objective(target), x))
            self.status = self.last.status
        self._explain()

    def to_pressure(self, x: Array, pressure: float) -> None:
        """Go to a pressure, by lowering or raising τ."""
        state = self.quench(self.start, x)
        if not self.status:
            try:
                self._walk_to(pressure, state)
            # A step tried a scale that the system refuses: the particles were too large.
            except ValueError as error:
                raise ValueError(f"pressure = {pressure!r} is out of reach: {error}") from None
            beyond = refusal(self.last.system, NEAR_REFUSAL * (self.last.system.scale or 0.0))
            if self.status not in ("converged", "interrupted") and beyond and _pressure(self.last) < pressure:
                raise ValueError(f"pressure = {pressure!r} is out of reach: {beyond}")
        self._explain()

    def _walk_to(self, pressure: float, state: MinimizeResult) -> None:
        """Go near a pressure by τ, then correct τ by the ratio of pressures until p agrees.

        It agrees to 1e-6, or to twice the relative gradient if rounding leaves more (docs/decisions/008).
        """
        # Upwards the path ends at a tenth of the pressure; the corrections of τ below do the rest.
        if _pressure(state) < pressure:
            self.status = walk(state, lambda s: _pressure(s) >= 0.1 * pressure, self.keep, +1)
        else:
            self.status = walk(state, lambda s: _pressure(s) <= pressure or not s.resolved, self.keep)
        for _ in range(30):  # corrections, at most
            if self.status != "converged":
                return
            last = self.states[-1]
            measured = _pressure(last)
            if not last.resolved:
                self.status = "stalled"
                self.reason = f"at a pressure of {measured:.1e} overlaps are lost in rounding."
                return
            if abs(measured / pressure - 1) < max(1e-6, 2 * last.relative_gradient):
                return
            tau = conjugate_force(last.system, last.x) / (measured / pressure)
            self.keep(settle(Objective(last.system, conjugate=tau), last.x))
            self.status = self.last.status
        self.status, self.reason = "stalled", f"the pressure settled at {_pressure(self.last):.6e}."

    def back_to(self, excess: float) -> None:
        """Go from jamming back to the threshold plus an excess of the control."""
        last = self.states[-1]
        threshold = self.control(last, -distance_to_threshold(last))
        try:
            scale = self.start.at(**{self.name: threshold + excess}).scale or 0.0
        except ValueError as error:
            raise ValueError(f"excess = {excess!r} leads too far beyond {threshold:.6g}: {error}") from None
        self._set_scale(scale)
        self._explain()

    def _keep_above(self, scale: float) -> Callable[[MinimizeResult], None]:
        """`keep`, but only for states above a scale."""

        def keep(state: MinimizeResult) -> None:
            if (state.system.scale or 0.0) > scale:
                self.keep(state)

        return keep

    def _set_scale(self, scale: float) -> None:
        """Find the minimum at a scale, from the nearest state above it, or from the first state if there is none."""
        above = [s for s in self.states if (s.system.scale or 0.0) >= scale]
        nearest = above[-1] if above else (self.states or [self.last])[0]
        self.keep(at_scale(nearest, scale))
        self.status = self.last.status

    def _explain(self) -> None:
        """Give a reason for a status that is not "converged", if there is none yet."""
        if self.status == "satisfied":
            self.reason = (
                f"no overlap is left at {self.name} = {self.control(self.last):.6g}: unjammed there."
            )
        elif self.status != "converged" and not self.reason:
            self.reason = f"the last minimisation ended {self.status}: {self.last.reason}"

    def control(self, state: MinimizeResult, shift: float = 0.0) -> float:
        """The control parameter of a state, with its scale shifted by `shift`."""
        system = state.system.at(scale=(state.system.scale or 0.0) + shift) if shift else state.system
        return float(getattr(system, self.name))

    def result(self) -> JamResult:
        """The result of `jam`."""
        state = self.last
        # the state of least energy gives the threshold; the one of least scale may lie on another branch
        # (docs/decisions/046)
        lowest = min(self.states or [state], key=lambda s: s.energy)
        distance = distance_to_threshold(lowest)
        floor = (lowest.system.scale or 0.0) - distance
        return JamResult(
            state.system,
            state.x,
            self.control(state),
            math.nan if lowest.status == "satisfied" else self.control(lowest, -distance),
            self.status,
            self.reason,
            tuple(self.states),
            tuple((s.system.scale or 0.0) - floor for s in self.states),
            time.perf_counter() - self.begin,
            self.target,
            self.status == "interrupted",
        )


def _pressure(state: MinimizeResult) -> float:
    return float(state.system.pressure(state.system.constraints(state.x)))  # type: ignore[attr-defined]

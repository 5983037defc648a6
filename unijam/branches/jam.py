"""jam: from a system to its jamming point, or to a given state above it, by letting its scale λ move.

Δ = λ c − g(x), so ∂U/∂λ = Σ u'c = τ; as τ is lowered a state runs down its branch to the threshold λ_J = λ − 2U/τ
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

NEAR_REFUSAL = 1.1  # times its scale: a way up that ended so near to what the system refuses ended there


@dataclass(frozen=True, eq=False, repr=False)
class JamResult(Brief):
    """A system at its jamming point, or at the state asked for, and the way there.

    Attributes
    ----------
    system, x
        The state reached.
    control, threshold : float
        The system's control parameter (a packing fraction, a margin) in that state, and at the jamming point of
        its branch (extrapolated from the lowest state of the way: exact only where that is near jamming). The
        threshold is NaN where no state bore force, and so no branch was met.
    status : str
        "converged" only where the state reached is a converged minimum and the one asked for: at jamming,
        √(2U/N_Δ) ≤ `system.jamming_overlap` units, or 100 rounding errors of Δ (single precision). "satisfied": no
        overlap is left there (unjammed). Else what ended the way ("stalled", "saddle", "step-limit", "interrupted").
    reason : str
        One sentence where the status is not "converged".
    states : tuple of MinimizeResult
        Converged minima in the order in which they were met, each with its own `.system`: in order of falling τ down
        to jamming; with a target the one reached is the last.
    distances : tuple of float
        How far the scale of each state lies above the threshold.
    seconds : float
    target : str
        What was asked for: "jamming", "pressure", "packing_fraction", "margin" or "excess".
    interrupted : bool
        Whether Ctrl-C was pressed on the way, also where it came too late to change the result: a loop ends here.

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
        """The minimum to be measured: with a target, the state reached.

        At jamming, the state nearest to it whose relative gradient is at most this (rounding raises it on the way);
        the last state where none is that stationary: look at its `relative_gradient`.

        Raises
        ------
        ValueError
            Where the state asked for was not reached, or is no minimum with overlaps ("satisfied"); at jamming, where
            no state converged.
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

    A quench at the system's own scale (raised where that is satisfied), then stages of τ lowered tenfold, each a
    true minimum of U − τλ; a stage that fails is retried from the last state with half the logarithmic step. A ReLU
    network begins as softplus, at a margin of 0.2 to 0.45 at most, and is made sharper while τ is lowered.

    Parameters
    ----------
    system : ConstrainedSystem
        One with a `control`: discs, ellipses, perceptrons, networks with spherical weights.
    x0 : (n_dof,) array, optional
        Where to start; `system.initial` by default.
    pressure : float, optional
        Go to this pressure (`system.pressure(c)`, in contact stiffnesses × box units^(2 − d)) instead of jamming, down
        or up, to 1e-6 or what rounding allows. Where overlaps are lost in rounding first (discs: below about 1e-12),
        the way ends there as "stalled".
    packing_fraction, margin : float, optional
        Go to this value of the control instead. A system that starts below it is quenched there.
    excess : float, optional
        Go to jamming, then back to the control's threshold plus this (Δφ = φ − φ_J of the packing's own φ_J).
    progress : bool
        Show a line that says where the work stands.

    Returns
    -------
    JamResult
        An interrupt (Ctrl-C) returns what was reached, with the status "interrupted".

    Raises
    ------
    ValueError
        Where the system has no scale, x0 has a wrong shape or holds NaN, a target is out of range or of another
        kind of system, or two are given.

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
    """Δ must be λ c − g(x): its change with λ is compared over one step and over two, towards zero."""
    scale = system.scale or 0.0
    step = -1e-3 * scale or 1e-3 * system.unit
    here, near, far = (system.at(scale=scale + k * step).constraints(x).delta for k in (0, 1, 2))
    require_finite(here, f"{type(system).__name__}.delta(x)")
    if here.shape == near.shape == far.shape and here.shape[0]:  # packings list other pairs at another scale
        bend = float(abs(far - 2 * near + here).max())
        allowed = 1e-6 * float(abs(far - here).max()) + 100 * system.resolution(x)
        require(bend <= allowed, "control", system.control, "a parameter in which every Δ is linear")


class _Way:
    """The states met so far, the last one, and the status of the way."""

    def __init__(self, system: ConstrainedSystem, progress: bool, target: str = "jamming") -> None:
        self.start, self.name, self.target = system, str(system.control), target
        self.report = Progress(progress, "jam")
        self.states: list[MinimizeResult] = []
        self.state: MinimizeResult | None = None
        self.status, self.reason = "stalled", ""
        self.begin = time.perf_counter()

    @property
    def last(self) -> MinimizeResult:
        """The state reached last, converged or not."""
        assert self.state is not None
        return self.state

    def keep(self, state: MinimizeResult) -> None:
        """Add a state; those that converged are kept."""
        self.state = state
        if state.status == "converged":
            self.states.append(state)
        self.report.say(
            f"√(2U/N_Δ) = {state.typical_overlap:.1e}, {state.n_overlaps} overlaps, {state.status}"
        )

    def interrupted(self) -> None:
        """The way ends here."""
        self.status, self.reason = "interrupted", "interrupted on the way."

    def quench(self, system: ConstrainedSystem, x: Array) -> MinimizeResult:
        """The first state; `status` tells whether to go on from it."""
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
        """Down to the overlap at which a state counts as jammed."""
        least = self.start.least_threshold if isinstance(self.start, Layered) else None

        def arrived(state: MinimizeResult) -> bool:
            """Jammed, or below the least threshold: that of the system lies lower still."""
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
        """To a value of the control: from above where the system starts above it, else by a quench there."""
        target = self.start.at(**{self.name: value})
        scale = target.scale or 0.0
        if (self.start.scale or 0.0) > scale:
            state = self.quench(self.start, x)
            if not self.status:
                self.status = walk(
                    state, lambda s: (s.system.scale or 0.0) <= scale or s.jammed, self._keep_above(scale)
                )
            if (
                self.status != "interrupted"
            ):  # a way that ended early is left at the scale asked for all the same
                self._set_scale(scale)
        else:
            self.keep(solver_for(target, "nearby minimum").run(Objective(target), x))
            self.status = self.last.status
        self._explain()

    def to_pressure(self, x: Array, pressure: float) -> None:
        """To a pressure, by way of τ, lowered or raised."""
        state = self.quench(self.start, x)
        if not self.status:
            try:
                self._walk_to(pressure, state)
            except (
                ValueError
            ) as error:  # a step tried a scale that the system refuses: the particles are too large
                raise ValueError(f"pressure = {pressure!r} is out of reach: {error}") from None
            beyond = refusal(self.last.system, NEAR_REFUSAL * (self.last.system.scale or 0.0))
            if self.status not in ("converged", "interrupted") and beyond and _pressure(self.last) < pressure:
                raise ValueError(f"pressure = {pressure!r} is out of reach: {beyond}")
        self._explain()

    def _walk_to(self, pressure: float, state: MinimizeResult) -> None:
        """Near a pressure; there, p being measured, not prescribed, τ is corrected by the ratio until p agrees.

        That is to 1e-6, or to twice the relative gradient that rounding leaves.
        """
        if _pressure(state) < pressure:
            self.status = walk(state, lambda s: _pressure(s) >= 0.1 * pressure, self.keep, +1)
        else:
            self.status = walk(state, lambda s: _pressure(s) <= pressure or not s.resolved, self.keep)
        for _ in range(30):
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
        """From jamming back to the threshold plus an excess of the control."""
        last = self.states[-1]
        threshold = self.control(last, -distance_to_threshold(last))
        try:
            scale = self.start.at(**{self.name: threshold + excess}).scale or 0.0
        except ValueError as error:
            raise ValueError(f"excess = {excess!r} leads too far beyond {threshold:.6g}: {error}") from None
        self._set_scale(scale)
        self._explain()

    def _keep_above(self, scale: float) -> Callable[[MinimizeResult], None]:
        def keep(state: MinimizeResult) -> None:
            if (state.system.scale or 0.0) > scale:
                self.keep(state)

        return keep

    def _set_scale(self, scale: float) -> None:
        """The minimum at a scale, from the nearest state above it (from the highest where there is none)."""
        above = [s for s in self.states if (s.system.scale or 0.0) >= scale]
        nearest = above[-1] if above else (self.states or [self.last])[0]
        self.keep(at_scale(nearest, scale))
        self.status = self.last.status

    def _explain(self) -> None:
        if self.status == "satisfied":
            self.reason = (
                f"no overlap is left at {self.name} = {self.control(self.last):.6g}: unjammed there."
            )
        elif self.status != "converged" and not self.reason:
            self.reason = f"the last minimisation ended {self.status}: {self.last.reason}"

    def control(self, state: MinimizeResult, shift: float = 0.0) -> float:
        """The control of a state, or of its system at a shifted scale."""
        system = state.system.at(scale=(state.system.scale or 0.0) + shift) if shift else state.system
        return float(getattr(system, self.name))

    def result(self) -> JamResult:
        """What `jam` returns."""
        state = self.last
        lowest = min(self.states or [state], key=lambda s: s.energy)  # its scale may not be: minima rearrange
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

"""`follow`: follows a minimum while data are removed, until its branch reaches U = 0 or breaks off."""

from dataclasses import dataclass, replace

import numpy as np

from ..core.capabilities import HasData, n_data
from ..core.tolerances import BRANCH_FALL
from ..solvers import MinimizeResult, Objective, solver_for
from ..statistics import count_constraints
from ..support.interrupts import deferred
from ..support.printing import Brief
from ..support.progress import Progress
from ..support.validation import is_whole, require


@dataclass(frozen=True, eq=False, repr=False)
class Branch(Brief):
    """A branch of minima as the number of data P falls.

    Attributes
    ----------
    algorithm : str
        One line that says how the branch was followed.
    n_data, n_overlaps, n_kinks, n_effective : (k,) arrays
        P, N_Δ, N_kink, N_eff of each minimum, in order of falling P.
    energy : (k,) array
        U/P.
    ended : str
        How the try with one datum less than the last minimum ended: "satisfied" (U = 0: a continuous transition),
        "fell" (U fell to less than half: another branch), or the status of the solver if it found no minimum nearby. ""
        if the least number of data asked for was reached.
    ended_energy : float
        U/P of that try; NaN if there was none.
    last : MinimizeResult
        The minimum with the fewest data.
    interrupted : bool
        Whether Ctrl-C was pressed. `ended` is then "interrupted", unless the branch had ended already.

    Examples
    --------
    >>> import unijam as uj
    >>> shape = {"depth": 0, "input_dimension": 5, "n_data": 40, "weights": "free", "bias": False}
    >>> branch = uj.follow(uj.minimize(uj.FullyConnected.random(**shape)), step=5)
    >>> len(branch.ratio) == len(branch.energy), bool(branch.energy[-1] < branch.energy[0])
    (True, True)
    """

    algorithm: str
    n_data: np.ndarray
    energy: np.ndarray
    n_overlaps: np.ndarray
    n_kinks: np.ndarray
    n_effective: np.ndarray
    ended: str
    ended_energy: float
    last: MinimizeResult
    interrupted: bool = False

    @property
    def ratio(self) -> np.ndarray:
        """(N_Δ + N_kink)/N_eff, (k,)."""
        ratio: np.ndarray = (self.n_overlaps + self.n_kinks) / self.n_effective
        return ratio


def follow(
    state: MinimizeResult, *, step: int | None = None, least: int = 2, progress: bool = False
) -> Branch:
    """Follow a minimum while the last data are removed: each minimum, with its held kinks, is the start of the next.

    Parameters
    ----------
    state : MinimizeResult
        A converged minimum above the transition, of a system with data.
    step : int, optional
        The number of data removed at a time; by default half a per cent of all. It is halved if the next minimum is
        not found.
    least : int
        The number of data at which to stop.
    progress : bool
        Show a line of progress.

    Returns
    -------
    Branch

    Raises
    ------
    ValueError
        The state is not converged, its system has no data, or a number is out of range.

    Examples
    --------
    >>> import unijam as uj
    >>> shape = {"depth": 0, "input_dimension": 5, "n_data": 40, "weights": "free", "bias": False}
    >>> branch = uj.follow(uj.minimize(uj.FullyConnected.random(**shape)), step=5)
    >>> branch.ended, bool(branch.n_data[0] > branch.n_data[-1])
    ('satisfied', True)
    """
    with deferred(told=True) as ctrl_c:
        found = _followed(state, step, least, progress)
    return replace(found, interrupted=True) if ctrl_c.pressed else found


def _followed(state: MinimizeResult, step: int | None, least: int, progress: bool) -> Branch:
    require(isinstance(state, MinimizeResult), "state", state, "a result of minimize")
    system = state.system
    require(isinstance(system, HasData), "system", type(system).__name__, "one with data")
    require(state.status == "converged", "status", state.status, "'converged': a minimum to follow")
    left = n_data(system) or 0
    step = max(1, left // 200) if step is None else step
    require(is_whole(step) and step >= 1, "step", step, "a whole number of at least 1")
    require(
        is_whole(least) and 1 <= least < left,
        "least",
        least,
        f"a whole number of at least 1 and below {left}",
    )
    states, ended, ended_energy, initial_step = [state], "", float("nan"), step
    with Progress(progress, "follow") as report:
        while left > least:
            last, fewer = states[-1], max(least, left - step)
            system = last.system.subset(slice(0, fewer))  # type: ignore[attr-defined]
            reached = solver_for(system, "same branch").run(Objective(system), last.x)
            fell = reached.energy < BRANCH_FALL * last.energy
            if reached.status == "converged" and not reached.fitted and not fell:
                states.append(reached)
                left, step = fewer, min(2 * step, initial_step)
                report.say(f"P = {left}, U/P = {reached.energy / left:.3e}, {reached.n_overlaps} overlaps")
            elif step > 1 and reached.status != "interrupted":
                step = max(1, step // 2)
            else:
                ended = "satisfied" if reached.fitted else "fell" if fell else reached.status
                ended_energy = reached.energy / fewer
                break
    counts = [count_constraints(s.system, s.x) for s in states]
    sizes = np.array([n_data(s.system) for s in states])
    method = type(solver_for(states[-1].system, "same branch")).__name__
    return Branch(
        f"{method} from each minimum to the next, the last data removed",
        sizes,
        np.array([s.energy for s in states]) / sizes,
        np.array([c.n_overlaps for c in counts]),
        np.array([c.n_kinks for c in counts]),
        np.array([c.n_effective for c in counts]),
        ended,
        ended_energy,
        states[-1],
        ended == "interrupted",
    )

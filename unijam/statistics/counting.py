"""Counting: N_Δ overlaps against N_eff bearing degrees of freedom; isostatic means N_Δ = N_eff + 1."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from ..core.border import require_constraints
from ..core.capabilities import redundancy
from ..core.system import ConstrainedSystem, kinks
from ..linalg import on_dof, projection
from ..support.arrays import Array


@dataclass(frozen=True)
class ConstraintCount:
    """How many constraints bear force on how many degrees of freedom.

    Attributes
    ----------
    n_overlaps, n_kinks : int
        Bearing constraints with Δ above 15 resolutions, and kinks that the system is held on.
    n_dof, n_effective : int
        All degrees of freedom; those that bear force less the rank of the symmetries on them.
    ratio : float
        (N_Δ + N_kink) / N_eff; 0 where nothing bears force.
    reduced : ConstraintCount or None
        The count on the reduced system (dead units dropped, copies merged) where there is one.
    dead, copies, trapped
        Hidden units without effect; (unit, the one it copies); overlapping data whose signal does not reach the first
        layer. See `Redundancy`.

    Examples
    --------
    >>> import unijam as uj
    >>> network = uj.FullyConnected.random(depth=1, width=8, input_dimension=8, n_data=120, activation="relu")
    >>> jammed = uj.jam(network.at(margin=0.3))
    >>> print(uj.count_constraints(jammed.system, jammed.x))
    58 overlaps and 15 kinks on N_eff = 72 (of 81 degrees of freedom): 1.014.
    """

    n_overlaps: int
    n_kinks: int
    n_dof: int
    n_effective: int
    ratio: float
    reduced: "ConstraintCount | None" = None
    dead: tuple[int, ...] = ()
    copies: tuple[tuple[int, int], ...] = ()
    trapped: tuple[int, ...] = ()

    def __str__(self) -> str:
        held = f" and {_several(self.n_kinks, 'kink')}" if self.n_kinks else ""
        parts = [
            f"{_several(self.n_overlaps, 'overlap')}{held} on N_eff = {self.n_effective} "
            f"(of {self.n_dof} degrees of freedom): {self.ratio:.3f}"
        ]
        if self.dead:
            parts.append(f"{_several(len(self.dead), 'dead unit')} ({_named(self.dead)})")
        if self.copies:
            pairs = (f"{copy} of {unit}" for copy, unit in self.copies)
            parts.append(f"{_several(len(self.copies), 'copy')} ({_named(pairs)})")
        if self.reduced is not None:
            small = self.reduced
            kinks = f" and {_several(small.n_kinks, 'kink')}" if small.n_kinks else ""
            parts.append(
                f"without them {small.n_overlaps}{kinks} on N_eff = {small.n_effective}: {small.ratio:.3f}"
            )
        if self.trapped:
            names = _named(self.trapped)
            parts.append(
                f"{len(self.trapped)} trapped data ({names}), of which the first layer feels nothing"
            )
        return "; ".join(parts) + "."

    @property
    def isostatic(self) -> bool:
        """N_Δ + N_kink = N_eff + 1: exactly one state of self stress and no floppy mode."""
        return self.n_overlaps + self.n_kinks == self.n_effective + 1


def count_constraints(system: ConstrainedSystem, x: Array) -> ConstraintCount:
    """Count the constraints that bear force at x against the degrees of freedom they bear on.

    Parameters
    ----------
    system : ConstrainedSystem
    x : (n_dof,) array
        A minimum; at jamming the count is the one that theory speaks of.

    Returns
    -------
    ConstraintCount

    Raises
    ------
    ValueError
        Where x has a wrong shape, or x or a Δ is not finite.

    Examples
    --------
    >>> import unijam as uj
    >>> packing = uj.jam(uj.SoftSpheres.random(n=64, radii="uniform", packing_fraction=0.9))
    >>> state = packing.settled()
    >>> count = uj.count_constraints(state.system, state.x)
    >>> count.n_overlaps - count.n_effective  # one state of self stress
    1
    """
    c = require_constraints(system, x)
    x = c.x
    dof, constraints = c.bearing()
    n_bearing = int(dof.sum())
    n_overlaps = int((c.overlaps & constraints).sum()) if n_bearing else 0
    n_kinks = int(kinks(c).held.shape[0]) if n_bearing else 0
    n_symmetries = projection(on_dof(system.symmetries(x), dof))[1] if n_bearing else 0
    n_effective = n_bearing - n_symmetries
    ratio = (n_overlaps + n_kinks) / n_effective if n_effective > 0 else 0.0
    found = redundancy(system, x)
    reduced = None if found.reduced is None else count_constraints(*found.reduced)
    return ConstraintCount(
        n_overlaps,
        n_kinks,
        system.n_dof,
        n_effective,
        ratio,
        reduced,
        found.dead,
        found.copies,
        found.trapped,
    )


def _several(number: int, word: str) -> str:
    plural = word[:-1] + "ies" if word.endswith("y") else word + "s"
    return f"{number} {word if number == 1 else plural}"


def _named(things: Iterable[object], most: int = 8) -> str:
    """The first few, and an ellipsis where there are more."""
    names = [str(thing) for thing in islice(things, most + 1)]
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")

"""Counting: N_Δ overlaps against N_eff bearing degrees of freedom; isostatic means N_Δ = N_eff + 1.

There is one overlap more than degrees of freedom, since forces in balance are one state of self stress: rank J = N_eff.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
import scipy.sparse as sp

from ..core.border import require_constraints
from ..core.capabilities import coordinate_lengths, redundancy
from ..core.constraints import Constraints
from ..core.derivatives import kinks
from ..core.kinks import Kinks
from ..core.system import ConstrainedSystem
from ..linalg import NULL_MODE, factor_sparse, on_dof, projection, rank_of, with_diagonal
from ..support.arrays import Array, is_sparse, over, to_numpy
from ..support.memory import require_matrices

Kind = Literal["isostatic", "hypostatic", "hyperstatic"]
# Rows of a sparse J up to which its singular values are computed; beyond, the inertia of J Jᵀ counts: it is quicker.
DENSE_ROWS = 600


@dataclass(frozen=True)
class ConstraintCount:
    """The number of constraints that bear force, and of degrees of freedom on which they bear.

    Attributes
    ----------
    n_overlaps, n_kinks : int
        N_Δ, bearing constraints with Δ above 15 resolutions, and N_kink, kinks on which the system is held.
    n_dof, n_effective : int
        N, all degrees of freedom, and N_eff, those that bear force less the rank of the symmetries on them.
    ratio : float
        (N_Δ + N_kink) / N_eff; 0 where nothing bears force.
    kind : "isostatic", "hypostatic", "hyperstatic" or None
        See `kind_of`.
    reduced : ConstraintCount or None
        The count on the reduced system (dead units dropped, copies merged) where there is one.
    dead, copies, trapped
        Hidden units without effect; (unit, the one it copies); overlapping data whose signal does not reach the first
        layer. See `Redundancy`.
    self_stresses : int or None
        The number of states of self stress where N_Δ + N_kink = N_eff + 1 and J is a matrix; None elsewhere, where
        the kind does not depend on it.
    finite_range : bool
        Whether the potential vanishes without overlap. Otherwise all constraints bear force, and a count of overlaps
        says nothing.

    Examples
    --------
    >>> import unijam as uj
    >>> network = uj.FullyConnected.random(depth=1, width=8, input_dimension=8, n_data=120, activation="relu")
    >>> jammed = uj.jam(network.at(margin=0.3))
    >>> print(uj.count_constraints(jammed.system, jammed.x))
    58 overlaps and 15 kinks on N_eff = 72 (of 81 degrees of freedom): 1.014, isostatic.
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
    self_stresses: int | None = None
    finite_range: bool = True

    def __str__(self) -> str:
        held = f" and {_several(self.n_kinks, 'kink')}" if self.n_kinks else ""
        parts = [
            f"{_several(self.n_overlaps, 'overlap')}{held} on N_eff = {self.n_effective} "
            f"(of {self.n_dof} degrees of freedom): {self.ratio:.3f}"
            + (f", {self.kind}" if self.kind else "")
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
                + (f", {small.kind}" if small.kind else "")
            )
        if self.trapped:
            names = _named(self.trapped)
            parts.append(
                f"{len(self.trapped)} trapped data ({names}), of which the first layer feels nothing"
            )
        return "; ".join(parts) + "."

    @property
    def kind(self) -> Kind | None:
        """The result of `kind_of`; None without overlaps, or for a potential without finite range."""
        if not self.finite_range:
            return None
        return kind_of(self.n_overlaps + self.n_kinks, self.n_effective, self.self_stresses)

    @property
    def isostatic(self) -> bool:
        """Whether `kind` is "isostatic": one state of self stress and no floppy mode."""
        return self.kind == "isostatic"


def kind_of(n_bearing: int, n_effective: int, self_stresses: int | None = None) -> Kind | None:
    """The kind of a count: isostatic, hypostatic or hyperstatic.

    Parameters
    ----------
    n_bearing : int
        N_Δ + N_kink.
    n_effective : int
        N_eff.
    self_stresses : int or None
        The number of states of self stress where it is known.

    Returns
    -------
    "isostatic", "hypostatic", "hyperstatic" or None
        "isostatic" for N_Δ + N_kink = N_eff + 1, "hypostatic" for fewer and "hyperstatic" for more constraints; None
        where nothing bears force. Where N_Δ + N_kink = N_eff + 1 but J has s > 1 states of self stress, s − 1 modes are
        floppy: such a state needs Hp to be stable, and is called hypostatic.

    Examples
    --------
    >>> kind_of(73, 72), kind_of(60, 72), kind_of(90, 72), kind_of(0, 0), kind_of(73, 72, self_stresses=2)
    ('isostatic', 'hypostatic', 'hyperstatic', None, 'hypostatic')
    """
    if not n_bearing:
        return None
    surplus = n_bearing - n_effective - 1
    if surplus == 0 and self_stresses not in (None, 1):
        return "hypostatic"
    return "isostatic" if surplus == 0 else "hypostatic" if surplus < 0 else "hyperstatic"


def count_constraints(system: ConstrainedSystem, x: Array) -> ConstraintCount:
    """Count the constraints that bear force at x against the degrees of freedom they bear on.

    Parameters
    ----------
    system : ConstrainedSystem
    x : (n_dof,) array
        A minimum. Predictions of theory are for the count at jamming.

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
    held = kinks(c)
    n_kinks = int(held.held.shape[0]) if n_bearing else 0
    n_symmetries = projection(on_dof(system.symmetries(x), dof))[1] if n_bearing else 0
    n_effective = n_bearing - n_symmetries
    ratio = (n_overlaps + n_kinks) / n_effective if n_effective > 0 else 0.0
    self_stresses = None
    if n_bearing and n_overlaps + n_kinks == n_effective + 1 and not system.matrix_free:
        self_stresses = _self_stresses(c, dof, c.overlaps & constraints, held)
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
        self_stresses,
        bool(system.potential.finite_range),
    )


def _self_stresses(c: Constraints, dof: Array, overlaps: Array, held: Kinks) -> int:
    """The number of rows of J and of ∇z of the held kinks, less their rank, on the bearing degrees of freedom."""
    lengths = coordinate_lengths(c.system)
    rows = over(c.jacobian(overlaps), lengths)
    if is_sparse(rows) and rows.shape[0] > DENSE_ROWS:
        inside = rows.tocsc()[:, np.flatnonzero(dof)]
        gram = sp.csc_array(inside @ inside.T)
        zero = NULL_MODE * float(gram.diagonal().max())
        below = factor_sparse(with_diagonal(gram, 0.0), -zero).n_negative
        if below is not None:
            return int(below)
    require_matrices([(4 * rows.shape[0], rows.shape[1])], f"the rank of J, {rows.shape[0]} constraints")
    inside = to_numpy(rows)[:, to_numpy(dof)]
    kinked = to_numpy(over(held.jacobian(held.held), lengths))[:, to_numpy(dof)]
    size = np.linalg.norm(inside) / max(len(inside), 1) ** 0.5
    norms = np.linalg.norm(kinked, axis=1, keepdims=True)
    # ∇z as long as a typical row of J, so that one gap in the singular values serves both
    both = np.vstack([inside, size * kinked / np.where(norms > 0, norms, 1.0)])
    sigma = np.linalg.svd(both, compute_uv=False)
    return len(both) - rank_of(sigma, both.shape)


def _several(number: int, word: str) -> str:
    plural = word[:-1] + "ies" if word.endswith("y") else word + "s"
    return f"{number} {word if number == 1 else plural}"


def _named(things: Iterable[object], most: int = 8) -> str:
    """The first `most` things as words, and an ellipsis where there are more."""
    names = [str(thing) for thing in islice(things, most + 1)]
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")

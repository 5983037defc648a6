"""Potentials u(Δ): energy u, force u' and stiffness u'' of each signed distance Δ.

u vanishes for Δ ≤ 0, except for the cross-entropy, which has no finite range.
"""

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..support.arrays import Array, namespace
from ..support.validation import is_whole, require

# Values of Δ in falling order, wide enough for any unit of length: the limit Δ → 0 is looked for among them.
SMALL = 2.0 ** -np.arange(-60, 100)
# Where a function has reached its limit, its values at neighbouring Δ differ by less than this fraction.
ALIKE = 1e-3


class Potential(ABC):
    """The energy of one constraint, or of k coupled ones, as a function of the signed distances Δ, (m,).

    Attributes
    ----------
    exponent : float
        a in u ∝ Δ^a for small overlaps; a U/τ is the distance from jamming. If a subclass does not define it, it is
        the limit of Δ u'/u as Δ → 0 (2 without finite range).
    modulus : float
        k in u = k Δ^a/a for small overlaps, found from u itself: a potential may have any stiffness. 1 without finite
        range, for coupled constraints, and if no limit is found.
    kink : float
        The jump of u' at Δ = 0.
    coupled : int
        k, the number of constraints of one datum that u couples. In Δ the k constraints of a datum are neighbours.
    finite_range : bool
        Whether u vanishes for Δ ≤ 0, so that only overlaps bear force.

    Examples
    --------
    A potential of one's own, u = ¼ Δ⁴ for Δ > 0:

    >>> import numpy as np
    >>> import unijam as uj
    >>> class Quartic(uj.Potential):
    ...     exponent = 4.0
    ...     def energy(self, delta):
    ...         return (delta * (delta > 0)) ** 4 / 4
    ...     def force(self, delta):
    ...         return (delta * (delta > 0)) ** 3
    ...     def stiffness(self, delta):
    ...         return 3 * (delta * (delta > 0)) ** 2
    >>> system = uj.SoftSpheres.random(n=32, packing_fraction=1.0).at(potential=Quartic())
    >>> uj.minimize(system).energy > 0
    True
    """

    kink: float = 0.0
    coupled: int = 1
    finite_range: bool = True

    @cached_property
    def exponent(self) -> float:
        """a in u ∝ Δ^a for small overlaps; a `ValueError` if u and u' do not tell it."""
        if not self.finite_range:
            return 2.0
        found = _limit(lambda small: small * self.force(small) / self.energy(small))
        field = f"exponent of {type(self).__name__}"
        wanted = "positive, and given by the class where u and u' near Δ = 0 do not tell"
        require(0 < found < math.inf, field, found, wanted)
        return found

    @cached_property
    def modulus(self) -> float:
        """k in u = k Δ^a/a for small overlaps."""
        if not self.finite_range or self.coupled > 1:
            return 1.0
        a = self.exponent
        found = _limit(lambda small: a * self.energy(small) / small**a)
        return found if 0 < found < math.inf else 1.0

    def force_unit(self, unit: float) -> float:
        """k unit^(a − 1): the force of an overlap of one unit, if the power law of small overlaps held there."""
        return float(self.modulus * unit ** (self.exponent - 1.0))

    @abstractmethod
    def energy(self, delta: Array) -> Array:
        """u(Δ), (m,); (m/k,) if k constraints are coupled."""

    @abstractmethod
    def force(self, delta: Array) -> Array:
        """u'(Δ), (m,), positive where the constraint is violated."""

    @abstractmethod
    def stiffness(self, delta: Array) -> Array:
        """u''(Δ), (m,); blocks (m/k, k, k) if k > 1 constraints are coupled."""

    def typical_overlap(self, energy: float, n_overlaps: int) -> float:
        """(a U/(k N_Δ))^(1/a) from U and N_Δ, in units of Δ; for the harmonic potential √(2U/N_Δ)."""
        return float((self.exponent * energy / (self.modulus * max(n_overlaps, 1))) ** (1 / self.exponent))


def _limit(values: Callable[[Array], Array]) -> float:
    """The limit of a function of Δ as Δ → 0; NaN if none is found.

    It is the median over the last run of `SMALL` in which neighbouring values agree. At still smaller Δ a small
    difference of large numbers, such as cosh Δ − 1, is lost in rounding. The function is tried with a NumPy array and,
    if that fails, with a tensor: a user may have written it for one of them only.
    """
    torch = sys.modules.get("torch")
    for convert in (np.array, torch.from_numpy) if torch else (np.array,):
        with suppress(TypeError, AttributeError, ValueError), np.errstate(all="ignore"):
            found = np.asarray(values(convert(SMALL)))
            level = abs(np.diff(found)) < ALIKE * abs(found[1:])
            ends = np.flatnonzero(level[1:] & level[:-1])
            if not len(ends):
                return math.nan
            steps = np.flatnonzero(~level[: ends[-1] + 2])
            first, last = steps[-1] + 1 if len(steps) else 0, ends[-1] + 2
            if first == 0 and last < len(SMALL) - 1:  # level for large Δ: a limit, but not this one
                return math.nan
            return float(np.median(found[first : last + 1]))
    return math.nan


@dataclass(frozen=True)
class Harmonic(Potential):
    """u = ½ Δ² for Δ > 0, else 0: the harmonic repulsion of soft spheres, the quadratic hinge of networks.

    Examples
    --------
    >>> import numpy as np
    >>> import unijam as uj
    >>> uj.Harmonic().energy(np.array([-1.0, 0.0, 2.0])).tolist()
    [0.0, 0.0, 2.0]
    """

    exponent = 2.0

    def energy(self, delta: Array) -> Array:
        return 0.5 * delta.clip(0) ** 2  # not made of `force`, which a subclass may have scaled

    def force(self, delta: Array) -> Array:
        return delta.clip(0)

    def stiffness(self, delta: Array) -> Array:
        return (delta > 0) * (0.0 * delta + 1.0)


@dataclass(frozen=True)
class Hertzian(Potential):
    """u = Δ^a / a for Δ > 0, else 0, a ≥ 2: a = 5/2 for elastic spheres in three dimensions (Hertz), 2 is harmonic.

    Parameters
    ----------
    exponent : float
        a, at least 2.

    Raises
    ------
    ValueError
        The exponent is below 2 or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> import unijam as uj
    >>> uj.Hertzian().force(np.array([-1.0, 0.0, 4.0])).tolist()  # Δ^(3/2)
    [0.0, 0.0, 8.0]
    """

    exponent: float = 2.5

    def __post_init__(self) -> None:
        a = self.exponent
        require(math.isfinite(a) and a >= 2, "exponent", a, "a finite number of at least 2")

    def energy(self, delta: Array) -> Array:
        overlap = delta * (delta > 0)
        return overlap ** (self.exponent - 1) * delta / self.exponent

    def force(self, delta: Array) -> Array:
        overlap = delta * (delta > 0)
        return overlap ** (self.exponent - 1)

    def stiffness(self, delta: Array) -> Array:
        overlapping = delta > 0
        return (self.exponent - 1) * overlapping * (delta * overlapping) ** (self.exponent - 2)


@dataclass(frozen=True)
class LinearHinge(Potential):
    """u = Δ − w/2 for Δ > w, Δ²/(2w) for 0 < Δ < w, else 0: linear beyond a rounding of width w.

    Without rounding (w = 0) u = Δ for Δ > 0, with a kink at Δ = 0, where u' = 0 is returned.

    Parameters
    ----------
    width : float
        w, at least 0.

    Raises
    ------
    ValueError
        The width is negative or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> import unijam as uj
    >>> uj.LinearHinge(width=0.5).energy(np.array([0.25, 0.5, 2.0])).tolist()
    [0.0625, 0.25, 1.75]
    """

    width: float = 0.0

    def __post_init__(self) -> None:
        require(
            math.isfinite(self.width) and self.width >= 0, "width", self.width, "zero or positive, and finite"
        )

    @property
    def exponent(self) -> float:
        """2 if the hinge is rounded, 1 if it is not."""
        return 2.0 if self.width else 1.0

    @property
    def kink(self) -> float:  # type: ignore[override]
        return 0.0 if self.width else 1.0

    def energy(self, delta: Array) -> Array:
        force = self._force(delta)
        return force * (delta - 0.5 * self.width * force)

    def force(self, delta: Array) -> Array:
        return self._force(delta)

    def _force(self, delta: Array) -> Array:
        beyond = (delta > self.width) * (0.0 * delta + 1.0)
        return beyond if not self.width else beyond + self._rounded(delta) * delta / self.width

    def stiffness(self, delta: Array) -> Array:
        return self._rounded(delta) * (0.0 * delta + 1.0 / (self.width or 1.0))

    def _rounded(self, delta: Array) -> Array:
        return (delta > 0) & (delta <= self.width)


@dataclass(frozen=True)
class CrossEntropy(Potential):
    """u = log(1 + Σ_c exp Δ_c): minus the log of the softmax of the datum's class.

    The sum runs over the k = C − 1 constraints of a datum, Δ_c = z_c − z_y, one for each wrong class c.

    u' = p_c, the probabilities of the wrong classes; u'' = diag(p) − p pᵀ, so that H0 is the generalised
    Gauss-Newton matrix. Every datum bears force, and an overlap is an output above the true one. Two classes:
    u = log(1 + exp Δ), the logistic loss of Δ = −y f.

    Parameters
    ----------
    classes : int
        C, at least 2.

    Raises
    ------
    ValueError
        `classes` is not a whole number of at least 2.

    Examples
    --------
    >>> import numpy as np
    >>> import unijam as uj
    >>> logistic = uj.CrossEntropy(2)
    >>> bool(np.isclose(logistic.energy(np.array([0.0])).sum(), np.log(2)))
    True
    """

    classes: int = 10

    def __post_init__(self) -> None:
        require(
            is_whole(self.classes) and self.classes >= 2,
            "classes",
            self.classes,
            "a whole number of at least 2",
        )

    @property
    def coupled(self) -> int:  # type: ignore[override]
        return self.classes - 1

    finite_range = False

    def energy(self, delta: Array) -> Array:
        return self._probabilities(delta)[1]

    def force(self, delta: Array) -> Array:
        return self._probabilities(delta)[0].reshape(-1)

    def stiffness(self, delta: Array) -> Array:
        p = self._probabilities(delta)[0]
        if self.coupled == 1:
            return (p * (1 - p)).reshape(-1)
        xp = namespace(delta)
        diagonal = xp.eye(self.coupled, dtype=p.dtype, device=p.device) * p[:, None, :]
        return diagonal - p[:, :, None] * p[:, None, :]

    def _probabilities(self, delta: Array) -> tuple[Array, Array]:
        """p, (m/k, k), and log(1 + Σ exp Δ), (m/k,); max(Δ, 0) is subtracted first, so that exp does not overflow."""
        xp, delta = namespace(delta), delta.reshape(-1, self.coupled)
        top = xp.clip(xp.max(delta, axis=1), min=0.0)
        grown = xp.exp(delta - top[:, None])
        rest, total = xp.exp(-top), xp.sum(grown, axis=1)
        energy = xp.where(top > 0, top + xp.log(rest + total), xp.log1p(total))
        return grown / (rest + total)[:, None], energy


@dataclass(frozen=True, eq=False)
class Held(Potential):
    """A potential whose u' jumps at Δ = 0, with some constraints held on that kink: for these u = slope × kink × Δ.

    `system.at(kinks=…)` makes it for members (−1, constraint).

    Attributes
    ----------
    base : Potential
        The potential of all other constraints.
    index : (k,) integers
        The held constraints.
    slopes : (k,) array
        Their slopes, between 0 and 1.
    """

    base: Potential
    index: Array
    slopes: Array

    @property
    def exponent(self) -> float:
        return self.base.exponent

    @property
    def kink(self) -> float:  # type: ignore[override]
        return self.base.kink

    @property
    def modulus(self) -> float:
        return self.base.modulus

    def energy(self, delta: Array) -> Array:
        return self._replaced(self.base.energy(delta), self.base.kink * self.slopes * delta[self.index])

    def force(self, delta: Array) -> Array:
        return self._replaced(self.base.force(delta), self.base.kink * self.slopes)

    def stiffness(self, delta: Array) -> Array:
        return self._replaced(self.base.stiffness(delta), 0.0 * self.slopes)

    def typical_overlap(self, energy: float, n_overlaps: int) -> float:
        return self.base.typical_overlap(energy, n_overlaps)

    def _replaced(self, values: Array, here: Array) -> Array:
        values = 1.0 * values
        values[self.index] = here
        return values


def holding(potential: Potential, kinks: tuple[Array, Array] | None) -> Potential:
    """The potential with the given kinks held: a `Held` for members (−1, constraint), else the potential itself.

    Parameters
    ----------
    potential : Potential
        If it is a `Held`, its base is taken.
    kinks : ((k, 2) integers, (k,) array) or None
        Members and slopes, as in `system.kinks`. Kinks of Δ, whose first member is not −1, are left to the system.
    """
    base = potential.base if isinstance(potential, Held) else potential
    if kinks is None:
        return base
    members, slopes = kinks
    own = members[:, 0] < 0
    return Held(base, members[own, 1], slopes[own]) if bool(own.any()) else base

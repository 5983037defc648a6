"""Potentials u(Δ): energy u, force u', stiffness u'' of each signed distance Δ; but for cross-entropy 0 for Δ ≤ 0."""

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

SMALL = 2.0 ** -np.arange(
    -60, 100
)  # Δ in falling order, in any unit: among them the limit Δ → 0 is looked for
ALIKE = 1e-3  # relative difference of neighbouring values where a limit is reached


class Potential(ABC):
    """What one constraint, or k coupled ones, cost as a function of the signed distances (m,).

    Attributes
    ----------
    exponent : float
        a of u ∝ Δ^a for small overlaps; a U/τ is the distance from jamming. Where a subclass does not give it, it is
        the limit of Δ u'/u as Δ → 0 (2 without finite range).
    modulus : float
        k of u = k Δ^a/a for small overlaps, read off u itself: a potential may have any stiffness. 1 without finite
        range, and where u cannot be evaluated alone.
    kink : float
        The jump of u' at Δ = 0.
    coupled : int
        k, the constraints of one datum that u couples; Δ holds those of one datum after those of another.
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
        if not self.finite_range:
            return 2.0
        found = _limit(lambda small: small * self.force(small) / self.energy(small))
        field = f"exponent of {type(self).__name__}"
        wanted = "positive, and given by the class where u and u' near Δ = 0 do not tell"
        require(0 < found < math.inf, field, found, wanted)
        return found

    @cached_property
    def modulus(self) -> float:
        if not self.finite_range or self.coupled > 1:
            return 1.0
        a = self.exponent
        found = _limit(lambda small: a * self.energy(small) / small**a)
        return found if 0 < found < math.inf else 1.0

    def force_unit(self, unit: float) -> float:
        """k unit^(a − 1): u' of an overlap of one unit, were u the power law that it is for small ones."""
        return float(self.modulus * unit ** (self.exponent - 1.0))

    @abstractmethod
    def energy(self, delta: Array) -> Array:
        """u(Δ), (m,), or (m/k,) of k coupled constraints."""

    @abstractmethod
    def force(self, delta: Array) -> Array:
        """u'(Δ), (m,)."""

    @abstractmethod
    def stiffness(self, delta: Array) -> Array:
        """u''(Δ), (m,), or (m/k, k, k) of k > 1 coupled constraints."""

    def typical_overlap(self, energy: float, n_overlaps: int) -> float:
        """(a U/(k N_Δ))^(1/a), √(2U/N_Δ) for the harmonic potential, in units of Δ."""
        return float((self.exponent * energy / (self.modulus * max(n_overlaps, 1))) ** (1 / self.exponent))


def _limit(values: Callable[[Array], Array]) -> float:
    """The limit of a function of Δ as Δ → 0, NaN where none is found: in the last stretch of `SMALL` where it is level.

    Below that rounding spoils what is the small difference of large numbers, as cosh Δ − 1. The function may be one of
    arrays or of tensors alone.
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
        return 0.5 * delta.clip(0) ** 2  # not by way of the force, which a subclass may have scaled

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
        Where the exponent is below 2 or not finite.

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
        Where the width is negative or not finite.

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
        """2 where the hinge is rounded, 1 where it is not."""
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
    """u = log(1 + Σ_c exp Δ_c) of the k = C − 1 constraints of a datum, Δ_c = z_c − z_y: −log of its class's softmax.

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
        Where `classes` is not a whole number of at least 2.

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
        """p (m/k, k), and log(1 + Σ exp Δ) without overflow."""
        xp, delta = namespace(delta), delta.reshape(-1, self.coupled)
        top = xp.clip(xp.max(delta, axis=1), min=0.0)
        grown = xp.exp(delta - top[:, None])
        rest, total = xp.exp(-top), xp.sum(grown, axis=1)
        energy = xp.where(top > 0, top + xp.log(rest + total), xp.log1p(total))
        return grown / (rest + total)[:, None], energy


@dataclass(frozen=True, eq=False)
class Held(Potential):
    """A potential with a kink at Δ = 0 on which some constraints are held: there u = slope × kink × Δ.

    Made by `system.at(kinks=…)`, for members (−1, constraint).
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
    """The potential, or one with a kink that holds the constraints among (members, slopes)."""
    base = potential.base if isinstance(potential, Held) else potential
    if kinks is None:
        return base
    members, slopes = kinks
    own = members[:, 0] < 0
    return Held(base, members[own, 1], slopes[own]) if bool(own.any()) else base

"""What some systems can do beyond the contract: small base classes that a system inherits besides `ConstrainedSystem`.

Solvers and measurements ask `isinstance(system, HasData)`; an attribute that happens to have the name of a hook says
nothing, as long as its class does not inherit the base.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Self

from ..support.arrays import Array
from ..support.printing import Brief


@dataclass(frozen=True, eq=False, repr=False)
class Redundancy(Brief):
    """Dead units, copies and trapped data of a network at one x; all empty for other systems.

    Attributes
    ----------
    dead : tuple of int
        Hidden units without effect, numbered through the layers.
    copies : tuple of (int, int)
        Hidden units that do what another one does, and that one.
    trapped : tuple of int
        Data inside the margin whose signal has vanished before it reaches the first layer: no weight of it can free
        them. Those that see the same f, n₊ of one label and n₋ of the other, keep U = 2 n₊n₋/(n₊ + n₋) at least
        (harmonic potential, κ = 1).
    reduced : (system, x) or None
        The same f on the data without dead units and copies; None where there are none.
    """

    dead: tuple[int, ...] = ()
    copies: tuple[tuple[int, int], ...] = ()
    trapped: tuple[int, ...] = ()
    reduced: tuple[Any, Array] | None = None


class HasData(ABC):
    """The constraints are about data, of which some may be taken away: mini-batches, `follow`, `find_transition`.

    Attributes
    ----------
    n_data : int
        P.
    """

    n_data: int

    @abstractmethod
    def subset(self, select: Array | slice) -> Self:
        """Keep some of the data only.

        Parameters
        ----------
        select : (k,) integers, (P,) mask or slice

        Returns
        -------
        system
            The same system on these data, for which the same x is valid; kinks held on them stay held.
        """


class Softened(ABC):
    """Its ReLU can be replaced by softplus, so that a search for U = 0 may begin with a smooth system.

    Attributes
    ----------
    softest : float or None
        The sharpness β with which such a search begins; None where this system has no ReLU.
    """

    softest: float | None = None

    @abstractmethod
    def softened(self, beta: float) -> Any:
        """Replace each ReLU by softplus of sharpness β, log(1 + exp(βz))/β; no kinks are held.

        Returns
        -------
        system
            One with `softest = None`, for which the same x is valid.
        """


class Layered:
    """A network of layers, as far as searches and thresholds depend on that.

    Attributes
    ----------
    n_hidden : int
        The number of hidden units.
    least_threshold : float or None
        A threshold of the control below this is a trivial solution (the output vanishes on all data), not jamming.
    convex : bool
        Whether Δ is linear in x up to a norm, so that one search for U = 0 is enough (no hidden layer).
    """

    n_hidden: int = 0
    least_threshold: float | None = None
    convex: bool = False


class Resizable(ABC):
    """A network with hidden layers of one width, which may be drawn anew with another width on the same data.

    Attributes
    ----------
    widths : tuple of int
        Hidden units of each hidden layer; empty where there is none, and so nothing to resize.
    """

    widths: tuple[int, ...]

    @abstractmethod
    def resized(self, width: int, seed: int | None = None) -> Self:
        """Draw the network anew with so many units in each hidden layer."""


class Reducible(ABC):
    """Some of its degrees of freedom may be redundant: dead units, copies of others."""

    @abstractmethod
    def redundancy(self, x: Array) -> Redundancy:
        """Find dead units, copies and trapped data at x."""

    def reduced(self, x: Array) -> tuple[Any, Array] | None:
        """The same Δ with fewer degrees of freedom, (system, x), or None where nothing is redundant."""
        return self.redundancy(x).reduced


class Replicated(ABC):
    """Its data or start may have leading axes: one replica of the system for each index along them."""

    @abstractmethod
    def replica(self, number: tuple[Any, ...]) -> Self:
        """The system of one replica, or of some, by indices along the leading axes."""


class Gauged(ABC):
    """Some of its symmetries hold to first order only: Hp sees along them."""

    @abstractmethod
    def gauge_directions(self, x: Array) -> Array:
        """The symmetries that hold beyond first order, so that H says nothing along them, (k, n_dof)."""


class Rescaled(ABC):
    """Its degrees of freedom differ in kind, as positions and angles do.

    Attributes
    ----------
    coordinate_lengths : (n_dof,) array or None
        What one unit of each coordinate of x is worth as a length; None: ones. Gradients, J, H and their spectra are
        quoted in x times this, so that they do not depend on the unit of length.
    """

    coordinate_lengths: Array | None = None

    @abstractmethod
    def lengths(self, x: Array) -> Array | None:
        """What solvers multiply x by, (n_dof,), so that its parts are alike in stiffness; None: ones."""


class Stepped:
    """Its x is of another size than its Δ.

    Attributes
    ----------
    step_unit : float
        The size of a typical change of a degree of freedom, of which the longest steps are fractions.
    """

    step_unit: float


class Rearranging:
    """A packing whose contacts change until the end, so that descent is better than Newton's method for longer.

    Attributes
    ----------
    handover : float
        Relative gradient at which compiled descent hands the system over to Newton's method.
    """

    handover: float = 1e-4


class HasPressure(ABC):
    """A system in a box, which its constraints press on."""

    @abstractmethod
    def pressure(self, c: Any) -> float:
        """The pressure of its `Constraints` at one x: minus the derivative of U with respect to the volume."""


class CompiledEvaluator(ABC):
    """An evaluator whose list of near pairs can be used in compiled loops.

    Attributes
    ----------
    kernel : NamedTuple or None
        The list; None before the first evaluation.
    origin : NamedTuple or None
        With which the next list is made.
    served : int
        Evaluations by this list.
    """

    kernel: Any = None
    origin: Any = None
    served: int = 0

    @abstractmethod
    def adopt(self, kernel: Any, origin: Any) -> None:
        """Go on with a list that was renewed in a compiled loop."""


class BatchedEvaluator:
    """An evaluator that takes x with leading axes; ∇U has them, and the numbers are NumPy arrays that have them."""


# each name that a capability defines, and the base class to inherit
HOOKS: dict[str, type] = {
    "n_data": HasData,
    "subset": HasData,
    "softest": Softened,
    "softened": Softened,
    "n_hidden": Layered,
    "least_threshold": Layered,
    "convex": Layered,
    "resized": Resizable,
    "redundancy": Reducible,
    "reduced": Reducible,
    "replica": Replicated,
    "gauge_directions": Gauged,
    "lengths": Rescaled,
    "coordinate_lengths": Rescaled,
    "step_unit": Stepped,
    "handover": Rearranging,
}


def softest(system: Any) -> float | None:
    """β at which a way through smooth systems begins; None where the system has no ReLU that can be replaced."""
    return system.softest if isinstance(system, Softened) else None


def n_data(system: Any) -> int | None:
    """P; None where the constraints are about no data."""
    return int(system.n_data) if isinstance(system, HasData) else None


def gauge_directions(system: Any, x: Array) -> Array:
    """Symmetries along which H says nothing, (k, n_dof): all of them, unless the system knows better."""
    return system.gauge_directions(x) if isinstance(system, Gauged) else system.symmetries(x)


def coordinate_lengths(system: Any) -> Array | None:
    """What one unit of each coordinate of x is worth as a length, (n_dof,); None: ones."""
    return system.coordinate_lengths if isinstance(system, Rescaled) else None


def step_unit(system: Any) -> float:
    """The size of a typical change of a degree of freedom: the unit of Δ, unless the system knows better."""
    return float(system.step_unit if isinstance(system, Stepped) else system.unit)


def redundancy(system: Any, x: Array) -> Redundancy:
    """Dead units, copies and trapped data at x; empty where the system cannot be reduced."""
    return system.redundancy(x) if isinstance(system, Reducible) else Redundancy()

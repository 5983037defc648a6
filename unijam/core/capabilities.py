"""Abilities that only some systems have: small base classes that a system inherits besides `ConstrainedSystem`.

Solvers and measurements ask `isinstance(system, HasData)`. An attribute that happens to have the name of a hook has no
effect unless its class inherits the base.
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
        Pairs of hidden units: a unit, and the unit whose output it repeats.
    trapped : tuple of int
        Data inside the margin for which ∂f/∂z of the first layer vanishes: no weight of that layer can move them.
        If n₊ of one label and n₋ of the other have the same f, U is at least 2 n₊n₋/(n₊ + n₋) (harmonic potential,
        κ = 1).
    reduced : (system, x) or None
        A system without dead units and copies, and the x at which its f on the data is the same; None if there are
        no dead units or copies.
    """

    dead: tuple[int, ...] = ()
    copies: tuple[tuple[int, int], ...] = ()
    trapped: tuple[int, ...] = ()
    reduced: tuple[Any, Array] | None = None


class HasData(ABC):
    """The constraints are about data, and some data can be removed: mini-batches, `follow`, `find_transition`.

    Attributes
    ----------
    n_data : int
        P, the number of data.
    """

    n_data: int

    @abstractmethod
    def subset(self, select: Array | slice) -> Self:
        """Make the same system with only some of its data.

        Parameters
        ----------
        select : (k,) integers, (P,) mask or slice

        Returns
        -------
        system
            The same system on these data, for which the same x is valid; kinks held on them stay held.
        """


class Softened(ABC):
    """The system's ReLU can be replaced by softplus, so that a search for U = 0 can begin with a smooth system.

    Attributes
    ----------
    softest : float or None
        The sharpness β with which such a search begins; None if this system has no ReLU.
    """

    softest: float | None = None

    @abstractmethod
    def softened(self, beta: float) -> Any:
        """Replace each ReLU by softplus of sharpness β, log(1 + exp(βz))/β; held kinks are released.

        Returns
        -------
        system
            The smooth system, with `softest = None`; the same x, (n_dof,), is valid for it.
        """


class Layered:
    """A network of layers: the properties that searches and thresholds use.

    Attributes
    ----------
    n_hidden : int
        The number of hidden units.
    least_threshold : float or None
        If the threshold of the control lies below this, the solution is trivial (the output vanishes on all data).
    convex : bool
        Whether Δ is linear in x up to a norm (no hidden layer); one search for U = 0 is then enough.
    """

    n_hidden: int = 0
    least_threshold: float | None = None
    convex: bool = False


class Resizable(ABC):
    """A network that can be drawn again with another width of its hidden layers, on the same data.

    Attributes
    ----------
    widths : tuple of int
        Hidden units of each hidden layer; empty if there is no hidden layer, and so nothing to resize.
    """

    widths: tuple[int, ...]

    @abstractmethod
    def resized(self, width: int, seed: int | None = None) -> Self:
        """Draw new weights for a network with `width` units in each hidden layer, on the same data."""


class Reducible(ABC):
    """Some degrees of freedom may be redundant: dead units, copies of other units."""

    @abstractmethod
    def redundancy(self, x: Array) -> Redundancy:
        """Find dead units, copies and trapped data at x, (n_dof,)."""

    def reduced(self, x: Array) -> tuple[Any, Array] | None:
        """(system, x) with the same Δ and fewer degrees of freedom; None if nothing is redundant at x, (n_dof,)."""
        return self.redundancy(x).reduced


class Replicated(ABC):
    """Data or `initial` may have leading axes; each index along these axes is one replica of the system."""

    @abstractmethod
    def replica(self, number: tuple[Any, ...]) -> Self:
        """The system of one replica, or of several with one leading axis.

        Parameters
        ----------
        number : tuple of int or of (k,) integers
            One index, or k indices, for each leading axis.
        """


class Gauged(ABC):
    """Some symmetries hold only to first order: H0 vanishes along them, Hp does not."""

    @abstractmethod
    def gauge_directions(self, x: Array) -> Array:
        """The symmetries that hold beyond first order at x, as rows, (k, n_dof); Newton's method leaves them out."""


class Rescaled(ABC):
    """The degrees of freedom are of several kinds, such as positions and angles.

    Attributes
    ----------
    coordinate_lengths : (n_dof,) array or None
        The length that one unit of each coordinate of x stands for; None: ones. Gradients, J, H and their spectra are
        quoted with respect to x times this, so that they do not depend on the unit of length.
    """

    coordinate_lengths: Array | None = None

    @abstractmethod
    def lengths(self, x: Array) -> Array | None:
        """Factors, (n_dof,), by which solvers multiply x to make its coordinates about equally stiff; None: ones."""


class Stepped:
    """x and Δ have different typical sizes.

    Attributes
    ----------
    step_unit : float
        A typical change of a degree of freedom. The longest steps of solvers are multiples of it.
    """

    step_unit: float


class Rearranging:
    """A packing, whose contacts change during a run: it says when descent hands over to Newton's method.

    Attributes
    ----------
    handover : float
        Relative gradient at which compiled descent hands over to Newton's method (docs/decisions/033).
    """

    handover: float = 1e-4


class HasPressure(ABC):
    """A system in a box, on whose walls or periodic images the constraints exert a pressure."""

    @abstractmethod
    def pressure(self, c: Any) -> float:
        """The pressure −dU/dV at fixed radii, from `Constraints` at one x; in units of k × length^(2 − d)."""


class HasBucklers(ABC):
    """A system in which some contacts can be opened by moving one particle alone (see `uj.localised_contacts`)."""

    @abstractmethod
    def localised(self, c: Any) -> Any:
        """Mask of such contacts among the bearing constraints, (m',), from `Constraints` at one x."""


class CompiledEvaluator(ABC):
    """An evaluator whose list of near pairs can be used in compiled loops.

    Attributes
    ----------
    kernel : NamedTuple or None
        The list of pairs, and what an evaluation needs; None before the first evaluation.
    origin : NamedTuple or None
        The data from which the next list is made.
    served : int
        The number of evaluations that have used this list.
    """

    kernel: Any = None
    origin: Any = None
    served: int = 0

    @abstractmethod
    def adopt(self, kernel: Any, origin: Any) -> None:
        """Use, from now on, the list `kernel` and its `origin` that a compiled loop has made."""


class BatchedEvaluator:
    """An evaluator of many x at once: x and ∇U (…, n_dof); U, Σ u'² and N_Δ are NumPy arrays (…)."""


# every hook, and the base class that a system must inherit for the hook to have an effect
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
    """The β at which a path through smooth systems begins; None if the system has no ReLU that can be replaced."""
    return system.softest if isinstance(system, Softened) else None


def n_data(system: Any) -> int | None:
    """P, the number of data; None if the constraints are not about data."""
    return int(system.n_data) if isinstance(system, HasData) else None


def gauge_directions(system: Any, x: Array) -> Array:
    """Symmetries that Newton's method and the saddle test leave out, as rows, (k, n_dof).

    They are all symmetries, except for a `Gauged` system, some of whose symmetries hold only to first order.
    """
    return system.gauge_directions(x) if isinstance(system, Gauged) else system.symmetries(x)


def coordinate_lengths(system: Any) -> Array | None:
    """The length that one unit of each coordinate of x stands for, (n_dof,); None: ones."""
    return system.coordinate_lengths if isinstance(system, Rescaled) else None


def step_unit(system: Any) -> float:
    """A typical change of a degree of freedom: the unit of Δ, unless the system defines its own `step_unit`."""
    return float(system.step_unit if isinstance(system, Stepped) else system.unit)


def redundancy(system: Any, x: Array) -> Redundancy:
    """Dead units, copies and trapped data at x, (n_dof,); empty if the system is not `Reducible`."""
    return system.redundancy(x) if isinstance(system, Reducible) else Redundancy()

"""The abstract interface: degrees of freedom x and constraints of signed distance Δ_i(x) = λ c_i − g_i(x).

A system makes its constraints at x (`constraints.py`); `derivatives.py` reads U, ∇U, H0 and Hp off them.
"""

import copy
import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any, Self, TypeVar

from ..linalg import MEMORY
from ..support.arrays import Array, is_sparse
from ..support.printing import Brief
from ..support.validation import require
from .constraints import Constraints
from .derivatives import evaluate as evaluate_system
from .hooks import refuse_attribute, refuse_class
from .kinks import HeldKinks
from .potentials import Harmonic, Potential, holding

# A change of these attributes does not change whether J is sparse or whether Δ has kinks: a copy need not look again.
SAME_FORM = {"scale", "initial", "potential", "kinks", "memory_limit"}


class ConstrainedSystem(Brief, ABC):
    """N degrees of freedom and their constraints. A system is frozen: solvers do not change it, `at` makes a copy.

    A subclass must define `initial` and `constraints`; everything else has a default. Abilities that only some systems
    have (to choose among data, become smooth, drop redundant units, …) are base classes in
    `unijam.core.capabilities`, which a subclass inherits besides this one.

    Attributes
    ----------
    initial : (n_dof,) array
        The degrees of freedom at which a run starts by default.
    potential : Potential
        The energy of one constraint.
    control : str or None
        The name of the parameter that jams the system, an attribute of it; None if no parameter does.
    unit : float
        A typical length of Δ (particles: the mean diameter). Every threshold that Δ is compared with is a multiple of
        it, so that the choice of units does not change a result.
    coordinates : int or (n_dof,) integers
        The number of consecutive degrees of freedom that belong together (the d coordinates of a particle), or the
        group of each one. Whole groups bear force or do not, so that this does not depend on the axes.
    jamming_overlap : float
        Typical overlap √(2U/N_Δ), in units of `unit`, below which `jam` calls a state jammed. If 100 resolutions are
        larger (in single precision), they count instead.
    memory_limit : int
        Bytes of memory that derivatives of a matrix-free system, and bases of vectors, may use.
    kinks : (members, slopes) or None
        Kinks on which the system is held, (k, 2) and (k,): there h = slope × z instead of max(), |·| or ReLU, so
        that Δ is smooth at a minimum that sits on them. Made by `ProximalNewton`.

    Raises
    ------
    ValueError
        A class or its `__init__` gives a method or property of this interface another meaning
        (`self.symmetries = …`), or defines a hook without inheriting the capability that the hook belongs to.

    Examples
    --------
    A point between two walls at 0 and 1, each of which repels it up to a distance of 0.8:

    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> import unijam as uj
    >>> class Point(uj.ConstrainedSystem):
    ...     initial = np.array([0.2])
    ...     def constraints(self, x, reach=0.0):
    ...         return Walls(self, x, np.array([0.8 - x[0], x[0] - 0.2]), np.array([[0], [1]]))
    >>> @dataclass
    ... class Walls(uj.Constraints):
    ...     system: Point
    ...     x: np.ndarray
    ...     delta: np.ndarray
    ...     members: np.ndarray
    ...     def vjp(self, weights):
    ...         return np.array([weights[1] - weights[0]])
    ...     def jvp(self, direction):
    ...         return np.array([-direction[0], direction[0]])
    ...     def jacobian(self, select=None):
    ...         return np.array([[-1.0], [1.0]])[slice(None) if select is None else select]
    ...     def curvature(self, weights):
    ...         return np.zeros((1, 1))
    >>> result = uj.minimize(Point())
    >>> result.status, result.x.round(12)
    ('converged', array([0.5]))
    """

    initial: Array
    potential: Potential = Harmonic()
    control: str | None = None
    unit: float = 1.0
    coordinates: Any = 1
    jamming_overlap: float = 1e-7
    memory_limit: int = MEMORY
    kinks: HeldKinks | None = None

    def __new__(cls, *arguments: Any, **keywords: Any) -> Self:
        made = super().__new__(cls)
        if not dataclasses.is_dataclass(cls):  # a dataclass keeps its arguments as fields
            object.__setattr__(made, "_made_of", (arguments, keywords))
        return made

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        refuse_class(cls)

    def __setattr__(self, name: str, value: Any) -> None:
        refuse_attribute(self, name, value)
        super().__setattr__(name, value)

    @abstractmethod
    def constraints(self, x: Array, reach: float = 0.0) -> Constraints:
        """The constraints at x, (n_dof,): all with Δ_i > −reach; wider gaps may be left out."""

    @property
    def n_dof(self) -> int:
        """The number of degrees of freedom."""
        return int(self.initial.shape[-1])

    @property
    def matrix_free(self) -> bool:
        """Whether J and H are too large for matrices, and known only by their products J v, Jᵀ w and H v."""
        return False

    @property
    def sparse(self) -> bool:
        """Whether J is a scipy sparse matrix. Unless the class defines it, J at `initial` tells, once."""
        return self._form[0]

    @property
    def kinked(self) -> bool:
        """Whether U has kinks: u' jumps at Δ = 0, or Δ contains max(), |·| or ReLU (looked up once, at `initial`)."""
        return self.potential.kink > 0 or self._form[1]

    @cached_property
    def _form(self) -> tuple[bool, bool]:
        """Whether J is sparse, and whether Δ has kinks (of a matrix-free system kinks are not known: False)."""
        if self.matrix_free:
            return False, False
        c = self.constraints(self.initial)
        return is_sparse(c.jacobian(c.overlaps & False)), c.kinks(c.delta).values.shape[0] > 0

    @property
    def scale(self) -> float | None:
        """The value of λ in Δ = λ c − g(x); None if the system has no control."""
        return None if self.control is None else float(getattr(self, self.control))

    def evaluator(self) -> Callable[[Array], tuple[float, Array, float, int]]:
        """A new function x -> (U, ∇U, Σ u'², N_Δ) with a neighbour list or buffers of its own; x and ∇U (n_dof,)."""

        def evaluate(x: Array) -> tuple[float, Array, float, int]:
            return evaluate_system(self, self.constraints(x))

        return evaluate

    def scaled_evaluator(self) -> Callable[[Array, float], tuple[float, Array, float, int, float]]:
        """A new function (x, λ) -> (U, ∇U, Σ u'², N_Δ, Σ u' c), for solvers that change the scale as well as x."""

        def evaluate(x: Array, scale: float) -> tuple[float, Array, float, int, float]:
            system = self.at(scale=scale)
            c = system.constraints(x)
            return *evaluate_system(system, c), float(self.potential.force(c.delta) @ c.loading())

        return evaluate

    def at(self, **changes: Any) -> Self:
        """A copy of the system with other attributes, for which the same x is valid; `scale` sets the control.

        Raises
        ------
        ValueError
            There is no such attribute, or its value is out of range.
        """
        if "scale" in changes and self.control is not None:
            changes[self.control] = changes.pop("scale")
        kind = type(self).__name__
        if "kinks" in changes:
            changes["potential"] = holding(changes.get("potential", self.potential), changes["kinks"])
        for name in changes:
            require(hasattr(self, name), "parameter", name, f"an attribute of {kind}")
        if dataclasses.is_dataclass(self):
            known = [field.name for field in dataclasses.fields(self) if field.init]
            for name in changes:
                require(
                    name in known, "parameter", name, f"an attribute that makes a {kind}: {', '.join(known)}"
                )
            other = dataclasses.replace(self, **changes)
        else:
            other = copy.copy(self)
            vars(other).pop("_form", None)
            for name, value in changes.items():
                object.__setattr__(other, name, value)
        if "_form" in vars(self) and set(changes) <= SAME_FORM | {self.control}:
            vars(other)["_form"] = self._form
        return other

    def symmetries(self, x: Array) -> Array:
        """Directions along which no Δ_i changes, as rows, (k, n_dof); they need not be orthonormal."""
        return self.initial[:0, None] * self.initial[None, :]

    def canonical(self, x: Array) -> Array:
        """x, (n_dof,), in the gauge that results and spectra use; the same object if x is in this gauge already."""
        return x

    def resolution(self, x: Array) -> float:
        """The rounding error of one Δ_i, in units of Δ. Default: 1e-15 `unit`, for Δ of order `unit` in float64."""
        return 1e-15 * self.unit


System = TypeVar("System", bound=ConstrainedSystem)


def released(system: System) -> System:
    """The same system without held kinks (the same object if it holds none)."""
    return system if system.kinks is None else system.at(kinks=None)


def made_of(system: ConstrainedSystem) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """The arguments (positional, keywords) that a system's constructor was called with; None if not recorded."""
    return getattr(system, "_made_of", None)

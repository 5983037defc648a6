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

# after changes of these alone a copy has a J of the same form, and kinks where it had some
SAME_FORM = {"scale", "initial", "potential", "kinks", "memory_limit"}


class ConstrainedSystem(Brief, ABC):
    """N degrees of freedom and their constraints; frozen: solvers never change it, `at` makes another.

    A subclass must give `initial` and `constraints`; all the rest has defaults. What only some systems can do (choose
    among data, become smooth, drop redundant units, …) are base classes to inherit besides this one, in
    `unijam.core.capabilities`.

    Attributes
    ----------
    initial : (n_dof,) array
        A start.
    potential : Potential
        The energy of one constraint.
    control : str or None
        The user's name of the parameter that jams the system, readable as an attribute.
    unit : float
        The size of a typical length of Δ (particles: the mean diameter): whatever is compared with a Δ is a multiple
        of it, so that a system behaves alike in any unit.
    coordinates : int or (n_dof,) integers
        How many consecutive degrees of freedom belong together, as the d coordinates of a particle, or the group of
        each: what bears force is asked of whole groups, and so does not depend on the axes.
    jamming_overlap : float
        √(2U/N_Δ) in units of `unit` at which `jam` calls a state jammed, or that of 100 resolutions, if larger (single
        precision).
    memory_limit : int
        Bytes that derivatives of a matrix-free system, and bases of vectors, may take.
    kinks : (members, slopes) or None
        Kinks on which the system is held, (k, 2) and (k,): there h = slope × z instead of max(), |·| or ReLU, so
        that Δ is smooth at a minimum that sits on them. Made by `ProximalNewton`.

    Raises
    ------
    ValueError
        One sentence, where a class or its `__init__` gives a method or property of the contract another meaning
        (`self.symmetries = …`), or defines a hook without inheriting the capability that it belongs to.

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
        """The constraints at x: every Δ_i > −reach (farther gaps may be missing)."""

    @property
    def n_dof(self) -> int:
        """The number of degrees of freedom."""
        return int(self.initial.shape[-1])

    @property
    def matrix_free(self) -> bool:
        """Whether J and H are known by their products alone (J v, Jᵀ w, H v), being too large for matrices."""
        return False

    @property
    def sparse(self) -> bool:
        """Whether J is a scipy sparse matrix; looked at once, at the start, unless the class says so."""
        return self._form[0]

    @property
    def kinked(self) -> bool:
        """Whether U has kinks: max(), |·| or ReLU in Δ, looked at once at the start, or a jump of u' at Δ = 0."""
        return self.potential.kink > 0 or self._form[1]

    @cached_property
    def _form(self) -> tuple[bool, bool]:
        """Whether J is sparse, and whether Δ has kinks (those of a matrix-free system are not known)."""
        if self.matrix_free:
            return False, False
        c = self.constraints(self.initial)
        return is_sparse(c.jacobian(c.overlaps & False)), c.kinks(c.delta).values.shape[0] > 0

    @property
    def scale(self) -> float | None:
        """λ of Δ = λ c − g(x); None where there is no control."""
        return None if self.control is None else float(getattr(self, self.control))

    def evaluator(self) -> Callable[[Array], tuple[float, Array, float, int]]:
        """A fresh function x -> (U, ∇U, Σ u'², N_Δ) that owns its neighbour list or buffers."""

        def evaluate(x: Array) -> tuple[float, Array, float, int]:
            return evaluate_system(self, self.constraints(x))

        return evaluate

    def scaled_evaluator(self) -> Callable[[Array, float], tuple[float, Array, float, int, float]]:
        """A fresh function (x, λ) -> (U, ∇U, Σ u'², N_Δ, Σ u' c): the evaluator where the scale moves too."""

        def evaluate(x: Array, scale: float) -> tuple[float, Array, float, int, float]:
            system = self.at(scale=scale)
            c = system.constraints(x)
            return *evaluate_system(system, c), float(self.potential.force(c.delta) @ c.loading())

        return evaluate

    def at(self, **changes: Any) -> Self:
        """A copy with other parameters (or another `scale`), for which the same x is valid."""
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
        """Directions along which no Δ_i changes, (k, n_dof); not necessarily orthonormal."""
        return self.initial[:0, None] * self.initial[None, :]

    def canonical(self, x: Array) -> Array:
        """x in the gauge in which it is kept and spectra are quoted (x itself where nothing is to be done)."""
        return x

    def resolution(self, x: Array) -> float:
        """The rounding error of one Δ_i, in units of Δ (default: Δ of order `unit` in double precision)."""
        return 1e-15 * self.unit


System = TypeVar("System", bound=ConstrainedSystem)


def released(system: System) -> System:
    """The same system with no kinks held."""
    return system if system.kinks is None else system.at(kinks=None)


def made_of(system: ConstrainedSystem) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """The arguments that a system's constructor was called with; None where that is not known."""
    return getattr(system, "_made_of", None)

"""The abstract interface: degrees of freedom x and constraints of signed distance Δ_i(x) = λ c_i − g_i(x).

U = Σ u(Δ_i),  ∇U = Jᵀu',  H = Jᵀ u'' J + Σ u' ∇∇Δ_i = H0 + Hp. Everything else in the package reads off these.
"""

import copy
import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any, Self, TypeVar

from ..linalg import MEMORY, Operator
from ..support.arrays import Array, column_norms, gram, is_sparse, namespace, over, signs, together, weigh
from ..support.printing import Brief
from ..support.validation import require
from .hooks import refuse_attribute, refuse_class
from .kinks import HeldKinks, Kinks
from .potentials import Harmonic, Potential, holding
from .tolerances import OVERLAP_RESOLUTIONS

PROBES = 4  # random signs of the data that stand for J where it is no matrix
UNMOVED = 1e-12  # of the largest column of J: what an overlap moves by less, it does not move
# after changes of these alone a copy has a J of the same form, and kinks where it had some
SAME_FORM = {"scale", "initial", "potential", "kinks", "memory_limit"}


class Constraints(Brief, ABC):
    """The constraints of a system at one x: one neighbour search or one forward pass, and all that is read off it.

    Attributes
    ----------
    system : ConstrainedSystem
        Whose constraints these are (its scale and potential).
    x : (n_dof,) array
        Where.
    delta : (m,) array
        Signed distances: overlaps Δ > 0, gaps Δ < 0, in the units of `system`.
    members : (m, k) integer array
        Which particles, or which datum, each constraint is about.

    Examples
    --------
    >>> import unijam as uj
    >>> system = uj.SoftSpheres.random(n=16, packing_fraction=1.0)
    >>> c = system.constraints(system.initial)
    >>> c.jacobian().shape == (len(c.delta), system.n_dof), c.members.shape[1]
    (True, 2)
    """

    system: "ConstrainedSystem"
    x: Array
    delta: Array
    members: Array

    @abstractmethod
    def vjp(self, weights: Array) -> Array:
        """Jᵀ w: (m,) -> (n_dof,)."""

    @abstractmethod
    def jvp(self, direction: Array) -> Array:
        """J v: (n_dof,) -> (m,)."""

    @abstractmethod
    def jacobian(self, select: Array | None = None) -> Array:
        """Rows of J = ∂Δ/∂x (all, or those of a mask or index): scipy csr (particles) or dense, (m', n_dof)."""

    @abstractmethod
    def curvature(self, weights: Array) -> Array:
        """Σ w_i ∇∇Δ_i, (n_dof, n_dof): scipy csc (particles), dense, or an `Operator`; zero weights cost nothing."""

    def curvature_product(self, direction: Array, stiffness: Array | None, weights: Array | None) -> Array:
        """Σ a_i ∇Δ_i (∇Δ_i·v) + Σ w_i ∇∇Δ_i v, (n_dof,), of a matrix-free system; None stands for zeros."""
        raise NotImplementedError(f"{type(self).__name__} does not know H but as a matrix.")

    def stiffness(self, weights: Array) -> Array:
        """Σ w_i ∇Δ_i ⊗ ∇Δ_i, (n_dof, n_dof), in the form of `curvature`; Jᵀ w J of weights (m/k, k, k)."""
        if self.system.matrix_free:
            return ConstraintOperator(self, stiffness=weights, memory=self.system.memory_limit)
        if weights.ndim == 3:
            return gram(self.jacobian(), weights)
        select = weights != 0
        return gram(self.jacobian(select), weights[select])

    def hessian(self, stiffness: Array, weights: Array) -> Array:
        """`stiffness` + `curvature`, in one matrix of the same form."""
        return self.stiffness(stiffness) + self.curvature(weights)

    def loading(self) -> Array:
        """c_i = ∂Δ_i/∂scale, (m,); exact but for rounding, because Δ is linear in the scale."""
        if self.system.scale is None:
            raise ValueError(
                "loading asks how Δ depends on the scale, and this system has none (control is None)."
            )
        step = max(
            abs(self.system.scale), self.system.unit
        )  # as long as λ is: what is added is not lost in rounding
        raised = self.system.at(scale=self.system.scale + step).constraints(self.x)
        return (raised.delta - self.delta) / step

    def bearing(self) -> tuple[Array, Array]:
        """Masks of the degrees of freedom, (n_dof,), and of the constraints, (m,), that bear force.

        A group of degrees of freedom that belong together (`system.coordinates`) bears force where an overlap moves
        any direction of it, so that the masks do not depend on the axes; its columns of J are otherwise below 1e-12
        of the largest.
        """
        columns = self._column_norms()
        largest = columns.max() if int(self.stressed.sum()) else 0.0
        moved = together(columns > UNMOVED * largest, self.system.coordinates)
        return moved, namespace(self.delta).ones_like(self.delta) > 0

    def _column_norms(self) -> Array:
        """Of J over what bears force, (n_dof,); estimated, but zero where they are, in a matrix-free system."""
        stressed = self.stressed
        if not self.system.matrix_free:
            return column_norms(self.jacobian(stressed))
        return sum(self.vjp(signs(self.delta, k) * stressed) ** 2 for k in range(PROBES)) ** 0.5

    def sensitivity(self, lengths: Array | None = None) -> float:
        """‖u'' J‖ (Frobenius) over what bears force; estimated, to some per cent, in a matrix-free system.

        J is ∂Δ/∂(lengths × x) where lengths, (n_dof,), are given.
        """
        stressed, stiffness = self.stressed, self.system.potential.stiffness(self.delta)
        if not self.system.matrix_free:
            weights = stiffness if stiffness.ndim == 3 else stiffness[stressed]  # coupled: all bear force
            rows = weigh(weights, over(self.jacobian(stressed), lengths))
            return float(float((column_norms(rows) ** 2).sum()) ** 0.5)
        probes = [self.vjp(weigh(stiffness, signs(self.delta, k) * stressed)) for k in range(PROBES)]
        return float((sum(float(v @ v) for v in probes) / PROBES) ** 0.5)

    def kinks(self, weights: Array) -> Kinks:
        """The kinks of Σ w_i Δ_i, at whatever distance from x; empty where Δ is smooth."""
        none, rows = self.delta[:0], self.delta[:0, None] * self.x[None, :]
        number = namespace(self.delta).argsort(none)
        return Kinks(none, lambda select: number.reshape(0, 2), number, lambda: none, lambda select: rows)

    @property
    def overlaps(self) -> Array:
        """Mask of the constraints with Δ above 15 × the system's resolution, (m,)."""
        return self.delta > OVERLAP_RESOLUTIONS * self.system.resolution(self.x)

    @property
    def stressed(self) -> Array:
        """Mask of the constraints that carry a force: the overlaps, or all of a potential without finite range."""
        overlaps = self.overlaps
        return overlaps if self.system.potential.finite_range else overlaps | True


class ConstraintOperator(Operator):
    """Σ a_i ∇Δ_i ⊗ ∇Δ_i + Σ w_i ∇∇Δ_i at one x; the sum of two of the same constraints costs one product.

    Attributes
    ----------
    constraints : Constraints
    stiffness, weights : arrays or None
        a and w; None stands for zeros.
    """

    def __init__(
        self,
        constraints: "Constraints",
        stiffness: Array | None = None,
        weights: Array | None = None,
        memory: int = MEMORY,
    ) -> None:
        super().__init__(
            lambda v: constraints.curvature_product(v, stiffness, weights), constraints.x, memory
        )
        self.constraints, self.stiffness, self.weights = constraints, stiffness, weights

    def __add__(self, other: Operator) -> Operator:
        if not (isinstance(other, ConstraintOperator) and other.constraints is self.constraints):
            return super().__add__(other)
        stiffness, weights = _sum(self.stiffness, other.stiffness), _sum(self.weights, other.weights)
        return ConstraintOperator(self.constraints, stiffness, weights, self.memory)


def _sum(a: Array | None, b: Array | None) -> Array | None:
    return b if a is None else a if b is None else a + b


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
            return _evaluate(self, self.constraints(x))

        return evaluate

    def scaled_evaluator(self) -> Callable[[Array, float], tuple[float, Array, float, int, float]]:
        """A fresh function (x, λ) -> (U, ∇U, Σ u'², N_Δ, Σ u' c): the evaluator where the scale moves too."""

        def evaluate(x: Array, scale: float) -> tuple[float, Array, float, int, float]:
            system = self.at(scale=scale)
            c = system.constraints(x)
            return *_evaluate(system, c), float(self.potential.force(c.delta) @ c.loading())

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


def kinks(c: Constraints) -> Kinks:
    """The kinks of U: those of Δ weighed by u', and, where u' jumps at Δ = 0, the constraints (unit −1)."""
    potential, force = c.system.potential, c.system.potential.force(c.delta)
    own = c.kinks(force)
    if not potential.kink:
        return own
    xp, first = namespace(c.delta), len(own.values)
    number = xp.cumulative_sum(c.members[:, 0] * 0 + 1) - 1  # 0 … m − 1
    held = getattr(potential, "index", number[:0])
    ones = 0.0 * c.delta + 1.0

    def members(select: Array) -> Array:
        rest = select[select >= first] - first
        return xp.concat([own.members(select[select < first]), xp.stack([0 * rest - 1, rest], axis=1)])

    def gradients(select: Array) -> Array:
        rest = c.jacobian(select[select >= first] - first)
        return xp.concat([own.jacobian(select[select < first]), rest])

    sides = own.sides(xp.nonzero(own.values == own.values)[0])
    return Kinks(
        xp.concat([own.values, c.delta]),
        members,
        xp.concat([own.held, first + held]),
        lambda: xp.concat([own.forces, potential.kink * ones]),
        gradients,
        xp.concat([sides[0], 0.0 * ones]),
        xp.concat([sides[1], ones]),
    )


def energy(system: ConstrainedSystem, c: Constraints) -> float:
    """U = Σ u(Δ_i).

    Parameters
    ----------
    system : ConstrainedSystem
    c : Constraints
        `system.constraints(x)`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        Where c is no `Constraints`, but x itself, say.

    Examples
    --------
    >>> import numpy as np
    >>> import unijam as uj
    >>> system = uj.SoftSpheres(initial=np.array([1.0, 1.0, 1.9, 1.0]), radii=np.full(2, 0.5), box_length=4.0)
    >>> round(uj.energy(system, system.constraints(system.initial)), 12)  # ½ 0.1²
    0.005
    """
    require_evaluated(c)
    return float(system.potential.energy(c.delta).sum())


def gradient(system: ConstrainedSystem, c: Constraints) -> Array:
    """∇U = Jᵀ u', (n_dof,).

    Parameters
    ----------
    system : ConstrainedSystem
    c : Constraints
        `system.constraints(x)`.

    Returns
    -------
    (n_dof,) array

    Raises
    ------
    ValueError
        Where c is no `Constraints`, but x itself, say.

    Examples
    --------
    >>> import numpy as np
    >>> import unijam as uj
    >>> system = uj.SoftSpheres(initial=np.array([1.0, 1.0, 1.9, 1.0]), radii=np.full(2, 0.5), box_length=4.0)
    >>> uj.gradient(system, system.constraints(system.initial)).round(12) + 0.0
    array([ 0.1,  0. , -0.1,  0. ])
    """
    require_evaluated(c)
    return c.vjp(system.potential.force(c.delta))


def hessian(system: ConstrainedSystem, c: Constraints, select: Array | None = None) -> tuple[Array, Array]:
    """H0 = Jᵀ u'' J and Hp = Σ u' ∇∇Δ of all constraints, or of those of a mask, each (n_dof, n_dof).

    Parameters
    ----------
    system : ConstrainedSystem
    c : Constraints
        `system.constraints(x)`.
    select : (m,) mask, optional
        The constraints to take; all by default.

    Returns
    -------
    h0, hp : (n_dof, n_dof) matrices
        Sparse, dense or known by their products, as the system has them.

    Raises
    ------
    ValueError
        Where c is no `Constraints`, but x itself, say.

    Examples
    --------
    >>> import numpy as np
    >>> import unijam as uj
    >>> system = uj.SoftSpheres(initial=np.array([1.0, 1.0, 1.9, 1.0]), radii=np.full(2, 0.5), box_length=4.0)
    >>> h0, hp = uj.hessian(system, system.constraints(system.initial))
    >>> round(float(h0.toarray()[0, 0]), 12), round(float(hp.toarray()[1, 1]), 12)  # u'' = 1, −Δ/r
    (1.0, -0.111111111111)
    """
    require_evaluated(c)
    force, stiffness = system.potential.force(c.delta), system.potential.stiffness(c.delta)
    if select is not None:
        force = force * select
        if stiffness.ndim == 3:  # constraints of one datum are coupled
            k = stiffness.shape[1]
            stiffness = stiffness * select.reshape(-1, k, 1) * select.reshape(-1, 1, k)
        else:
            stiffness = stiffness * select
    return c.stiffness(stiffness), c.curvature(force)


def whole_hessian(system: ConstrainedSystem, c: Constraints) -> Array:
    """H = H0 + Hp of all constraints, (n_dof, n_dof), as one matrix that is nobody else's."""
    require_evaluated(c)
    return c.hessian(system.potential.stiffness(c.delta), system.potential.force(c.delta))


def _evaluate(system: ConstrainedSystem, c: Constraints) -> tuple[float, Array, float, int]:
    force = system.potential.force(c.delta)
    return energy(system, c), c.vjp(force), float(force @ force), int(c.overlaps.sum())


def require_evaluated(c: Any) -> None:
    """Raise a `ValueError` where these are no constraints at some x, but x itself, say."""
    known = isinstance(c, Constraints)
    require(known, "c", type(c).__name__, "the constraints at x, system.constraints(x)")

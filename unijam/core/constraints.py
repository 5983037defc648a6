"""The constraints of a system at one x: signed distances Δ, (m,), and their derivatives with respect to x, (n_dof,)."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from ..linalg import MEMORY, Operator
from ..support.arrays import Array, column_norms, gram, namespace, over, signs, together, weigh
from ..support.printing import Brief
from ..support.validation import require
from .kinks import Kinks
from .tolerances import OVERLAP_RESOLUTIONS

if TYPE_CHECKING:  # a system makes its constraints, and `system` imports this file
    from .system import ConstrainedSystem

PROBES = 4  # random signs of the data that stand for J where it is no matrix
UNMOVED = 1e-12  # of the largest column of J: what an overlap moves by less, it does not move


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
            return float((column_norms(rows) ** 2).sum()) ** 0.5
        probes = [self.vjp(weigh(stiffness, signs(self.delta, k) * stressed)) for k in range(PROBES)]
        return (sum(float(v @ v) for v in probes) / PROBES) ** 0.5

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


def require_evaluated(c: Any) -> None:
    """Raise a `ValueError` where these are no constraints at some x, but x itself, say."""
    known = isinstance(c, Constraints)
    require(known, "c", type(c).__name__, "the constraints at x, system.constraints(x)")

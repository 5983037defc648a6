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

# A matrix-free system has no J: the norms of J are estimated from Jᵀ v of this many vectors v of random ±1.
PROBES = 4
# A degree of freedom whose column of J is below this fraction of the largest one is not moved by any overlap: such a
# column is made of rounding errors.
UNMOVED = 1e-12


class Constraints(Brief, ABC):
    """The constraints of a system at one x: the result of one neighbour search or one forward pass.

    Derivatives of Δ are methods: J = ∂Δ/∂x and its products, and second derivatives weighted by forces.

    Attributes
    ----------
    system : ConstrainedSystem
        The system that made these constraints; its scale and potential apply.
    x : (n_dof,) array
        The degrees of freedom at which Δ was evaluated.
    delta : (m,) array
        Signed distances: overlaps Δ > 0, gaps Δ < 0, in the units of `system`.
    members : (m, k) integer array
        The particles, or the datum (and the wrong class), that each constraint is about.

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
        """J = ∂Δ/∂x, or the rows of J that a mask or an index selects, (m', n_dof): scipy csr (particles) or dense."""

    @abstractmethod
    def curvature(self, weights: Array) -> Array:
        """Σ w_i ∇∇Δ_i of weights (m,), (n_dof, n_dof): scipy csc (particles), dense, or an `Operator`.

        Constraints of weight zero are skipped, so that they cost no time.
        """

    def curvature_product(self, direction: Array, stiffness: Array | None, weights: Array | None) -> Array:
        """Σ a_i ∇Δ_i (∇Δ_i·v) + Σ w_i ∇∇Δ_i v, (n_dof,), with v (n_dof,), a and w (m,) or None for zeros.

        Matrix-free systems implement it; the default raises `NotImplementedError`.
        """
        raise NotImplementedError(f"{type(self).__name__} does not know H but as a matrix.")

    def stiffness(self, weights: Array) -> Array:
        """Σ w_i ∇Δ_i ⊗ ∇Δ_i of weights (m,), (n_dof, n_dof), in the form of `curvature`.

        Weights (m/k, k, k) are the blocks of a block-diagonal matrix w; the result is then Jᵀ w J.
        """
        if self.system.matrix_free:
            return ConstraintOperator(self, stiffness=weights, memory=self.system.memory_limit)
        if weights.ndim == 3:
            return gram(self.jacobian(), weights)
        select = weights != 0
        return gram(self.jacobian(select), weights[select])

    def hessian(self, stiffness: Array, weights: Array) -> Array:
        """`stiffness(stiffness)` + `curvature(weights)` as one matrix, (n_dof, n_dof), in the form of `curvature`."""
        return self.stiffness(stiffness) + self.curvature(weights)

    def loading(self) -> Array:
        """c_i = ∂Δ_i/∂λ with respect to the scale λ, (m,). A difference quotient is exact: Δ is linear in λ.

        Raises
        ------
        ValueError
            The system has no scale (`control` is None).
        """
        if self.system.scale is None:
            raise ValueError(
                "loading asks how Δ depends on the scale, and this system has none (control is None)."
            )
        # A step as long as λ itself: a much shorter one would lose digits of the difference to rounding.
        step = max(abs(self.system.scale), self.system.unit)
        raised = self.system.at(scale=self.system.scale + step).constraints(self.x)
        return (raised.delta - self.delta) / step

    def bearing(self) -> tuple[Array, Array]:
        """Masks of the degrees of freedom, (n_dof,), and of the constraints, (m,), that bear force.

        A degree of freedom bears force if the norm of its column of J, taken over the stressed constraints, exceeds
        1e-12 of the largest one. If one coordinate of a group (`system.coordinates`: a particle, say) bears force,
        the whole group does; the mask therefore does not depend on the orientation of the axes.
        """
        columns = self._column_norms()
        largest = columns.max() if int(self.stressed.sum()) else 0.0
        moved = together(columns > UNMOVED * largest, self.system.coordinates)
        return moved, namespace(self.delta).ones_like(self.delta) > 0

    def _column_norms(self) -> Array:
        """Norms of the columns of J over the stressed constraints, (n_dof,).

        In a matrix-free system they are estimated; a column that vanishes is zero in the estimate too.
        """
        stressed = self.stressed
        if not self.system.matrix_free:
            return column_norms(self.jacobian(stressed))
        return sum(self.vjp(signs(self.delta, k) * stressed) ** 2 for k in range(PROBES)) ** 0.5

    def sensitivity(self, lengths: Array | None = None) -> float:
        """‖u'' J‖ (Frobenius norm) over the stressed constraints; in a matrix-free system an estimate.

        If lengths, (n_dof,), are given, J is ∂Δ/∂(lengths × x).
        """
        stressed, stiffness = self.stressed, self.system.potential.stiffness(self.delta)
        if not self.system.matrix_free:
            weights = stiffness if stiffness.ndim == 3 else stiffness[stressed]  # coupled: all bear force
            rows = weigh(weights, over(self.jacobian(stressed), lengths))
            return float(float((column_norms(rows) ** 2).sum()) ** 0.5)
        probes = [self.vjp(weigh(stiffness, signs(self.delta, k) * stressed)) for k in range(PROBES)]
        return float((sum(float(v @ v) for v in probes) / PROBES) ** 0.5)

    def kinks(self, weights: Array) -> Kinks:
        """All kinks of Σ w_i Δ_i with weights (m,), near x or far from it; empty if Δ is smooth."""
        none, rows = self.delta[:0], self.delta[:0, None] * self.x[None, :]
        number = namespace(self.delta).argsort(none)
        return Kinks(none, lambda select: number.reshape(0, 2), number, lambda: none, lambda select: rows)

    @property
    def overlaps(self) -> Array:
        """Mask of the constraints that overlap, (m,): Δ above 15 × `system.resolution(x)`."""
        return self.delta > OVERLAP_RESOLUTIONS * self.system.resolution(self.x)

    @property
    def stressed(self) -> Array:
        """Mask of the constraints that carry a force, (m,): the overlaps; all, if the potential has no finite range."""
        overlaps = self.overlaps
        return overlaps if self.system.potential.finite_range else overlaps | True


class ConstraintOperator(Operator):
    """Σ a_i ∇Δ_i ⊗ ∇Δ_i + Σ w_i ∇∇Δ_i at one x, a symmetric (n_dof, n_dof) matrix known by its products.

    The sum of two operators of the same constraints is again one operator, and costs one product instead of two.

    Attributes
    ----------
    constraints : Constraints
    stiffness, weights : (m,) arrays or None
        a and w; None stands for zeros. `stiffness` may have blocks, (m/k, k, k).
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
    """Raise a `ValueError` unless c is a `Constraints` (a caller may have passed x by mistake)."""
    known = isinstance(c, Constraints)
    require(known, "c", type(c).__name__, "the constraints at x, system.constraints(x)")

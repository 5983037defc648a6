"""Where Δ is not differentiable: the kinks of max(), |·| and ReLU, and where a system is held on them."""

from collections.abc import Callable
from functools import cached_property

from ..support.arrays import Array

DEGENERATE = 1e-9  # of a slope: forces, and so slopes, are known no better than the gradient
HeldKinks = tuple[Array, Array]  # which kinks a system is held on, (k, 2), and the slopes there, (k,)


class Kinks:
    """Where Δ is not differentiable: pairs of a pre-activation z of max(), |·| or ReLU and the h it becomes.

    h = left z for z < 0 and right z for z > 0; at z = 0 any slope between the two may hold.

    Attributes
    ----------
    values : (k,) array
        z of each pair, however far from its kink.
    left, right : (k,) array or None
        Slopes of h on both sides; None where they are 0 and 1 for all.
    held : (k',) integer array
        Which of the pairs the system holds on their kinks, in the order of `system.kinks`.
    forces : (k,) array
        ∂(Σ w Δ)/∂h.

    Examples
    --------
    >>> import unijam as uj
    >>> shape = {"depth": 1, "width": 3, "input_dimension": 2, "n_data": 10}
    >>> network = uj.FullyConnected.random(**shape, activation="relu")
    >>> c = network.constraints(network.initial)
    >>> len(c.kinks(c.delta).values)  # one a unit and datum
    30
    """

    def __init__(
        self,
        values: Array,
        members: Callable[[Array], Array],
        held: Array,
        forces: Callable[[], Array],
        jacobian: Callable[[Array], Array],
        left: Array | None = None,
        right: Array | None = None,
    ) -> None:
        self.values, self.held = values, held
        self.left, self.right = left, right
        self._members, self._forces, self._jacobian = members, forces, jacobian

    @cached_property
    def forces(self) -> Array:
        return self._forces()

    @property
    def strengths(self) -> Array:
        """∂(Σ w Δ)/∂h × (right − left): positive where the kink is convex, so that a minimum may sit on it."""
        return (
            self.forces if self.left is None or self.right is None else self.forces * (self.right - self.left)
        )

    def fractions(self, slopes: Array) -> Array:
        """Where the slopes of the held pairs lie between those of the left (0) and the right (1)."""
        left, right = self.sides(self.held)
        return (slopes - left) / (right - left)

    def degenerate(self, slopes: Array) -> Array:
        """Mask of the held pairs with a slope so near that of a side that whether they bear force is not decided."""
        fractions = self.fractions(slopes)
        return (fractions < DEGENERATE) | (fractions > 1 - DEGENERATE)

    def slopes(self, select: Array, fractions: Array) -> Array:
        """The slopes of the pairs of an index from their fractions."""
        left, right = self.sides(select)
        return left + fractions * (right - left)

    def sides(self, select: Array) -> tuple[Array, Array]:
        """Left and right slopes of the pairs of an index, (k',) each."""
        if self.left is None or self.right is None:
            flat = 0.0 * self.values[select]
            return flat, flat + 1.0
        return self.left[select], self.right[select]

    def members(self, select: Array) -> Array:
        """Unit and datum of the pairs of an index, (k', 2) integers."""
        return self._members(select)

    def jacobian(self, select: Array) -> Array:
        """∇z of the pairs of an index, dense (k', n_dof)."""
        return self._jacobian(select)

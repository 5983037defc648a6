"""Kinks: places where Δ is not differentiable (max(), |·|, ReLU at zero), and kinks on which a system is held."""

from collections.abc import Callable
from functools import cached_property

from ..support.arrays import Array

# A slope this close to that of one side is degenerate: whether the kink bears force is then not decided. Minima are
# stationary to 1e-9, so forces, and with them slopes, are known no better (docs/decisions/043).
DEGENERATE = 1e-9
HeldKinks = tuple[Array, Array]  # of the kinks on which a system is held: members, (k, 2), and slopes, (k,)


class Kinks:
    """Places where Δ is not differentiable: each is a number z that max(), |·| or ReLU turns into h.

    h = left × z for z < 0 and h = right × z for z > 0. At z = 0, the kink, every slope between the two is possible.

    Attributes
    ----------
    values : (k,) array
        z of each pair; its kink is at z = 0, and may be far away.
    left, right : (k,) array or None
        Slopes of h on the two sides; None if they are 0 and 1 for all pairs (ReLU).
    held : (k',) integer array
        The pairs that the system holds on their kinks, in the order of `system.kinks`.
    forces : (k,) array
        ∂(Σ w Δ)/∂h of each pair, computed when first asked for.

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
        """∂(Σ w Δ)/∂h of each pair, (k,)."""
        return self._forces()

    @property
    def strengths(self) -> Array:
        """∂(Σ w Δ)/∂h × (right − left), (k,): the jump of the slope of Σ w Δ along z.

        Where it is positive the kink is convex, and a minimum may sit on it.
        """
        return (
            self.forces if self.left is None or self.right is None else self.forces * (self.right - self.left)
        )

    def fractions(self, slopes: Array) -> Array:
        """Slopes of the held pairs, (k',), as fractions of the way from the left slope (0) to the right one (1)."""
        left, right = self.sides(self.held)
        return (slopes - left) / (right - left)

    def degenerate(self, slopes: Array) -> Array:
        """Mask of the held pairs, (k',), whose slope is that of one side to 1e-9.

        Whether such a pair bears force is not decided.
        """
        fractions = self.fractions(slopes)
        return (fractions < DEGENERATE) | (fractions > 1 - DEGENERATE)

    def slopes(self, select: Array, fractions: Array) -> Array:
        """Slopes of the pairs of an index `select`, (k',), from fractions, (k',): the inverse of `fractions`."""
        left, right = self.sides(select)
        return left + fractions * (right - left)

    def sides(self, select: Array) -> tuple[Array, Array]:
        """Left and right slopes of the pairs of an index `select`, (k',) each."""
        if self.left is None or self.right is None:
            flat = 0.0 * self.values[select]
            return flat, flat + 1.0
        return self.left[select], self.right[select]

    def members(self, select: Array) -> Array:
        """Unit and datum (or call and place) of the pairs of an index `select`, (k', 2) integers."""
        return self._members(select)

    def jacobian(self, select: Array) -> Array:
        """∂z/∂x of the pairs of an index `select`, dense (k', n_dof)."""
        return self._jacobian(select)

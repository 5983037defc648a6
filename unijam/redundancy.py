"""What of a system does nothing of its own: dead and copied hidden units, and data that no hidden weight feels."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .arrays import Array
from .brief import Brief

if TYPE_CHECKING:
    from .system import ConstrainedSystem


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
    reduced: "tuple[ConstrainedSystem, Array] | None" = None

"""The kinks of a module: calls of ReLU, |·|, max, … are traced, for all data at once.

The argument of each call is (P, …) for P data. A unit is a place on the axes after the first; units are numbered
through the calls.
"""

from functools import cached_property

import torch
from torch import Tensor

from ...core.autodiff import AutodiffConstraints
from ...core.kinks import HeldKinks, Kinks
from ...core.tolerances import OVERLAP_RESOLUTIONS
from ..precision import rounding
from .data import ModuleData


class TracedConstraints(AutodiffConstraints):
    """Δ of every datum, (m,), with the graph of all data at once, and its kinks, whose members are (unit, datum)."""

    system: ModuleData  # type: ignore[assignment]
    delta: Tensor

    def __init__(self, system: ModuleData, x: Tensor) -> None:
        super().__init__(system, system.taken(x))  # type: ignore[arg-type]  # it asks for `delta`, and a ModuleData has that

    @property
    def members(self) -> Tensor:
        return self.system.targets.members()

    @cached_property
    def outputs(self) -> Tensor:
        """f, or z of each class, (outputs, P), of the module itself: as if no kinks were held."""
        with torch.no_grad():
            return self.system.function(self.x, self.system.inputs)

    @property
    def overlaps(self) -> Tensor:
        return self.delta > OVERLAP_RESOLUTIONS * rounding(self.outputs, self.system.margin)

    def loading(self) -> Tensor:
        return torch.ones_like(self.delta)

    def kinks(self, weights: Tensor) -> Kinks:
        found = super().kinks(weights)
        widths, starts = self._layout

        def members(select: Tensor) -> Tensor:
            call, place = found.members(select).T
            return torch.stack([starts[call] + place % widths[call], place // widths[call]], 1)

        return Kinks(
            found.values, members, found.held, lambda: found.forces, found.jacobian, found.left, found.right
        )

    @cached_property
    def _layout(self) -> tuple[Tensor, Tensor]:
        """For each call its number of units, and the number of its first unit."""
        widths = torch.tensor(self.system.kinked_units, dtype=torch.long, device=self.x.device)
        return widths, widths.cumsum(0) - widths

    @cached_property
    def _held(self) -> HeldKinks | None:
        if self.system.kinks is None:
            return None
        (units, data), slopes = self.system.kinks[0].T, self.system.kinks[1]
        widths, starts = self._layout
        call = torch.searchsorted(starts, units.contiguous(), right=True) - 1  # −1: a constraint, not a unit
        place = torch.where(call < 0, data, data * widths[call] + units - starts[call])
        return torch.stack([call, place], 1), slopes

"""Units that may be rescaled, (w_in, b) times a and w_out times 1/a: generators as sparse rows, and the balanced gauge.

The weights that enter and leave a unit are kept as positions in the flat x, so that layers of any kind (dense,
convolutions) and of any size are treated alike.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Self

import torch
from torch import Tensor

BALANCED = 1e-14  # relative difference of the two norms up to which a unit counts as balanced
SWEEPS = 1000  # at most; where they do not suffice, a warning says how far they came


@dataclass(frozen=True, eq=False)
class Rescalings:
    """Layers of units that may be rescaled, and the parameters that enter and leave each unit.

    Attributes
    ----------
    entering, leaving : tuples of (units, parameters) integer tensors, one for each layer of units
        Positions in x of the parameters that enter and leave each unit.
    """

    entering: tuple[Tensor, ...]
    leaving: tuple[Tensor, ...]

    @classmethod
    def of_layers(cls, theta: Sequence[Tensor]) -> Self:
        """The units of fully connected layers, from the positions of each θ_l = [W_l|b_l], (h_l, h̃_{l−1})."""
        return cls(
            tuple(theta[:-1]),
            tuple(above[:, : len(below)].T for below, above in pairwise(theta)),
        )

    def generators(self, x: Tensor) -> Tensor:
        """The generator G x of each unit that has any weight, at x, (N,): a sparse (units, N) tensor."""
        units, positions, values, first = [], [], [], 0
        for entering, leaving in zip(self.entering, self.leaving, strict=True):
            numbers = torch.arange(first, first + len(entering), device=x.device)
            for part, sign in ((entering, 1.0), (leaving, -1.0)):
                units.append(numbers[:, None].expand_as(part).reshape(-1))
                positions.append(part.reshape(-1))
                values.append(sign * x[part].reshape(-1))
            first += len(entering)
        if not units:
            return sparse_rows(x.new_zeros(2, 0).long(), x[:0], (0, len(x)))
        unit, position, value = torch.cat(units), torch.cat(positions), torch.cat(values)
        alive = torch.zeros(first, dtype=torch.bool, device=x.device)
        alive[unit[value != 0]] = True
        kept = alive[unit]
        renumbered = (alive.cumsum(0) - 1)[unit[kept]]
        size = (int(alive.sum()), len(x))
        return sparse_rows(torch.stack([renumbered, position[kept]]), value[kept], size)

    def balanced(self, x: Tensor) -> Tensor:
        """x, (N,), with every unit rescaled to ‖[w_in|b]‖ = ‖w_out‖; x itself where it is so already.

        Units without weights on one side stay as they are. Deep networks need many sweeps (20 layers: a few hundred):
        if 1000 do not suffice, the last x is returned with a `RuntimeWarning`.
        """
        if not self.entering:
            return x
        changed = x
        for sweep in range(SWEEPS):  # Gauss-Seidel on Σ ‖θ‖², which is convex in the factors' logarithms
            change = x.new_zeros(())
            for entering, leaving in zip(self.entering, self.leaving, strict=True):
                into, out = changed[entering], changed[leaving]
                sizes = into.norm(dim=1), out.norm(dim=1)
                alive = (sizes[0] > 0) & (sizes[1] > 0)
                factor = torch.where(alive, sizes[1] / sizes[0], 1.0).sqrt()
                change = torch.maximum(change, (factor - 1).abs().max())
                changed = changed.clone() if changed is x else changed
                changed[entering], changed[leaving] = into * factor[:, None], out / factor[:, None]
            if float(change) < max(BALANCED, 10 * torch.finfo(x.dtype).eps):
                return x if sweep == 0 else changed
        warnings.warn(
            f"{SWEEPS} sweeps balanced the units only to {float(change):.1e}: x is not quite in its gauge.",
            RuntimeWarning,
            stacklevel=2,
        )
        return changed


def sparse_rows(where: Tensor, values: Tensor, size: tuple[int, int]) -> Tensor:
    """A sparse tensor of this size, with values, (k,), at positions `where`, (2, k), which must lie inside."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch warns that it does not check the positions
        return torch.sparse_coo_tensor(where, values, size).coalesce()


def positions(shapes: tuple[tuple[int, int], ...], device: torch.device) -> list[Tensor]:
    """Where in a flat x the entries of arrays of these shapes lie, one after the other: one (i, j) tensor each."""
    starts = accumulate((i * j for i, j in shapes), initial=0)
    return [
        torch.arange(n, n + i * j, device=device).view(i, j)
        for n, (i, j) in zip(starts, shapes, strict=False)
    ]

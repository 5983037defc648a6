"""Directions of weight space that change no Δ, and the gauge in which weights are kept.

For spherical weights these are the radial directions of the layers. For ReLU a hidden unit may be rescaled, (w_in, b)
times a and w_out times 1/a, with generator G x = (w_in, b, −w_out). With C > 2 outputs the same function may be added
to all of them.
"""

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import torch
from torch import Tensor

from .rescaling import Rescalings, positions, sparse_rows
from .sphere import Sphere

NULL = 1e-6  # combinations of moves that change the layers' norms by less than this fraction change none


@dataclass(frozen=True, eq=False)
class Symmetries:
    """The symmetries of a network of free weights: changes of x along which no Δ changes.

    Attributes
    ----------
    units : Rescalings
        Units that may be rescaled.
    outputs : (C, columns) tensor
        Positions in x of the last layer's weights and biases, to which the same function may be added; empty where
        there are no such shifts.
    """

    units: Rescalings
    outputs: Tensor

    @classmethod
    @lru_cache(maxsize=16)
    @torch.inference_mode(False)  # cached tensors must allow derivatives later
    def of_layers(
        cls, shapes: tuple[tuple[int, int], ...], homogeneous: bool, shifted: bool, device: torch.device
    ) -> Self:
        """The symmetries of a fully connected network, whose θ_l of these shapes follow one another in x.

        `homogeneous`: ReLU units; `shifted`: C > 2 outputs.
        """
        theta = positions(shapes, device)
        units = Rescalings.of_layers(theta) if homogeneous else Rescalings((), ())
        return cls(units, theta[-1] if shifted else theta[-1][:0])

    def rows(self, x: Tensor) -> Tensor:
        """The directions at x, (N,), as a sparse (k, N) tensor, not orthonormal."""
        moves = self.units.generators(x)
        if not self.outputs.numel():
            return moves
        classes, columns = self.outputs.shape
        number = torch.arange(columns, device=x.device).expand(classes, columns)
        where = torch.stack([number.reshape(-1), self.outputs.reshape(-1)])
        shifts = sparse_rows(where, x.new_ones(classes * columns), (columns, len(x)))
        return torch.cat([moves, shifts])

    def canonical(self, x: Tensor) -> Tensor:
        """x, (N,), with outputs of sum 0 and balanced units; x itself where it is so already."""
        if self.outputs.numel():
            last = x[self.outputs]
            mean = last.mean(0)
            # 8 eps: rounding, so that an x in its gauge comes back bit by bit
            if float(mean.abs().max()) > 8 * torch.finfo(x.dtype).eps * float(last.abs().max()):
                x = x.clone()
                x[self.outputs] = last - mean
        return self.units.balanced(x)


def on_spheres(moves: Tensor, sphere: Sphere) -> Tensor:
    """Combinations of rescalings and shifts `moves`, (k, N), that change no layer's norm: a sparse (k', N) tensor.

    They are the symmetries of spherical weights besides the radial directions. Rows and combinations are sparse: each
    joins one move to at most as many others as there are layers. Without biases, rescalings that change norms by
    fractions of sum 0 are symmetries too; but they differ from these by rescalings of whole layers, which are radial
    directions.
    """
    if not len(moves):
        return moves
    size = torch.sparse.sum(moves * moves, 1).to_dense().sqrt()
    if not bool(size.all()):  # leave out moves of units whose weights are zero
        moves = moves.index_select(0, size.nonzero()[:, 0])
        return on_spheres(moves, sphere)
    effect = (torch.sparse.mm(moves, sphere.normals) / size[:, None]).T  # (layers, moves)
    chosen: list[int] = []
    left = effect.clone()
    while len(chosen) < min(effect.shape):  # Gram-Schmidt, the largest first
        norms = left.norm(dim=0)
        largest = int(norms.argmax())
        if float(norms[largest]) <= NULL:
            break
        chosen.append(largest)
        left = left - torch.outer(left[:, largest], left[:, largest] @ left) / norms[largest] ** 2
    others = torch.ones_like(size).index_fill(0, size.new_tensor(chosen).long(), 0.0).nonzero()[:, 0]
    mix = torch.zeros(len(others), len(size), dtype=moves.dtype, device=moves.device)
    mix[torch.arange(len(others), device=others.device), others] = 1.0
    if chosen:
        mix[:, chosen] = -torch.linalg.lstsq(effect[:, chosen], effect[:, others], driver="gels").solution.T
    mix = mix / size
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch warns that its sparse products are in beta
        mixed: Tensor = torch.sparse.mm(mix.to_sparse(), moves)
        return mixed

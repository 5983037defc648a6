"""Directions of weight space that change no output, and the gauge in which weights are kept.

Spherical weights: each layer's radial direction. ReLU: rescaling a hidden unit, (w_in, b) times a and w_out
times 1/a, with generator G x = (w_in, b, −w_out). C > 2 outputs: the same function may be added to all.
"""

import math
import warnings

import torch
from torch import Tensor

from .rescaling import BALANCED, SWEEPS, of_shapes, sparse_rows
from .sphere import Sphere

NULL = 1e-6  # combinations of moves that change the layers' norms by less than this fraction change none

Shapes = tuple[tuple[int, int], ...]


def rescalings(x: Tensor, shapes: Shapes) -> Tensor:
    """G x of each hidden unit that has any weights, a sparse (units, N) tensor."""
    return of_shapes(shapes, x.device).generators(x)


def shifts(x: Tensor, shapes: Shapes) -> Tensor:
    """The same change of every output: one direction a column of the last layer, a sparse (h̃, N) tensor."""
    outputs, columns = shapes[-1]
    positions = torch.arange(len(x) - outputs * columns, len(x), device=x.device)
    where = torch.stack([torch.arange(columns, device=x.device).repeat(outputs), positions])
    return sparse_rows(where, x.new_ones(outputs * columns), (columns, len(x)))


def on_spheres(moves: Tensor, sphere: Sphere) -> Tensor:
    """Combinations of rescalings and shifts that change no layer's norm, symmetries of spherical weights, (k, N).

    Rows and combinations are sparse: each joins one move to at most as many others as there are layers. Without
    biases rescalings that change norms by fractions of sum 0 are symmetries too; but they differ from these by
    rescalings of whole layers, which are radial directions.
    """
    if not len(moves):
        return moves
    size = torch.sparse.sum(moves * moves, 1).to_dense().sqrt()
    if not bool(size.all()):  # of units whose weights have died away to nothing
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
        warnings.simplefilter("ignore", UserWarning)  # torch calls its own sparse product beta
        return torch.sparse.mm(mix.to_sparse(), moves)


def centred(x: Tensor, shapes: Shapes) -> Tensor:
    """x without the mean of its outputs; x itself where that vanishes."""
    last = x[len(x) - math.prod(shapes[-1]) :].view(shapes[-1])
    mean = last.mean(0)
    if float(mean.abs().max()) <= 8 * torch.finfo(x.dtype).eps * float(last.abs().max()):
        return x
    return torch.cat([x[: len(x) - last.numel()], (last - mean).reshape(-1)])


def balanced(x: Tensor, shapes: Shapes) -> Tensor:
    """x with every hidden unit rescaled to ‖[w_in|b]‖ = ‖w_out‖; x itself where it is so already.

    Units without weights on one side stay as they are.
    """
    theta = _layers(x, shapes)
    for sweep in range(SWEEPS):  # Gauss-Seidel on Σ ‖θ_l‖², which is convex in the factors' logarithms
        change = x.new_zeros(())
        for l in range(len(shapes) - 1):
            units = shapes[l][0]
            entering, leaving = theta[l].norm(dim=1), theta[l + 1][:, :units].norm(dim=0)
            alive = (entering > 0) & (leaving > 0)
            factor = torch.where(alive, leaving / entering, 1.0).sqrt()
            change = torch.maximum(change, (factor - 1).abs().max())
            theta[l] = theta[l] * factor[:, None]
            theta[l + 1] = torch.cat([theta[l + 1][:, :units] / factor, theta[l + 1][:, units:]], 1)
        if float(change) < max(BALANCED, 10 * torch.finfo(x.dtype).eps):
            return x if sweep == 0 else torch.cat([part.reshape(-1) for part in theta])
    return torch.cat([part.reshape(-1) for part in theta])


def _layers(x: Tensor, shapes: Shapes) -> list[Tensor]:
    parts = x.split([i * j for i, j in shapes])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

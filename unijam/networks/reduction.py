"""The same function with fewer hidden units: dead ones dropped, identical ones merged.

A unit is dead where its in-weights and its out-weights are both below a tolerance times the mean of their
layer. Units are copies where their [w_in|b] agree to that tolerance, up to a sign where σ is odd, up to a
factor where σ is homogeneous. Of TOLERANCES the largest is taken that leaves f on the data unchanged to
UNCHANGED of its size.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .activations import Activation

if TYPE_CHECKING:
    from .fully_connected import FullyConnected

TOLERANCES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
UNCHANGED = 1e-6


def reduced(network: "FullyConnected", x: Tensor) -> "tuple[FullyConnected, Tensor] | None":
    """The network of fewer units and its weights, or None where no unit is dead or a copy of another."""
    passed = network.constraints(x).passed
    size = max(abs(network.margin), float(passed.outputs.square().mean().sqrt()))
    for tolerance in TOLERANCES:
        weights = reduce_weights(passed.weights, passed.activation, network.bias, tolerance)
        widths = tuple(len(theta) for theta in weights[:-1])
        if widths == network.widths:
            return None
        smaller = torch.cat([theta.reshape(-1) for theta in weights])
        radii = torch.stack([theta.norm() for theta in weights])
        other = dataclasses.replace(network, initial=smaller, widths=widths, radii=radii)
        if float((other.constraints(smaller).passed.outputs - passed.outputs).abs().max()) < UNCHANGED * size:
            return other, smaller
    return None


def reduce_weights(
    weights: Sequence[Tensor], activation: Activation, bias: bool, tolerance: float
) -> list[Tensor]:
    """θ_l of the reduced network, from those of the network."""
    weights = list(weights)
    reduced = True
    while reduced:
        reduced = False
        for l in range(len(weights) - 1):
            units = len(weights[l])
            weights[l : l + 2] = _without_dead(weights[l], weights[l + 1], activation, bias, tolerance)
            weights[l : l + 2] = _without_copies(weights[l], weights[l + 1], activation, tolerance)
            reduced |= len(weights[l]) < units
    return weights


def _without_dead(
    theta: Tensor, above: Tensor, activation: Activation, bias: bool, tolerance: float
) -> list[Tensor]:
    """Drop dead units; what they put out without input, σ(0), goes into the biases above."""
    units = len(theta)
    entering, leaving = theta.norm(dim=1), above[:, :units].norm(dim=0)
    dead = (entering <= tolerance * entering.mean()) & (leaving <= tolerance * leaving.mean())
    dead[entering.argmax()] = False
    if bias:
        constant = activation.value(theta.new_zeros(())) * above[:, :units][:, dead].sum(1)
        above = torch.cat([above[:, :units], above[:, units:] + constant[:, None]], 1)
    return [theta[~dead], above[:, torch.cat([~dead, dead.new_ones(above.shape[1] - units)])]]


def _without_copies(theta: Tensor, above: Tensor, activation: Activation, tolerance: float) -> list[Tensor]:
    """Merge copies into one unit: their in-weights' mean (by out-weights), their out-weights' sum."""
    units = len(theta)
    norms = theta.norm(dim=1)
    size = norms if activation.homogeneous else norms.mean().expand(units)
    rows = theta / size.clamp_min(torch.finfo(theta.dtype).tiny)[:, None]
    same = (rows[:, None] - rows).norm(dim=2) < tolerance
    opposite = ((rows[:, None] + rows).norm(dim=2) < tolerance) & activation.odd
    first = (same | opposite).int().argmax(1)  # the first copy of each unit
    keep = torch.unique(first)
    sign = torch.where(same.gather(1, first[:, None])[:, 0], 1.0, -1.0)
    scale = sign * (norms / norms[first]).nan_to_num(1.0) if activation.homogeneous else sign
    group = (first == keep[:, None]).to(theta.dtype)  # (kept, units)
    share = group * above[:, :units].norm(dim=0).clamp_min(torch.finfo(theta.dtype).tiny)
    share = share / share.sum(1, keepdim=True)
    merged = share @ (theta / scale[:, None])
    return [merged, torch.cat([(above[:, :units] * scale) @ group.T, above[:, units:]], 1)]

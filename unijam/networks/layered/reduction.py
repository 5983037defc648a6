"""The same function with fewer hidden units: dead units dropped, identical units merged; and data that are trapped.

A unit is dead where the norms of its in-weights and of its out-weights are both below a tolerance times the mean of
their layer, or where its output is 0 for every datum. Units are copies where their [w_in|b] agree to that tolerance, up
to a sign where σ is odd, and up to a factor where σ is homogeneous. The largest of TOLERANCES is used that leaves f on
the data unchanged to UNCHANGED of its size.
"""

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from ...core.capabilities import Redundancy
from ...core.kinks import HeldKinks
from . import passes
from .activations import Activation
from .architecture import Architecture
from .constraints import NetworkConstraints

TOLERANCES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)  # relative, tried in this order
UNCHANGED = 1e-6  # change of f, over max(|κ|, root mean square of f), up to which the function is the same
VANISHED = 1e-12  # of the largest ∂f/∂z_1: a datum whose signal is below this is trapped


def redundancy(network: Architecture, x: Tensor) -> Redundancy:
    """Dead units, copies and trapped data at x, (N,), and the network of fewer units with its weights.

    The fields are empty where nothing is redundant, or where no tolerance leaves f unchanged.
    """
    c = NetworkConstraints(network, x)
    passed, trapped = c.passed, trapped_data(c)
    size = max(abs(network.margin), float(passed.outputs.square().mean().sqrt()))
    silent = _silent(passed, network.kinks_by_layer)
    for tolerance in TOLERANCES:
        weights, places = reduce_weights(passed.weights, passed.activation, network.bias, tolerance, silent)
        widths = tuple(len(theta) for theta in weights[:-1])
        if widths == network.widths:
            break
        smaller = torch.cat([theta.reshape(-1) for theta in weights])
        radii = torch.stack([theta.norm() for theta in weights])
        kinks = None if network.kinks is None else _moved(network.kinks, places)
        other = dataclasses.replace(network, initial=smaller, widths=widths, radii=radii, kinks=kinks)
        if float((other.outputs(smaller, other.entering) - passed.outputs).abs().max()) < UNCHANGED * size:
            return Redundancy(*_numbers(places), trapped, (other, smaller))
    return Redundancy(trapped=trapped)


def trapped_data(c: NetworkConstraints) -> tuple[int, ...]:
    """The numbers of data inside the margin for which ∂f/∂z of every unit of the first hidden layer vanishes."""
    if not c.system.depth or not bool(c.overlaps.any()):
        return ()
    signal = c.signals(c.overlaps)[1][0].abs().amax(0)
    lost, data = signal <= VANISHED * signal.max(), c.members[c.overlaps, 0]
    return tuple(sorted(set(data[lost].tolist()) - set(data[~lost].tolist())))


def reduce_weights(
    weights: Sequence[Tensor],
    activation: Activation,
    bias: bool,
    tolerance: float,
    silent: Sequence[Tensor] | None = None,
) -> tuple[list[Tensor], list[Tensor]]:
    """The θ_l of the reduced network, and for each hidden layer the new number of each unit (−1 for dead units).

    Parameters
    ----------
    weights : sequence of (h_l, h̃_{l−1}) tensors
        θ_l.
    activation, bias : Activation, bool
        Of the network.
    tolerance : float
        Relative: see the head of this module.
    silent : sequence of (h_l,) masks, optional
        Units of each hidden layer that are dead whatever their weights.
    """
    weights = list(weights)
    places = [torch.arange(len(theta), device=theta.device) for theta in weights[:-1]]
    reduced = True
    while reduced:  # a unit that is dropped may make others dead or copies
        reduced = False
        for l in range(len(weights) - 1):
            units = len(weights[l])
            quiet = torch.zeros(units, dtype=torch.bool, device=weights[l].device)
            if silent is not None:
                kept = places[l] >= 0
                quiet[places[l][kept]] = silent[l][kept]
            *weights[l : l + 2], place = _without_dead(
                weights[l], weights[l + 1], activation, bias, tolerance, quiet
            )
            places[l] = _followed(places[l], place)
            *weights[l : l + 2], place = _without_copies(weights[l], weights[l + 1], activation, tolerance)
            places[l] = _followed(places[l], place)
            reduced |= len(weights[l]) < units
    return weights, places


def _silent(passed: passes.Forward, kinks: Sequence[tuple[Tensor, Tensor, Tensor]] | None) -> list[Tensor]:
    """Masks, one for each hidden layer, of units whose output is 0 for every datum and that are not held on a kink."""
    found = []
    for l, z in enumerate(passed.sums[:-1]):
        quiet = (passed.entering[l + 1][: len(z)] == 0).all(1)
        found.append(quiet if kinks is None else quiet.index_fill(0, kinks[l][0], False))
    return found


def _numbers(places: list[Tensor]) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    """Dead units and (copy, unit) pairs, units numbered through the layers."""
    dead, copies, first = [], [], 0
    for place in places:
        seen: dict[int, int] = {}
        for unit, new in enumerate(place.tolist(), first):
            if new < 0:
                dead.append(unit)
            elif new in seen:
                copies.append((unit, seen[new]))
            else:
                seen[new] = unit
        first += len(place)
    return tuple(dead), tuple(copies)


def _followed(place: Tensor, further: Tensor) -> Tensor:
    return torch.where(place < 0, -1, further[place])


def _moved(kinks: HeldKinks, places: list[Tensor]) -> HeldKinks:
    """Kinks with the units of the reduced network: kinks of dead units dropped, kinks of copies merged (mean slope)."""
    first, new = 0, []
    for place in places:
        new.append(torch.where(place < 0, -1, first + place))
        first += int(place.max()) + 1
    members, slopes = kinks
    units = torch.cat(new)[members[:, 0]]
    alive = units >= 0
    pairs, which = torch.unique(torch.stack([units, members[:, 1]], 1)[alive], dim=0, return_inverse=True)
    sums = slopes.new_zeros(2, len(pairs)).index_add(
        1, which, torch.stack([slopes, slopes * 0 + 1])[:, alive]
    )
    return pairs, sums[0] / sums[1]


def _without_dead(
    theta: Tensor, above: Tensor, activation: Activation, bias: bool, tolerance: float, quiet: Tensor
) -> list[Tensor]:
    """Drop dead and quiet units; their output without input, σ(0), is added to the biases above."""
    units = len(theta)
    entering, leaving = theta.norm(dim=1), above[:, :units].norm(dim=0)
    dead = (entering <= tolerance * entering.mean()) & (leaving <= tolerance * leaving.mean())
    dead |= quiet
    dead[(entering * ~quiet).argmax()] = False  # one unit always stays: a layer cannot be empty
    if bias:
        constant = activation.value(theta.new_zeros(())) * above[:, :units][:, dead].sum(1)
        above = torch.cat([above[:, :units], above[:, units:] + constant[:, None]], 1)
    place = torch.where(dead, -1, (~dead).cumsum(0) - 1)
    return [theta[~dead], above[:, torch.cat([~dead, dead.new_ones(above.shape[1] - units)])], place]


def _without_copies(theta: Tensor, above: Tensor, activation: Activation, tolerance: float) -> list[Tensor]:
    """Merge copies into one unit, with the mean of their in-weights (weighed by out-weights) and sum of out-weights."""
    units = len(theta)
    norms = theta.norm(dim=1)
    size = norms if activation.homogeneous else norms.mean().expand(units)
    rows = theta / size.clamp_min(torch.finfo(theta.dtype).tiny)[:, None]  # tiny: no division by zero
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
    place = torch.searchsorted(keep, first)
    return [merged, torch.cat([(above[:, :units] * scale) @ group.T, above[:, units:]], 1), place]

"""Kinks held by a network: members are (unit, datum) pairs, where h = slope × z."""

from typing import Any

import torch
from torch import Tensor

from ...core.kinks import HeldKinks


def as_kinks(value: Any, like: Tensor) -> HeldKinks:
    """(members, slopes) of any kind as new tensors, (k, 2) and (k,), with the device and precision of `like`."""
    members, slopes = value
    return (
        torch.as_tensor(members, dtype=torch.int64, device=like.device).clone(),
        torch.as_tensor(slopes, dtype=like.dtype, device=like.device).clone(),
    )


def kinks_on(kinks: HeldKinks, chosen: Tensor) -> HeldKinks:
    """The kinks whose datum is among `chosen` indices, (k,); each datum gets its place in `chosen` as new number."""
    members, slopes = kinks
    which, number = (members[:, 1:] == chosen.to(members.device)).nonzero(as_tuple=True)
    return torch.stack([members[which, 0], number], 1), slopes[which]


def by_layer(kinks: HeldKinks, widths: tuple[int, ...]) -> list[tuple[Tensor, Tensor, Tensor]]:
    """(units, data, slopes), (k,) each, of each hidden layer; units are numbered from 0 in each layer."""
    (units, data), slopes = kinks[0].T, kinks[1]
    first, held = 0, []
    for width in widths:
        here = (units >= first) & (units < first + width)
        held.append((units[here] - first, data[here], slopes[here]))
        first += width
    return held

"""The symmetries of a module that is a chain of known layers: rescalings of ReLU units, shifts of outputs."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ..symmetries.gauge import Symmetries
from ..symmetries.rescaling import Rescalings

WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
HOMOGENEOUS = (
    *(nn.ReLU, nn.LeakyReLU, nn.Identity, nn.Flatten),
    *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
    *(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d),
)  # each channel's output is multiplied by a where its input is


def symmetries_of(module: nn.Module, positions: dict[str, Tensor], n_outputs: int) -> Symmetries:
    """The symmetries of a module; empty where it is no chain of known layers.

    Where only homogeneous modules stand between two layers with weights, each output channel of the first is a unit
    that may be rescaled. To C > 1 outputs of a last linear layer the same function may be added.

    Parameters
    ----------
    module : nn.Module
    positions : dict of str to tensor
        For each trainable parameter that is used once, where in the flat x its entries lie, in its own shape.
    n_outputs : int
        1, or C.
    """
    entering, leaving = [], []
    chain = list(_chain(module, "")) if isinstance(module, nn.Sequential) else []
    if len({id(layer) for _, layer in chain}) < len(chain):  # a layer used twice
        chain = []
    below: tuple[str, nn.Module] | None = None
    for name, layer in chain:
        if type(layer) in WEIGHTED:
            found = below and _between(*below, name, layer, positions)
            if found:
                entering.append(found[0])
                leaving.append(found[1])
            below = (name, layer)
        elif type(layer) not in HOMOGENEOUS or (isinstance(layer, nn.Flatten) and layer.start_dim != 1):
            below = None
    outputs = torch.zeros(0, 0, dtype=torch.long)
    if chain and n_outputs > 1 and type(chain[-1][1]) is nn.Linear:
        parts = _parameters(*chain[-1], positions)
        outputs = outputs if parts is None else parts
    return Symmetries(Rescalings(tuple(entering), tuple(leaving)), outputs)


def _chain(module: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    """The layers of nested sequential modules, in order."""
    for name, layer in module.named_children():
        if isinstance(layer, nn.Sequential):
            yield from _chain(layer, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}.", layer


def _between(
    below: str, first: nn.Module, above: str, second: nn.Module, positions: dict[str, Tensor]
) -> tuple[Tensor, Tensor] | None:
    """Positions of the weights that enter and that leave each output channel of the first layer, (channels, k) each.

    None where some are frozen or shared, or where the second layer does not take the channels of the first.
    """
    into, out = _parameters(below, first, positions), positions.get(f"{above}weight")
    if into is None or out is None:
        return None
    channels = len(into)
    groups = getattr(second, "groups", 1)
    if out.shape[1] * groups % channels:
        return None
    # inputs of group g are channels g C/groups …: columns of the rows of that group; a flattened image has many
    out = out.unflatten(0, (groups, -1)).flatten(3) if out.ndim > 2 else out[None, :, :, None]
    out = out.transpose(1, 2).flatten(0, 1)  # (input channels, rows of their group, kernel)
    return into, out.reshape(channels, math.prod(out.shape) // channels)


def _parameters(name: str, layer: nn.Module, positions: dict[str, Tensor]) -> Tensor | None:
    """Positions of [w|b] of each output channel of a layer; None where some are frozen or shared."""
    weight, bias = positions.get(f"{name}weight"), positions.get(f"{name}bias")
    biased = getattr(layer, "bias", None) is not None
    if weight is None or (biased and bias is None):
        return None
    return torch.cat([weight.flatten(1), *([] if bias is None else [bias[:, None]])], 1)

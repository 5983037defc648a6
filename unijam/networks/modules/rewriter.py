"""Functions that torch cannot differentiate twice, or not in batches, rewritten by functions that it can."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


class Rewriter(TorchFunctionMode):
    """Context in which PReLU, RReLU (in eval mode), hard sigmoids and h[h < 0] = 0 have all derivatives, same values.

    Attributes
    ----------
    used : bool
        Whether any of them was called.
    """

    used = False

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        rule = REWRITTEN.get(func)
        if rule is None:
            return func(*args, **(kwargs or {}))
        self.used = True
        return rule(func, *args, **(kwargs or {}))


def _prelu(func: Callable[..., Any], input: Tensor, weight: Tensor) -> Tensor:
    if weight.numel() > 1:
        weight = weight.reshape(-1, *(1 for _ in input.shape[2:]))
    return weight * input + (1 - weight) * torch.relu(input)


def _rrelu(
    func: Callable[..., Any],
    input: Tensor,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    if training:
        noisy: Tensor = func(input, lower, upper, training, inplace)
        return noisy
    return F.leaky_relu(input, 0.5 * (lower + upper), inplace)


def _hard_sigmoid(func: Callable[..., Any], input: Tensor, inplace: bool = False) -> Tensor:
    found = torch.clamp(input + 3.0, 0.0, 6.0) / 6.0
    return input.copy_(found) if inplace else found


def _weight_norm(func: Callable[..., Any], v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    """g v/‖v‖; the second derivatives of torch's own kernel are wrong under torch.func."""
    return v * (g / torch.norm_except_dim(v, 2, dim)) if dim >= 0 else v * (g / v.norm())


def _set_item(func: Callable[..., Any], input: Tensor, index: Any, value: Any) -> Any:
    """input[mask] = number has a shape that depends on the mask; `masked_fill_` does the same without it."""
    mask = isinstance(index, Tensor) and index.dtype == torch.bool and index.shape == input.shape
    if mask and isinstance(value, int | float):
        return input.masked_fill_(index, value)
    return func(input, index, value)


REWRITTEN: dict[Callable[..., Any], Callable[..., Any]] = {
    **dict.fromkeys((torch.prelu, Tensor.prelu, F.prelu), _prelu),
    **dict.fromkeys((torch.rrelu, F.rrelu), _rrelu),
    F.hardsigmoid: _hard_sigmoid,
    torch._weight_norm: _weight_norm,
    Tensor.__setitem__: _set_item,
}

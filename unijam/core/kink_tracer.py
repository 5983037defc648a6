"""The kinks of what a user writes: torch's ReLU, |·|, max, min and one-sided clamp are seen as they are called.

Each is h(z), of slope `left` for z < 0 and `right` for z > 0, plus something smooth: max(a, b) = b + ReLU(a − b).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class KinkTracer(TorchFunctionMode):
    """Within it, every z and h of a kink is kept, and those held get h = slope × z.

    Attributes
    ----------
    z, h : list of tensors
        One pair a call.
    sides : list of (float, float)
        Left and right slope of each call.
    """

    def __init__(self, held: tuple[Tensor, Tensor] | None) -> None:
        super().__init__()
        self.held = held
        self.z: list[Tensor] = []
        self.h: list[Tensor] = []
        self.sides: list[tuple[float, float]] = []

    def __torch_function__(self, func: Callable, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        found = KINKED[func](*args, **kwargs) if func in KINKED else None
        if found is None:
            return func(*args, **kwargs)
        z, left, right, rest = found
        if not isinstance(z, Tensor) or not z.requires_grad or _is_batched(z):
            return func(*args, **kwargs)
        h = self._bent(z, left, right)
        return h if rest is None else rest + h

    def _bent(self, z: Tensor, left: float, right: float) -> Tensor:
        h = right * torch.relu(z) - left * torch.relu(-z) if left else right * torch.relu(z)
        if self.held is not None:
            members, slopes = self.held
            here = members[:, 0] == len(self.z)
            if bool(here.any()):
                flat, where = z.reshape(-1), members[here, 1]
                h = h.reshape(-1).index_put((where,), slopes[here] * flat[where]).reshape(z.shape)
        self.z.append(z)
        self.h.append(h)
        self.sides.append((left, right))
        return h


def _relu(z: Tensor, inplace: bool = False) -> tuple:
    return z, 0.0, 1.0, None


def _leaky(z: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> tuple:
    return z, negative_slope, 1.0, None


def _modulus(z: Tensor) -> tuple:
    return z, -1.0, 1.0, None


def _larger(a: Tensor, b: Any = None, *args: Any, **kwargs: Any) -> tuple | None:
    return (a - b, 0.0, 1.0, b) if isinstance(b, Tensor) and not args and not kwargs else None


def _smaller(a: Tensor, b: Any = None, *args: Any, **kwargs: Any) -> tuple | None:
    return (a - b, 1.0, 0.0, b) if isinstance(b, Tensor) and not args and not kwargs else None


def _clamped(x: Tensor, min: Any = None, max: Any = None) -> tuple | None:
    if (min is None) == (max is None):  # on both sides: not seen
        return None
    return (x - min, 0.0, 1.0, min) if max is None else (x - max, 1.0, 0.0, max)


def _is_batched(z: Tensor) -> bool:
    return torch._C._functorch.is_functorch_wrapped_tensor(z)


KINKED: dict[Callable, Callable] = {
    **dict.fromkeys((torch.relu, Tensor.relu, functional.relu), _relu),
    **dict.fromkeys((functional.leaky_relu,), _leaky),
    **dict.fromkeys((torch.abs, Tensor.abs, torch.absolute, Tensor.absolute, Tensor.__abs__), _modulus),
    **dict.fromkeys((torch.maximum, Tensor.maximum, torch.max, Tensor.max), _larger),
    **dict.fromkeys((torch.minimum, Tensor.minimum, torch.min, Tensor.min), _smaller),
    **dict.fromkeys((torch.clamp, Tensor.clamp, torch.clip, Tensor.clip), _clamped),
    **dict.fromkeys((torch.clamp_min, Tensor.clamp_min), lambda x, min: _clamped(x, min=min)),
    **dict.fromkeys((torch.clamp_max, Tensor.clamp_max), lambda x, max: _clamped(x, max=max)),
}

"""Functions of torch that have kinks, and a rule for each that writes it as ReLU plus something smooth.

A rule is called with the tracer's methods (`bends`) and the arguments of the call. If it returns None, torch's own
function is called instead.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

SELU = 1.0507009873554805, 1.6732632423543772  # scale and α of self-normalising networks


@dataclass(frozen=True, eq=False)
class Mask:
    """A mask that is true where `above` > `below` (or ≥: at a kink the two agree)."""

    mask: Tensor
    above: Any
    below: Any


class Bends(Protocol):
    """What the tracer offers to a rule, within one call."""

    def bend(self, z: Any, left: float, right: float) -> Tensor: ...
    def follows(self, *values: Any) -> bool: ...
    def mask(self, value: Any) -> Mask | None: ...
    def multiple(self, value: Any) -> tuple[Tensor, float] | None: ...
    def keep_multiple(self, product: Tensor, of: Tensor, factor: float) -> Tensor: ...
    def miss(self) -> None: ...


def _relu(bends: Bends, input: Tensor, inplace: bool = False) -> Tensor | None:
    if not bends.follows(input):
        return None
    return _written(input, inplace, lambda z: bends.bend(z, 0.0, 1.0))


def _leaky(bends: Bends, input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor | None:
    if not bends.follows(input):
        return None
    return _written(input, inplace, lambda z: bends.bend(z, negative_slope, 1.0))


def _rrelu(
    bends: Bends,
    input: Tensor,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor | None:
    return None if training else _leaky(bends, input, 0.5 * (lower + upper), inplace)


def _prelu(bends: Bends, input: Tensor, weight: Tensor) -> Tensor | None:
    """w z + (1 − w) ReLU(z), of slope w for z < 0; written in this way because w may be a parameter."""
    if not bends.follows(input):
        return None
    if weight.numel() > 1:
        weight = weight.reshape(-1, *(1 for _ in input.shape[2:]))
    return weight * input + (1 - weight) * bends.bend(input, 0.0, 1.0)


def _elu(
    bends: Bends, input: Tensor, alpha: float = 1.0, scale: float = 1.0, inplace: bool = False
) -> Tensor | None:
    """scale × [α(exp(min(z, 0)) − 1) + max(z, 0)]; it has no kink for α = scale = 1."""
    if (alpha == 1.0 and scale == 1.0) or not bends.follows(input):
        return None

    def value(z: Tensor) -> Tensor:
        positive = bends.bend(z, 0.0, 1.0)
        return scale * (positive + alpha * torch.expm1(z - positive))

    return _written(input, inplace, value)


def _torch_elu(bends: Bends, input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor | None:
    return _elu(bends, input, alpha, 1.0, inplace)


def _selu(bends: Bends, input: Tensor, inplace: bool = False) -> Tensor | None:
    return _elu(bends, input, SELU[1], SELU[0], inplace)


def _modulus(bends: Bends, input: Tensor) -> Tensor | None:
    return bends.bend(input, -1.0, 1.0) if bends.follows(input) and not input.is_complex() else None


def _larger(bends: Bends, input: Tensor, other: Any = None, *args: Any, **kwargs: Any) -> Tensor | None:
    return _extreme(bends, input, other, args, kwargs, 0.0, 1.0)


def _smaller(bends: Bends, input: Tensor, other: Any = None, *args: Any, **kwargs: Any) -> Tensor | None:
    return _extreme(bends, input, other, args, kwargs, 1.0, 0.0)


def _extreme(
    bends: Bends, a: Tensor, b: Any, args: tuple[Any, ...], kwargs: dict[str, Any], left: float, right: float
) -> Tensor | None:
    if not bends.follows(a, b):
        return None
    if not isinstance(b, Tensor) or args or kwargs:  # the extreme of a tensor: not traced
        bends.miss()
        return None
    return b + bends.bend(a - b, left, right)


def _clamped(
    bends: Bends, input: Tensor, min: Any = None, max: Any = None, inplace: bool = False
) -> Tensor | None:
    if not bends.follows(input, min, max) or (min is None and max is None):
        return None

    def value(z: Tensor) -> Tensor:
        if min is not None:
            z = bends.bend(z - min, 0.0, 1.0) + min
        return z if max is None else bends.bend(z - max, 1.0, 0.0) + max

    return _written(input, inplace, value)


def _hard_tanh(
    bends: Bends, input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor | None:
    return _clamped(bends, input, min_val, max_val, inplace)


def _relu6(bends: Bends, input: Tensor, inplace: bool = False) -> Tensor | None:
    return _clamped(bends, input, 0.0, 6.0, inplace)


def _hard_sigmoid(bends: Bends, input: Tensor, inplace: bool = False) -> Tensor | None:
    return _written(input, inplace, lambda z: _ramp(bends, z)) if bends.follows(input) else None


def _hard_swish(bends: Bends, input: Tensor, inplace: bool = False) -> Tensor | None:
    return _written(input, inplace, lambda z: z * _ramp(bends, z)) if bends.follows(input) else None


def _ramp(bends: Bends, z: Tensor) -> Tensor:
    """From 0 at z = −3 to 1 at z = 3."""
    return 1 + bends.bend(bends.bend(z + 3, 0.0, 1.0) - 6, 1.0, 0.0) / 6


def _soft_shrink(bends: Bends, input: Tensor, lambd: float = 0.5) -> Tensor | None:
    if not bends.follows(input):
        return None
    return bends.bend(input - lambd, 0.0, 1.0) + bends.bend(input + lambd, 1.0, 0.0)


def _threshold(
    bends: Bends, input: Tensor, threshold: float, value: float, inplace: bool = False
) -> Tensor | None:
    if not bends.follows(input):
        return None
    if threshold != value:  # a jump, not a kink
        bends.miss()
        return None
    return _written(input, inplace, lambda z: value + bends.bend(z - threshold, 0.0, 1.0))


def _written(z: Tensor, inplace: bool, value: Callable[[Tensor], Tensor]) -> Tensor:
    """value(z); if `inplace`, written over z, as torch would do."""
    if not inplace:
        return value(z)
    return z.copy_(value(z.clone()))


def _in_place(rule: Callable[..., Any]) -> Callable[..., Any]:
    return lambda bends, *args, **kwargs: rule(bends, *args, **kwargs | {"inplace": True})


def _overwriting(rule: Callable[..., Any]) -> Callable[..., Any]:
    """The same rule for a function that writes over its first argument."""

    def apply(bends: Bends, input: Tensor, *args: Any) -> Tensor | None:
        found = rule(bends, input.clone(), *args) if bends.follows(input) else None
        return None if found is None else input.copy_(found)

    return apply


def _where(bends: Bends, condition: Any, input: Any = None, other: Any = None) -> Any:
    """where(a > b, p, q), if p and q make it a ReLU, leaky ReLU, max or min; otherwise it is recorded as not traced."""
    mask = bends.mask(condition)
    if mask is None or input is None:
        return None
    a, b = mask.above, mask.below
    if _is_zero(b) or _is_zero(a):
        z, high, low = (a, input, other) if _is_zero(b) else (b, other, input)  # high where z > 0
        left, right = (_slope(bends, part, z) for part in (low, high))
        if left is not None and right is not None:
            return bends.bend(z, left, right)
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        if input is a and other is b:
            return _larger(bends, a, b)
        if input is b and other is a:
            return _smaller(bends, a, b)
    bends.miss()
    return None


def _method_where(bends: Bends, input: Any, condition: Any, other: Any) -> Any:
    return _where(bends, condition, input, other)


def _slope(bends: Bends, part: Any, z: Tensor) -> float | None:
    """c if a branch of `where` is c × z; None if it is something else."""
    if part is z:
        return 1.0
    if _is_zero(part):
        return 0.0
    multiple = bends.multiple(part)
    return multiple[1] if multiple is not None and multiple[0] is z else None


def _masked_fill(bends: Bends, input: Tensor, mask: Any, value: Any) -> Any:
    return _where(bends, mask, value, input)


def _filled(bends: Bends, input: Tensor, mask: Any, value: Any) -> Any:
    """h[h < 0] = 0, in place; an assignment with any other mask is recorded as not traced."""
    found = bends.mask(mask)
    if found is None:
        return None
    if _is_zero(value) and _is_zero(found.below) and found.above is input:
        return input.copy_(bends.bend(input.clone(), 1.0, 0.0))
    if _is_zero(value) and _is_zero(found.above) and found.below is input:
        return input.copy_(bends.bend(input.clone(), 0.0, 1.0))
    bends.miss()
    return None


def _product(bends: Bends, input: Any, other: Any) -> Any:
    """z × (z > 0); the product of a mask with anything else is recorded as not traced."""
    for mask, factor in ((bends.mask(input), other), (bends.mask(other), input)):
        if mask is not None:
            if factor is mask.above and _is_zero(mask.below):
                return bends.bend(factor, 0.0, 1.0)
            if factor is mask.below and _is_zero(mask.above):
                return bends.bend(factor, 1.0, 0.0)
            bends.miss()
            return None
    for number, tensor in ((input, other), (other, input)):
        if isinstance(number, int | float) and bends.follows(tensor):
            return bends.keep_multiple(torch.mul(tensor, number), tensor, float(number))
    return None


def _is_zero(value: Any) -> bool:
    if isinstance(value, Tensor):
        return not value.requires_grad and not bool(value.any())
    return isinstance(value, int | float) and value == 0


KINKED: dict[Callable[..., Any], Callable[..., Any]] = {
    **dict.fromkeys((torch.relu, Tensor.relu, F.relu), _relu),
    **dict.fromkeys((torch.relu_, Tensor.relu_, F.relu_), _in_place(_relu)),
    F.leaky_relu: _leaky,
    F.leaky_relu_: _in_place(_leaky),
    **dict.fromkeys((F.rrelu, torch.rrelu), _rrelu),
    **dict.fromkeys((torch.prelu, Tensor.prelu, F.prelu), _prelu),
    **dict.fromkeys((F.elu,), _torch_elu),
    **dict.fromkeys((torch.selu, F.selu), _selu),
    **dict.fromkeys((torch.abs, Tensor.abs, torch.absolute, Tensor.absolute, Tensor.__abs__), _modulus),
    **dict.fromkeys((torch.abs_, Tensor.abs_, Tensor.absolute_), _overwriting(_modulus)),
    **dict.fromkeys((torch.maximum, Tensor.maximum, torch.max, Tensor.max, torch.fmax, Tensor.fmax), _larger),
    **dict.fromkeys(
        (torch.minimum, Tensor.minimum, torch.min, Tensor.min, torch.fmin, Tensor.fmin), _smaller
    ),
    **dict.fromkeys((torch.clamp, Tensor.clamp, torch.clip, Tensor.clip), _clamped),
    **dict.fromkeys((torch.clamp_, Tensor.clamp_, torch.clip_, Tensor.clip_), _in_place(_clamped)),
    **dict.fromkeys((torch.clamp_min, Tensor.clamp_min), lambda bends, x, min: _clamped(bends, x, min=min)),
    **dict.fromkeys((torch.clamp_max, Tensor.clamp_max), lambda bends, x, max: _clamped(bends, x, max=max)),
    **dict.fromkeys(
        (torch.clamp_min_, Tensor.clamp_min_), lambda bends, x, min: _clamped(bends, x, min, None, True)
    ),
    **dict.fromkeys(
        (torch.clamp_max_, Tensor.clamp_max_), lambda bends, x, max: _clamped(bends, x, None, max, True)
    ),
    F.hardtanh: _hard_tanh,
    F.hardtanh_: _in_place(_hard_tanh),
    F.relu6: _relu6,
    F.hardsigmoid: _hard_sigmoid,
    F.hardswish: _hard_swish,
    F.softshrink: _soft_shrink,
    **dict.fromkeys((F.threshold, torch.threshold), _threshold),
}
MASKED: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.where: _where,
    Tensor.where: _method_where,
    **dict.fromkeys((torch.masked_fill, Tensor.masked_fill), _masked_fill),
    **dict.fromkeys((Tensor.masked_fill_, Tensor.__setitem__), _filled),
    **dict.fromkeys(
        (torch.mul, torch.multiply, Tensor.mul, Tensor.multiply, Tensor.__mul__, Tensor.__rmul__), _product
    ),
}
# True where the first argument is the larger one
COMPARISONS: dict[Callable[..., Any], bool] = {
    **dict.fromkeys((torch.gt, torch.ge, torch.greater, torch.greater_equal), True),
    **dict.fromkeys(
        (Tensor.gt, Tensor.ge, Tensor.greater, Tensor.greater_equal, Tensor.__gt__, Tensor.__ge__), True
    ),
    **dict.fromkeys((torch.lt, torch.le, torch.less, torch.less_equal), False),
    **dict.fromkeys(
        (Tensor.lt, Tensor.le, Tensor.less, Tensor.less_equal, Tensor.__lt__, Tensor.__le__), False
    ),
}
# functions that make a mask of a mask; True if they negate it
CONVERSIONS: dict[Callable[..., Any], bool] = {
    **dict.fromkeys(
        (Tensor.to, Tensor.type, Tensor.type_as, Tensor.double, Tensor.float, Tensor.int, Tensor.long), False
    ),
    **dict.fromkeys((Tensor.detach, Tensor.clone, torch.clone), False),
    **dict.fromkeys((torch.logical_not, Tensor.logical_not, Tensor.__invert__, torch.bitwise_not), True),
}
UNSEEN: frozenset[Callable[..., Any]] = frozenset(
    (
        *(
            torch.max_pool1d,
            torch.max_pool2d,
            torch.max_pool3d,
            torch.amax,
            Tensor.amax,
            torch.amin,
            Tensor.amin,
        ),
        *(F.max_pool1d, F.max_pool2d, F.max_pool3d, F.adaptive_max_pool1d, F.adaptive_max_pool2d),
        *(
            F.adaptive_max_pool3d,
            F.fractional_max_pool2d,
            F.fractional_max_pool3d,
            F.hardshrink,
            torch.hardshrink,
        ),
        *(torch.aminmax, Tensor.aminmax, torch.sort, Tensor.sort, torch.topk, Tensor.topk, torch.msort),
        *(torch.kthvalue, Tensor.kthvalue, torch.median, Tensor.median, torch.nanmedian, Tensor.nanmedian),
        *(torch.quantile, Tensor.quantile, torch.cummax, Tensor.cummax, torch.cummin, Tensor.cummin),
        *(torch.sign, Tensor.sign, torch.sgn, Tensor.sgn, torch.heaviside, Tensor.heaviside),
        *(
            torch.round,
            Tensor.round,
            torch.floor,
            Tensor.floor,
            torch.ceil,
            Tensor.ceil,
            torch.trunc,
            Tensor.trunc,
        ),
        *(
            torch.frac,
            Tensor.frac,
            torch.fmod,
            Tensor.fmod,
            torch.remainder,
            Tensor.remainder,
            Tensor.__mod__,
        ),
    )
)


def name_of(func: Callable[..., Any]) -> str:
    """The name of a function as a user writes it: torch.where, Tensor.relu_, functional.max_pool2d."""
    name = getattr(func, "__name__", str(func))
    name = name if name.startswith("__") else name.removeprefix("_")
    place = getattr(func, "__module__", None) or "torch"
    place = (
        "functional"
        if place.startswith("torch.nn")
        else "Tensor"
        if hasattr(func, "__objclass__")
        else "torch"
    )
    return f"{place}.{name}"

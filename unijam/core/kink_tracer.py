"""Finds the kinks of a user's Δ: calls of torch's ReLU, |·|, max, min, clamps and similar functions are traced.

Each call is rewritten as h(z), of slope `left` for z < 0 and `right` for z > 0, plus something smooth: max(a, b) =
b + ReLU(a − b). `kinked_functions` has the rules. Functions with kinks that are not traced are listed by name, so that
a solver can say why it stalls.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from .kinked_functions import COMPARISONS, CONVERSIONS, KINKED, MASKED, UNSEEN, Mask, name_of


class KinkTracer(TorchFunctionMode):
    """A context that records z and h of every kink, and sets h = slope × z for the kinks that are held.

    Attributes
    ----------
    z, h : list of tensors
        For each call, the numbers before and after the kink; same shape.
    sides : list of (float, float)
        Left and right slope of each call.
    names : list of str
        The function of torch of each call.
    unseen : list of str
        Functions whose kinks are not traced: max-pooling, sorting, masks other than z × (z > 0) and similar ones.
    """

    def __init__(self, held: tuple[Tensor, Tensor] | None) -> None:
        super().__init__()
        self.held = held
        self.z: list[Tensor] = []
        self.h: list[Tensor] = []
        self.sides: list[tuple[float, float]] = []
        self.names: list[str] = []
        self.unseen: list[str] = []
        # by the id of the mask; the value holds the mask itself, so that its id is not given to another tensor
        self.masks: dict[int, Mask] = {}
        # by the id of a product (tensor × number): the product itself, for the same reason, tensor and number
        self.multiples: dict[int, tuple[Tensor, Tensor, float]] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in KINKED:
            found = KINKED[func](_Bends(self, name_of(func)), *args, **kwargs)
        elif func in COMPARISONS:
            return self._compared(func, args, kwargs)
        elif func in MASKED:
            found = MASKED[func](_Bends(self, name_of(func)), *args, **kwargs)
        else:
            result = func(*args, **kwargs)
            if func in CONVERSIONS:
                self._converted(func, args, result)
            elif func in UNSEEN and _is_followed(args):
                self.miss(name_of(func))
            return result
        return func(*args, **kwargs) if found is None else found

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]  # torch's
        self.masks, self.multiples = {}, {}

    def miss(self, name: str) -> None:
        """Add the name of a function whose kinks are not traced to `unseen`, once."""
        if name not in self.unseen:
            self.unseen.append(name)

    def _compared(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Any) -> Any:
        """The result of a > b or another comparison; recorded as a mask if a or b depends on x."""
        result = func(*args, **kwargs)
        if len(args) == 2 and _is_followed(args) and isinstance(result, Tensor):
            a, b = args if COMPARISONS[func] else args[::-1]  # a above b
            self.masks[id(result)] = Mask(result, a, b)
        return result

    def _converted(self, func: Callable[..., Any], args: tuple[Any, ...], result: Any) -> None:
        """Record the result of converting, copying or negating a mask as a mask too."""
        mask = self.masks.get(id(args[0])) if args else None
        if mask is not None and isinstance(result, Tensor):
            a, b = (mask.below, mask.above) if CONVERSIONS[func] else (mask.above, mask.below)
            self.masks[id(result)] = Mask(result, a, b)

    def bend(self, z: Tensor, left: float, right: float, name: str) -> Tensor:
        """h(z), of the shape of z: left × z for z < 0, right × z for z > 0, slope × z at held kinks; recorded."""
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
        self.names.append(name)
        return h


class _Bends:
    """The methods of the tracer that the rules of `kinked_functions` use, for one call."""

    def __init__(self, tracer: KinkTracer, name: str) -> None:
        self.tracer, self.name = tracer, name

    def bend(self, z: Any, left: float, right: float) -> Tensor:
        """h(z) with slopes left and right, recorded; see `KinkTracer.bend`."""
        return self.tracer.bend(z, left, right, self.name)

    def follows(self, *values: Any) -> bool:
        """Whether one of these values depends on x."""
        return _is_followed(values)

    def mask(self, value: Any) -> Mask | None:
        """The comparison that a mask came from; None if it is not known."""
        return self.tracer.masks.get(id(value))

    def multiple(self, value: Any) -> tuple[Tensor, float] | None:
        """(tensor, factor) if a value is the recorded product of a tensor and a number, else None."""
        found = self.tracer.multiples.get(id(value))
        return None if found is None else found[1:]

    def keep_multiple(self, product: Tensor, of: Tensor, factor: float) -> Tensor:
        """Record a product as `factor` times a tensor, and return it."""
        self.tracer.multiples[id(product)] = (product, of, factor)
        return product

    def miss(self) -> None:
        """Record that the kinks of this call are not traced."""
        self.tracer.miss(self.name)


def _is_followed(values: Iterable[Any]) -> bool:
    """Whether one of these tensors requires a gradient, and none is inside a transform of torch.func.

    (Inside a transform one tensor stands for a batch of them; such calls are left to torch.)
    """
    tensors = [v for v in values if isinstance(v, Tensor)]
    followed = any(v.requires_grad for v in tensors)
    return followed and not any(torch._C._functorch.is_functorch_wrapped_tensor(v) for v in tensors)

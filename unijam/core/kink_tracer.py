"""The kinks of what a user writes: torch's ReLU, |·|, max, min, clamps and the like are seen as they are called.

Each is made of h(z), of slope `left` for z < 0 and `right` for z > 0, and something smooth, as max(a, b) =
b + ReLU(a − b).
`kinked_functions` says how; what bends and is not seen is kept by name, so that a solver can say why it stalls.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from .kinked_functions import COMPARISONS, CONVERSIONS, KINKED, MASKED, UNSEEN, Mask, name_of


class KinkTracer(TorchFunctionMode):
    """Within it, every z and h of a kink is kept, and those held get h = slope × z.

    Attributes
    ----------
    z, h : list of tensors
        One pair a kink of each call.
    sides : list of (float, float)
        Left and right slope of each.
    names : list of str
        The function of torch that each belongs to.
    unseen : list of str
        Functions that bend where it is not seen: max-pooling, sorting, masks other than z × (z > 0) and its like.
    """

    def __init__(self, held: tuple[Tensor, Tensor] | None) -> None:
        super().__init__()
        self.held = held
        self.z: list[Tensor] = []
        self.h: list[Tensor] = []
        self.sides: list[tuple[float, float]] = []
        self.names: list[str] = []
        self.unseen: list[str] = []
        self.masks: dict[int, Mask] = {}  # by the id of the mask, which the value keeps alive
        self.multiples: dict[
            int, tuple[Tensor, Tensor, float]
        ] = {}  # of a tensor by a number, by the product's id

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
        """Keep the name of a function whose kinks are not seen."""
        if name not in self.unseen:
            self.unseen.append(name)

    def _compared(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Any) -> Any:
        """a > b and its like, kept where it is about what derivatives follow."""
        result = func(*args, **kwargs)
        if len(args) == 2 and _is_followed(args) and isinstance(result, Tensor):
            a, b = args if COMPARISONS[func] else args[::-1]  # a above b
            self.masks[id(result)] = Mask(result, a, b)
        return result

    def _converted(self, func: Callable[..., Any], args: tuple[Any, ...], result: Any) -> None:
        """The mask as other numbers, or turned round; a multiple of a tensor."""
        mask = self.masks.get(id(args[0])) if args else None
        if mask is not None and isinstance(result, Tensor):
            a, b = (mask.below, mask.above) if CONVERSIONS[func] else (mask.above, mask.below)
            self.masks[id(result)] = Mask(result, a, b)

    def bend(self, z: Tensor, left: float, right: float, name: str) -> Tensor:
        """h(z), kept; at kinks that are held slope × z."""
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
    """What the rules of `kinked_functions` ask of the tracer, within one call."""

    def __init__(self, tracer: KinkTracer, name: str) -> None:
        self.tracer, self.name = tracer, name

    def bend(self, z: Any, left: float, right: float) -> Tensor:
        """h(z) of slopes left and right."""
        return self.tracer.bend(z, left, right, self.name)

    def follows(self, *values: Any) -> bool:
        """Whether derivatives follow one of these."""
        return _is_followed(values)

    def mask(self, value: Any) -> Mask | None:
        """What a mask compares."""
        return self.tracer.masks.get(id(value))

    def multiple(self, value: Any) -> tuple[Tensor, float] | None:
        """(tensor, factor) where a value was made by multiplying one with a number."""
        found = self.tracer.multiples.get(id(value))
        return None if found is None else found[1:]

    def keep_multiple(self, product: Tensor, of: Tensor, factor: float) -> Tensor:
        """The product, known from now on as a multiple."""
        self.tracer.multiples[id(product)] = (product, of, factor)
        return product

    def miss(self) -> None:
        """Say that this function bends unseen."""
        self.tracer.miss(self.name)


def _is_followed(values: Iterable[Any]) -> bool:
    """Whether derivatives follow one of these, one by one and not in a batch of torch.func."""
    tensors = [v for v in values if isinstance(v, Tensor)]
    followed = any(v.requires_grad for v in tensors)
    return followed and not any(torch._C._functorch.is_functorch_wrapped_tensor(v) for v in tensors)

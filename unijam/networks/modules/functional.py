"""A torch module as a function of its trainable parameters, flat: outputs of data, and what they take of memory."""

import copy
import math
import threading
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from ...support.validation import require

FLOATS = {torch.float64, torch.float32}
DROPOUT = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
BATCH = nn.modules.batchnorm._BatchNorm
VECTORS = 12  # of N numbers, in one product with H
# a module's parameters, the choice of attention kernels and the level of forward mode are of the process, not a thread
ONE_THREAD = threading.RLock()
COPIES = 14  # of what one backward pass keeps of a datum: values, their changes, and the gradients of both


class FunctionalModule:
    """outputs(x, data) of a module; x holds its trainable parameters in their order, all else is held.

    Attributes
    ----------
    module : nn.Module
        A copy of the module given.
    initial : (N,) tensor
        Its parameters.
    positions : dict of str to tensor
        Where in x each of them lies, in its own shape; those used at two places are left out.
    """

    def __init__(self, module: nn.Module, dtype: torch.dtype, device: torch.device | None) -> None:
        _require_known(module)
        self.module = copy.deepcopy(module)
        if device is not None:
            self.module = self.module.to(device)
        self.module = self.module.to(dtype)
        trained = {name: p for name, p in self.module.named_parameters() if p.requires_grad}
        require(len(trained) > 0, "module", type(module).__name__, "a torch module with trainable parameters")
        self.shapes = {name: p.shape for name, p in trained.items()}
        self.sizes = [p.numel() for p in trained.values()]
        self.initial = torch.cat([p.detach().reshape(-1) for p in trained.values()])
        used = [id(p) for _, p in self.module.named_parameters(remove_duplicate=False)]
        parts = torch.arange(len(self.initial), device=self.initial.device).split(self.sizes)
        self.positions = {
            name: part.view(p.shape)
            for (name, p), part in zip(trained.items(), parts, strict=True)
            if used.count(id(p)) == 1
        }
        for p in self.module.parameters():
            p.requires_grad_(False)
        self._bytes: tuple[tuple, int] | None = None

    def __call__(self, x: Tensor, inputs: Tensor) -> Tensor:
        """(outputs, P) of data (P, …); differentiable in x."""
        parts = zip(self.shapes.items(), x.split(self.sizes), strict=True)
        values = {name: part.view(shape) for (name, shape), part in parts}
        with ONE_THREAD, sdpa_kernel(SDPBackend.MATH):  # fused attention has no second derivatives
            outputs = functional_call(self.module, values, (inputs,))
        return outputs.reshape(len(outputs), -1).T

    def state(self, x: Tensor) -> nn.Module:
        """A copy of the module with the parameters x."""
        module = copy.deepcopy(self.module)
        parts = dict(zip(self.shapes, x.detach().split(self.sizes), strict=True))
        for name, p in module.named_parameters():
            if name in parts:
                p.data = parts[name].view(p.shape).clone()
                p.requires_grad_(True)
        return module

    def n_outputs(self, inputs: Tensor) -> int:
        """How many outputs a datum has; a `ValueError` where data do not fit, are coupled, or outputs are random."""
        few, name = inputs[:3], type(self.module).__name__
        try:
            with torch.no_grad():
                outputs = functional_call(self.module, {}, (few,))
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            reason = str(error).strip().split("\n")[0]
            raise ValueError(
                f"the shape of inputs = {tuple(inputs.shape)} is not valid: {name} does not take it ({reason})."
            ) from None
        shape = tuple(getattr(outputs, "shape", ()))
        fits = (
            isinstance(outputs, Tensor) and len(shape) in (1, 2) and shape[0] == len(few) and math.prod(shape)
        )
        wanted = f"({len(few)},), ({len(few)}, 1) or ({len(few)}, C)"
        require(fits, f"the shape of {name}'s output for {len(few)} data", shape, wanted)
        with torch.no_grad():
            again = functional_call(self.module, {}, (few,))
            alone = torch.cat([functional_call(self.module, {}, (datum,)) for datum in few.split(1)])
        tolerance = 1e4 * torch.finfo(outputs.dtype).eps * max(1.0, float(outputs.abs().max()))
        require(_close(again, outputs, tolerance), "module", name, "one whose output is not random")
        wanted = "one whose output for a datum does not depend on the other data"
        require(_close(alone.reshape(shape), outputs, tolerance), "module", name, wanted)
        return shape[1] if len(shape) == 2 else 1

    def data_within(self, memory: int, inputs: Tensor, vectors: int = VECTORS) -> int:
        """How many data one product with H may take in so many bytes; a `ValueError` where not even one fits."""
        size = len(self.initial) * self.initial.element_size()
        if self._bytes is None or self._bytes[0] != inputs.shape[1:]:
            self._bytes = (inputs.shape[1:], self._measured(inputs[:1]))
        left, one = memory - vectors * size, self._bytes[1]
        wanted = f"at least {vectors * size + one} bytes for N = {len(self.initial)} and data of this shape"
        require(left >= one, "memory_limit", memory, wanted)
        return int(left // one)

    def _measured(self, datum: Tensor) -> int:
        """Bytes of one datum in one product: what a backward pass keeps, and the unfolded images of a convolution."""
        held = {p.data_ptr() for p in self.module.parameters()} | {self.initial.data_ptr()}
        kept: dict[int, int] = {}
        widest = 0

        def keep(t: Tensor) -> Tensor:
            if t.untyped_storage().data_ptr() not in held:
                kept[t.untyped_storage().data_ptr()] = t.numel() * t.element_size()
            return t

        def unfolded(layer: Any, given: tuple, output: Tensor) -> None:
            nonlocal widest
            kernel = math.prod(layer.kernel_size) * layer.in_channels // layer.groups
            widest = max(widest, kernel * math.prod(output.shape[2:]) * output.element_size())

        convolutions = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
        hooks = [
            layer.register_forward_hook(unfolded)
            for layer in self.module.modules()
            if isinstance(layer, convolutions)
        ]
        leaf = self.initial.clone().requires_grad_()
        held.add(leaf.data_ptr())
        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
            output = self(leaf, datum)
        for hook in hooks:
            hook.remove()
        own = datum.numel() * datum.element_size() + output.numel() * output.element_size()
        return COPIES * (sum(kept.values()) + own) + 3 * widest


def _require_known(module: Any) -> None:
    """Refuse what cannot be a function of its parameters and one datum, by what it is."""
    require(isinstance(module, nn.Module), "module", type(module).__name__, "a torch.nn.Module")
    for name, p in module.named_parameters():
        require(p.dtype in FLOATS, f"the precision of {name}", str(p.dtype), "float64 or float32")
    for name, layer in module.named_modules():
        if isinstance(layer, BATCH):
            running = not layer.training and layer.running_mean is not None
            wanted = "in eval mode: in training it couples the data of a batch"
            require(running, f"the mode of {type(layer).__name__} {name!r}", "train", wanted)
        if isinstance(layer, DROPOUT):
            wanted = "in eval mode, or p = 0: it makes Δ random"
            require(
                not layer.training or layer.p == 0,
                f"the mode of {type(layer).__name__} {name!r}",
                "train",
                wanted,
            )


def _close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    return a.shape == b.shape and bool(((a - b).abs() <= tolerance).all())

"""A torch module as a function of its trainable parameters, flat: the outputs of data, and the memory they take."""

import copy
import math
import threading
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from ...core.recording import recording
from ...support.validation import require, require_finite
from .known import require_known
from .rewriter import Rewriter

VECTORS = 12  # vectors of N numbers that one product with H is taken to need: measured
# A module's parameters, the choice of attention kernels and the level of forward mode belong to the process, not to a
# thread: only one thread may run a module at a time.
ONE_THREAD = threading.RLock()
# Memory of one datum in a product with H, in units of what a backward pass keeps of it (values, their changes, and the
# gradients of both): measured, so that peaks stay below `memory_limit`.
COPIES = 14


class FunctionalModule:
    """The function outputs(x, data) of a module.

    x, (N,), holds the trainable parameters in their order; frozen parameters and buffers stay fixed. A `ValueError` is
    raised where the module has no trainable parameters, they are not finite, or `require_known` refuses it.

    Attributes
    ----------
    module : nn.Module
        A copy of the module given.
    initial : (N,) tensor
        Its parameters.
    positions : dict of str to tensor
        Where in x the entries of each parameter lie, in its own shape; parameters used at two places are left out.
    """

    def __init__(self, module: nn.Module, dtype: torch.dtype, device: torch.device | None) -> None:
        module = require_known(module)
        with torch.inference_mode(False):
            self.module = _copied(module)
            if device is not None:
                self.module = self.module.to(device)
            self.module = self.module.to(dtype)
            trained = {name: p for name, p in self.module.named_parameters() if p.requires_grad and p.numel()}
            wanted = "a torch module with trainable parameters"
            require(len(trained) > 0, "module", type(module).__name__, wanted)
            self.shapes = {name: p.shape for name, p in trained.items()}
            self.sizes = [p.numel() for p in trained.values()]
            self.initial = torch.cat([p.detach().reshape(-1) for p in trained.values()])
        require_finite(self.initial, f"the parameters of {type(module).__name__}")
        used = [id(p) for _, p in self.module.named_parameters(remove_duplicate=False)]
        parts = torch.arange(len(self.initial), device=self.initial.device).split(self.sizes)
        self.positions = {
            name: part.view(p.shape)
            for (name, p), part in zip(trained.items(), parts, strict=True)
            if used.count(id(p)) == 1
        }
        for p in self.module.parameters():
            p.requires_grad_(False)
        self.overwrites = self.rewritten = True  # until `n_outputs` has seen what the module does
        self._bytes: tuple[tuple[Any, ...], int] | None = None

    def __call__(self, x: Tensor, inputs: Tensor) -> Tensor:
        """Outputs, (outputs, P), of data, (P, …), at x, (N,); differentiable in x. The data are not changed."""
        parts = zip(self.shapes.items(), x.split(self.sizes), strict=True)
        values = {name: part.view(shape) for (name, shape), part in parts}
        outputs = self._run(values, inputs)
        return outputs.reshape(len(outputs), -1).T

    def _run(self, values: dict[str, Tensor], inputs: Tensor) -> Tensor:
        given = inputs.clone() if self.overwrites else inputs
        with (
            ONE_THREAD,
            sdpa_kernel(SDPBackend.MATH),
            Rewriter(),
        ):  # fused attention has no second derivatives
            outputs: Tensor = functional_call(self.module, values, (given,))
            return outputs

    def state(self, x: Tensor) -> nn.Module:
        """A copy of the module with the parameters x, (N,)."""
        module = copy.deepcopy(self.module)
        parts = dict(zip(self.shapes, x.detach().split(self.sizes), strict=True))
        for name, p in module.named_parameters():
            if name in parts:
                p.data = parts[name].view(p.shape).clone()
                p.requires_grad_(True)
        return module

    def n_outputs(self, inputs: Tensor) -> int:
        """The number of outputs of a datum, found by running the module on up to three data.

        Raises
        ------
        ValueError
            Where data do not fit, or are coupled; where outputs are random, NaN, of another precision, depend on
            earlier calls or on no parameter; where torch has no second derivatives of them.
        """
        few, name = inputs[:3], type(self.module).__name__
        held = {key: value.clone() for key, value in self.module.named_buffers()}
        with torch.inference_mode(False), torch.no_grad():
            given = few.clone()
            version, self.overwrites, self.rewritten = given._version, False, False
            with Rewriter() as rewriter:
                outputs = self._first(given, inputs)
            self.rewritten = rewriter.used
            self.overwrites = given._version != version or not torch.equal(given, few)
            for key, value in self.module.named_buffers():
                same = value.shape == held[key].shape and torch.equal(value, held[key])
                wanted = "one that a forward pass leaves as it is (in eval mode most do): it is held"
                require(same, f"the buffer {key!r} of {name}", "changed", wanted)
            shape = self._require_shape(outputs, len(few))
            again = self._run({}, few)
            alone = torch.cat([self._run({}, datum) for datum in few.split(1)])
        # 1e4 rounding errors are allowed between runs of one module on different batches
        tolerance = 1e4 * torch.finfo(outputs.dtype).eps * max(1.0, float(outputs.abs().max()))
        wanted = "one whose output is not random, and does not depend on earlier calls"
        require(_close(again, outputs, tolerance), "module", name, wanted)
        wanted = "one whose output for a datum does not depend on the other data"
        require(_close(alone.reshape(shape), outputs, tolerance), "module", name, wanted)
        self._require_derivatives(few)
        return shape[1] if len(shape) == 2 else 1

    def _first(self, given: Tensor, inputs: Tensor) -> Tensor:
        """The outputs of a few data; a `ValueError` that says why the module does not take them."""
        try:
            return self._run({}, given)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            reason = str(error).strip().split("\n")[0].rstrip(".")
            raise ValueError(
                f"the shape of inputs = {tuple(inputs.shape)} is not valid: {type(self.module).__name__} does not take "
                f"it ({reason})."
            ) from None

    def _require_shape(self, outputs: Any, n_data: int) -> tuple[int, ...]:
        name, dtype = type(self.module).__name__, self.initial.dtype
        shape = tuple(getattr(outputs, "shape", ()))
        fits = (
            isinstance(outputs, Tensor) and len(shape) in (1, 2) and shape[0] == n_data and math.prod(shape)
        )
        wanted = f"({n_data},), ({n_data}, 1) or ({n_data}, C)"
        require(fits, f"the shape of {name}'s output for {n_data} data", shape, wanted)
        precise = outputs.dtype == dtype
        require(
            precise, f"the precision of {name}'s output", str(outputs.dtype), f"{dtype}, that of the network"
        )
        require_finite(outputs, f"{name}'s output")
        return shape

    def _require_derivatives(self, few: Tensor) -> None:
        """Raise a `ValueError` where outputs depend on no parameter, or torch cannot differentiate them twice."""
        name = type(self.module).__name__
        with recording():
            leaf = self.initial.clone().requires_grad_()
            total = self(leaf, few).sum()
            require(
                total.requires_grad,
                "module",
                name,
                "one whose output follows its parameters (it is detached)",
            )
            try:
                (gradient,) = torch.autograd.grad(total, leaf, create_graph=True)
                if gradient.requires_grad:
                    torch.autograd.grad(gradient.sum(), leaf)
            except RuntimeError as error:
                reason = str(error).strip().split("\n")[0].rstrip(".")
                wanted = f"twice differentiable by torch ({reason})"
                raise ValueError(f"module = {name!r} is not valid: it must be {wanted}.") from None

    def data_within(self, memory: int, inputs: Tensor, vectors: int = VECTORS) -> int:
        """The number of data that one product with H may take within `memory` bytes.

        `inputs`, (P, …), give the shape of a datum; `vectors` of N numbers are set aside. A `ValueError` is raised
        where not even one datum fits.
        """
        size = len(self.initial) * self.initial.element_size()
        if self._bytes is None or self._bytes[0] != inputs.shape[1:]:
            self._bytes = (inputs.shape[1:], self._measured(inputs[:1]))
        left, one = memory - vectors * size, self._bytes[1]
        wanted = f"at least {vectors * size + one} bytes for N = {len(self.initial)} and data of this shape"
        require(left >= one, "memory_limit", memory, wanted)
        return int(left // one)

    def _measured(self, datum: Tensor) -> int:
        """Bytes of one datum, (1, …), in one product: tensors kept by a backward pass, and unfolded images.

        A convolution may unfold its images into a matrix; three of the widest are counted.
        """
        held = {p.data_ptr() for p in self.module.parameters()} | {self.initial.data_ptr()}
        kept: dict[int, int] = {}
        widest = 0

        def keep(t: Tensor) -> Tensor:
            if t.untyped_storage().data_ptr() not in held:
                kept[t.untyped_storage().data_ptr()] = t.numel() * t.element_size()
            return t

        def unfolded(layer: Any, given: tuple[Any, ...], output: Tensor) -> None:
            nonlocal widest
            kernel = math.prod(layer.kernel_size) * layer.in_channels // layer.groups
            widest = max(widest, kernel * math.prod(output.shape[2:]) * output.element_size())

        convolutions = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
        hooks = [
            layer.register_forward_hook(unfolded)
            for layer in self.module.modules()
            if isinstance(layer, convolutions)
        ]
        with recording(), torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
            leaf = self.initial.clone().requires_grad_()
            held.add(leaf.data_ptr())
            output = self(leaf, datum)
        for hook in hooks:
            hook.remove()
        own = datum.numel() * datum.element_size() + output.numel() * output.element_size()
        return COPIES * (sum(kept.values()) + own) + 3 * widest


def _copied(module: nn.Module) -> nn.Module:
    """A deep copy; a `ValueError` where torch refuses one."""
    try:
        return copy.deepcopy(module)
    except RuntimeError:
        wanted = (
            "one that torch can copy: hold weights by torch.nn.utils.parametrizations, no computed tensors"
        )
        raise ValueError(f"module = {type(module).__name__!r} is not valid: it must be {wanted}.") from None


def _close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    return a.shape == b.shape and bool(((a - b).abs() <= tolerance).all())

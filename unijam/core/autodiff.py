"""A system whose author writes only Δ(x): torch derives Jᵀw, Jv, J and Σ w ∇∇Δ, all in reverse mode."""

import math
from abc import abstractmethod
from functools import cached_property
from itertools import accumulate
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from ..linalg import rank_of
from ..support.arrays import Array, private, to_numpy, weigh, writable
from ..support.validation import require, require_finite
from .capabilities import Stepped
from .kink_tracer import KinkTracer
from .kinks import HeldKinks, Kinks
from .recording import recording
from .system import ConstrainedSystem, Constraints

KERNEL = 1e-9  # of the largest singular value of J, below which others may be those of a kernel
NEARBY = 1e-3  # of the mean |x| + step_unit: how far the second look at the symmetries is taken
CHUNK = 2**24  # numbers in one batch of backward passes


class AutodiffSystem(ConstrainedSystem, Stepped):
    """A system given by its signed distances: write `delta` and set `initial`.

    ReLU, |·|, max, min and one-sided clamps of torch may be used: their kinks are kept by `ProximalNewton`.

    `control` may name an attribute λ in which Δ = λ c − g(x) is linear, c independent of x.

    Attributes
    ----------
    initial : (n_dof,) tensor
        A start; anything else that holds numbers becomes a float64 tensor.
    members : (m, k) integer tensor or None
        Which particles, or which datum, each constraint is about; None stands for its number.
    unit : float
        The size of a typical Δ, by which overlaps, steps and rounding are measured: the largest |Δ| at `initial`, or
        what the class sets (`self.unit = 1e-6`).

    Examples
    --------
    A point that keeps away from the corners of a square:

    >>> import torch
    >>> import unijam as uj
    >>> class Point(uj.AutodiffSystem):
    ...     def __init__(self):
    ...         self.initial = [0.3, 0.4]
    ...     def delta(self, x):
    ...         corners = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], dtype=x.dtype)
    ...         return 0.8 - (x - corners).norm(dim=1)
    >>> uj.minimize(Point()).x
    tensor([0.5000, 0.5000], dtype=torch.float64)
    """

    members: Tensor | None = None

    @abstractmethod
    def delta(self, x: Tensor) -> Tensor:
        """Signed distances Δ(x), (n_dof,) -> (m,), by differentiable operations of torch."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        given = cls.__dict__.get("initial")
        if isinstance(given, Tensor | np.ndarray | list | tuple):
            cls.initial = _start(given)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, _start(value) if name == "initial" else value)

    def at(self, **changes: Any) -> Self:
        if "initial" in changes:
            changes["initial"] = _start(changes["initial"])
        return super().at(**changes)

    @property
    def sparse(self) -> bool:
        """Torch gives J as a dense tensor."""
        return False

    @cached_property
    def unit(self) -> float:  # type: ignore[override]
        """The largest |Δ| at `initial`: there some constraints are far from being met; 1 where all Δ vanish."""
        delta = self.constraints(self.initial).delta
        largest = float(delta.abs().max()) if len(delta) else 0.0
        return largest if 0.0 < largest < math.inf else 1.0

    @property
    def step_unit(self) -> float:  # type: ignore[override]
        """`unit`, or the largest coordinate of `initial` where that is more."""
        return max(self.unit, float(self.initial.abs().max()))

    def constraints(self, x: Tensor, reach: float = 0.0) -> "AutodiffConstraints":
        """All the constraints at x, gaps of any width included."""
        return AutodiffConstraints(self, x)

    def symmetries(self, x: Tensor) -> Tensor:
        """The kernel of J over all constraints where these are at least n_dof, else none: orthonormal rows.

        The rank is read off the largest gap in log σ that ends below 1e-9 of the largest singular value. Where the
        kernel is larger than at a point nearby (flat to first order only, as at the top of a barrier), the directions
        nearest to the kernel there are kept.
        """
        here = self._kernel(x)
        if not len(here):
            return here
        generator = torch.Generator().manual_seed(0)
        away = torch.randn(len(x), generator=generator, dtype=x.dtype).to(x.device)
        near = self._kernel(x + NEARBY * (self.step_unit + x.abs().mean()) * away)
        if len(near) >= len(here):
            return here
        rows = torch.linalg.svd(near @ here.T, full_matrices=False).Vh
        kept: Tensor = rows @ here
        return kept

    def resolution(self, x: Tensor) -> float:
        """The rounding error of one Δ of order `unit`: 1e-15 of it in double and 5e-7 in single precision."""
        return 1e-15 * self.unit * (torch.finfo(x.dtype).eps / torch.finfo(torch.float64).eps)

    def _kernel(self, x: Tensor) -> Tensor:
        jacobian = self.constraints(x).jacobian()
        if jacobian.shape[0] < self.n_dof:
            return x.new_zeros(0, self.n_dof)
        if not bool(jacobian.isfinite().all()):
            raise FloatingPointError(f"J of {type(self).__name__} is NaN or infinite.")
        _, sigma, rows = torch.linalg.svd(torch.linalg.qr(jacobian, mode="r").R)
        known = torch.finfo(sigma.dtype).eps * max(jacobian.shape) * float(sigma[0])
        kernel: Tensor = rows[rank_of(to_numpy(sigma), jacobian.shape, known, KERNEL) :]
        return kernel


class AutodiffConstraints(Constraints):
    """Δ at one x with the graph that torch recorded; every derivative is a backward pass through it."""

    system: AutodiffSystem

    def __init__(self, system: AutodiffSystem, x: Tensor) -> None:
        self.system, self.x = system, _like(x, system.initial)
        self._tracer = KinkTracer(self._held)
        with recording():
            self._leaf = self.x.clone().requires_grad_()
            with self._tracer:
                self._delta = system.delta(self._leaf)
        field, kind = f"{type(system).__name__}.delta(x)", type(self._delta)
        require(
            isinstance(self._delta, Tensor), field, kind.__name__, "a tensor, made of x by functions of torch"
        )
        require(self._delta.ndim == 1, f"the shape of {field}", tuple(self._delta.shape), "(m,)")
        require(self._delta.requires_grad, field, "a constant", "a function of x")
        self.delta = self._delta.detach()

    @property
    def members(self) -> Tensor:
        given = self.system.members
        return torch.arange(len(self.delta), device=self.delta.device)[:, None] if given is None else given

    def vjp(self, weights: Array) -> Tensor:
        gradient: Tensor = torch.autograd.grad(self._delta, self._leaf, weights, retain_graph=True)[0]
        return gradient

    def jvp(self, direction: Array) -> Tensor:
        dual, gradient = self._transposed()
        return torch.autograd.grad(gradient, dual, direction, materialize_grads=True)[0]

    def jacobian(self, select: Array | None = None) -> Tensor:
        rows = torch.arange(len(self.delta), device=self.delta.device)
        rows = rows if select is None else rows[select]
        if len(rows) < len(self.x):
            chosen = torch.nn.functional.one_hot(rows, len(self.delta)).to(self.delta.dtype)
            return _batched(self._delta, self._leaf, chosen)
        dual, gradient = self._transposed()
        columns = _batched(gradient, dual, torch.eye(len(self.x), dtype=self.x.dtype, device=self.x.device))
        return columns.T[rows]

    def curvature(self, weights: Array) -> Tensor:
        weights = weights.detach()
        with recording():
            total = self._delta[weights != 0] @ weights[weights != 0]
            (gradient,) = torch.autograd.grad(total, self._leaf, create_graph=True)
        eye = torch.eye(len(self.x), dtype=self.x.dtype, device=self.x.device)
        if not gradient.requires_grad:  # Δ is linear in x
            return torch.zeros_like(eye)
        hessian = _batched(gradient, self._leaf, eye)
        return 0.5 * (hessian + hessian.T)

    def curvature_product(self, direction: Array, stiffness: Array | None, weights: Array | None) -> Tensor:
        total = torch.zeros_like(self.x)
        if stiffness is not None:
            total += self.vjp(weigh(stiffness, self.jvp(direction)))
        if weights is not None:
            with recording():
                pressing = weights != 0
                along = self._delta[pressing] @ weights[pressing].detach()
                (gradient,) = torch.autograd.grad(along, self._leaf, create_graph=True)
            if gradient.requires_grad:  # else Δ is linear in x
                total += torch.autograd.grad(
                    gradient, self._leaf, direction, retain_graph=True, materialize_grads=True
                )[0]
        return total

    def kinks(self, weights: Array) -> Kinks:
        """Every number that went through ReLU, |·|, max, min or a one-sided clamp of torch; members: call and place."""
        traced = self._tracer
        if not traced.z:
            return super().kinks(weights)
        z, sizes = torch.cat([part.reshape(-1) for part in traced.z]), [part.numel() for part in traced.z]
        call = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes)).to(z.device)
        starts = torch.tensor([0, *accumulate(sizes)][:-1], device=z.device)

        def forces() -> Tensor:
            found = torch.autograd.grad(
                self._delta, traced.h, weights, retain_graph=True, allow_unused=True, materialize_grads=True
            )
            return torch.cat([part.reshape(-1) for part in found])

        def gradients(select: Tensor) -> Tensor:
            chosen = z[torch.arange(len(z), device=z.device)[select]]
            return _batched(chosen, self._leaf, torch.eye(len(chosen), dtype=z.dtype, device=z.device))

        def members(select: Tensor) -> Tensor:
            return torch.stack(
                [call[select], torch.arange(len(z), device=z.device)[select] - starts[call[select]]], 1
            )

        kept = self._held
        held = call[:0]
        if kept is not None:
            calls, places = kept[0][kept[0][:, 0] >= 0].T
            held = starts[calls] + places
        left, right = torch.tensor(traced.sides, dtype=z.dtype, device=z.device)[call].T
        return Kinks(z.detach(), members, held, forces, gradients, left, right)

    @property
    def unseen_kinks(self) -> tuple[str, ...]:
        """Functions of torch in Δ that bend where it is not seen, as max-pooling and the minimum of many."""
        return tuple(self._tracer.unseen)

    @property
    def _held(self) -> HeldKinks | None:
        """The kinks that the system holds, by call and place, and their slopes."""
        return self.system.kinks

    def _transposed(self) -> tuple[Tensor, Tensor]:
        """The graph of w -> Jᵀw at w = 0: it is linear in w, so its derivative is J."""
        with recording():
            dual = torch.zeros_like(self.delta, requires_grad=True)
            (gradient,) = torch.autograd.grad(self._delta, self._leaf, dual, create_graph=True)
        return dual, gradient


def _like(x: Any, start: Tensor) -> Tensor:
    """x as a tensor of the kind of a start, detached."""
    if not isinstance(x, Tensor):
        x = torch.as_tensor(writable(np.asarray(x)), dtype=start.dtype, device=start.device)
    kept: Tensor = x.detach()
    return kept


def _start(value: Any) -> Tensor:
    """A private copy of a floating tensor, or of all other numbers as a float64 tensor."""
    floating = isinstance(value, Tensor) and value.is_floating_point()
    start: Tensor = private(value.detach() if floating else torch.as_tensor(value, dtype=torch.float64))
    require(start.ndim == 1, "the shape of initial", tuple(start.shape), "(n_dof,)")
    require_finite(start, "initial")
    return start


def _batched(output: Tensor, leaf: Tensor, weights: Tensor) -> Tensor:
    """One backward pass a row of `weights` (k, outputs), batched: (k, len(leaf))."""
    if len(weights) == 0:
        return leaf.new_zeros(0, len(leaf))
    rows = max(1, CHUNK // max(1, len(output), len(leaf)))
    return torch.cat(
        [
            torch.autograd.grad(
                output, leaf, part, retain_graph=True, is_grads_batched=True, materialize_grads=True
            )[0]
            for part in weights.split(rows)
        ]
    )

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
from ..support.memory import require_matrices
from ..support.validation import require, require_finite
from .capabilities import Stepped
from .constraints import Constraints
from .kink_tracer import KinkTracer
from .kinks import HeldKinks, Kinks
from .recording import recording
from .system import ConstrainedSystem

# Singular values of J below this fraction of the largest one may belong to the kernel, that is, to symmetries.
KERNEL = 1e-9
# The symmetries at x must hold at a second point too, whose distance is this fraction of mean |x| + step_unit: at the
# top of a barrier Δ is flat to first order along the unstable direction, at x alone (docs/decisions/012).
NEARBY = 1e-3
# One batch of backward passes has about this many numbers (128 MiB in float64), so that J of many constraints is not
# computed in one piece.
CHUNK = 2**24
PRODUCTS = (
    "set matrix_free = True on the system, which then knows H by its products"  # advice where memory is short
)


class AutodiffSystem(ConstrainedSystem, Stepped):
    """A system given by its signed distances: write `delta` and set `initial`.

    ReLU, |·|, max, min and one-sided clamps of torch may be used: their kinks are kept by `ProximalNewton`.

    `control` may name an attribute λ. Then Δ must be linear in it: Δ = λ c − g(x), with c independent of x.

    Attributes
    ----------
    initial : (n_dof,) tensor
        The x at which runs start by default. Lists and arrays become a float64 tensor.
    members : (m, k) integer tensor or None
        The particles, or the datum, that each constraint is about; None: its number, (m, 1).
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
        """Signed distances Δ(x), (n_dof,) -> (m,), computed by differentiable functions of torch."""

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
        """False: torch gives J as a dense tensor."""
        return False

    @cached_property
    def unit(self) -> float:  # type: ignore[override]
        """The largest |Δ| at `initial`, a typical size of Δ; 1 if all Δ vanish or one is not finite."""
        delta = self.constraints(self.initial).delta
        largest = float(delta.abs().max()) if len(delta) else 0.0
        return largest if 0.0 < largest < math.inf else 1.0

    @property
    def step_unit(self) -> float:  # type: ignore[override]
        """The larger one of `unit` and of the largest coordinate of `initial`."""
        return max(self.unit, float(self.initial.abs().max()))

    def constraints(self, x: Tensor, reach: float = 0.0) -> "AutodiffConstraints":
        """All constraints at x, (n_dof,), with gaps of any width."""
        return AutodiffConstraints(self, x)

    def symmetries(self, x: Tensor) -> Tensor:
        """The kernel of J over all constraints, as orthonormal rows, (k, n_dof); empty if m < n_dof.

        The rank is read off the largest gap in log σ that ends below 1e-9 of the largest singular value. If the kernel
        is larger than at a point nearby (Δ is flat to first order only, as at the top of a barrier), only the
        directions nearest to the kernel of that point are kept.
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
        """The rounding error of one Δ of order `unit`: 1e-15 `unit` in float64, 5e-7 `unit` in float32."""
        return 1e-15 * self.unit * (torch.finfo(x.dtype).eps / torch.finfo(torch.float64).eps)

    def _kernel(self, x: Tensor) -> Tensor:
        jacobian = self.constraints(x).jacobian()
        if jacobian.shape[0] < self.n_dof:  # J has a kernel then, whether or not there is a symmetry
            return x.new_zeros(0, self.n_dof)
        if not bool(jacobian.isfinite().all()):
            raise FloatingPointError(f"J of {type(self).__name__} is NaN or infinite.")
        n = self.n_dof
        require_matrices(
            [(2, *jacobian.shape), (4, n, n)], f"the symmetries of {n} degrees of freedom", PRODUCTS, x
        )
        # R has the singular values and the kernel of J, and only n_dof rows: the decomposition is cheaper
        _, sigma, rows = torch.linalg.svd(torch.linalg.qr(jacobian, mode="r").R)
        known = torch.finfo(sigma.dtype).eps * max(jacobian.shape) * float(sigma[0])
        kernel: Tensor = rows[rank_of(to_numpy(sigma), jacobian.shape, known, KERNEL) :]
        return kernel


class AutodiffConstraints(Constraints):
    """Δ at one x, (m,), with the graph that torch recorded; every derivative is a backward pass through this graph."""

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
        m, n = len(self.delta), len(self.x)
        backward = len(rows) < n
        shapes = [(len(rows), 2 * m), (len(rows), n)] if backward else [(n, n), (n, m), (len(rows), n)]
        require_matrices(shapes, f"J of {len(rows)} constraints on {n} degrees of freedom", PRODUCTS, self.x)
        if backward:
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
        n = len(self.x)
        require_matrices([(4 * n, n)], f"Hp as a dense matrix on {n} degrees of freedom", PRODUCTS, self.x)
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
        """Kinks of Σ w_i Δ_i: every number that ReLU, |·|, max, min or a one-sided clamp of torch was applied to.

        Their members are (call, place): the number of the call, and the place in its argument.
        """
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
        """Functions of torch in Δ whose kinks are not traced, such as max-pooling and the minimum of a tensor."""
        return tuple(self._tracer.unseen)

    @property
    def _held(self) -> HeldKinks | None:
        """The kinks that the system holds: (call, place) of each, (k, 2), and their slopes, (k,)."""
        return self.system.kinks

    def _transposed(self) -> tuple[Tensor, Tensor]:
        """w = 0, (m,), and Jᵀw, (n_dof,), with its graph: Jᵀw is linear in w, so a backward pass gives J v."""
        with recording():
            dual = torch.zeros_like(self.delta, requires_grad=True)
            (gradient,) = torch.autograd.grad(self._delta, self._leaf, dual, create_graph=True)
        return dual, gradient


def _like(x: Any, start: Tensor) -> Tensor:
    """x as a detached tensor; if it is no tensor yet, with the precision and device of `start`."""
    if not isinstance(x, Tensor):
        x = torch.as_tensor(writable(np.asarray(x)), dtype=start.dtype, device=start.device)
    kept: Tensor = x.detach()
    return kept


def _start(value: Any) -> Tensor:
    """A private copy, (n_dof,), of a floating tensor; other numbers become a float64 tensor."""
    floating = isinstance(value, Tensor) and value.is_floating_point()
    start: Tensor = private(value.detach() if floating else torch.as_tensor(value, dtype=torch.float64))
    require(start.ndim == 1, "the shape of initial", tuple(start.shape), "(n_dof,)")
    require_finite(start, "initial")
    return start


def _batched(output: Tensor, leaf: Tensor, weights: Tensor) -> Tensor:
    """One backward pass for each row of `weights`, (k, outputs), several at once: (k, len(leaf))."""
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

"""Levenberg-Marquardt: steps of H0, or of H where asked, damped by actual over predicted gain."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from ...core.derivatives import hessian
from ...linalg import factor_dense, with_decay
from ...linalg.gauss_newton import GaussNewton, NormalEquations
from ...support.arrays import Array, is_torch
from ...support.validation import require
from ..loop import Solver
from ..models import gauss_newton_model, largest_curvature
from ..objective import Objective
from ..point import Point


@dataclass(frozen=True)
class LevenbergMarquardt(Solver):
    """Damped Gauss-Newton through the smaller of JᵀJ and JJᵀ; the quick way to a satisfied system.

    Attributes
    ----------
    matrix_free : bool or None
        Whether steps are found by conjugate gradients on products with J and Jᵀ. None: where the system asks for
        it, or where J of all constraints has more than 2²⁷ entries (1 GiB).
    prestress : bool
        Whether Hp is in the model too: better where overlaps stay, on the way with weight decay. Each degree of
        freedom is then damped by the root of its diagonal of H0. Of dense systems at a fixed scale.

    Notes
    -----
    Source: D. W. Marquardt, J. SIAM 11, 431 (1963).

    Examples
    --------
    >>> import unijam as uj
    >>> network = uj.FullyConnected.random(depth=1, width=8, input_dimension=8, n_data=30, weights="free")
    >>> uj.minimize(network, None, uj.LevenbergMarquardt()).status
    'satisfied'
    """

    max_steps: int = 1000
    leaves_kinks: ClassVar[bool] = True
    matrix_free: bool | None = None
    prestress: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.matrix_free in (None, True, False), "matrix_free", self.matrix_free, "True, False or None"
        )

    def iterate(self, objective: Objective, point: Point) -> Iterator[Point]:
        model = self._model(objective, point)
        if isinstance(model, _Damped):
            curvature, damping = 1.0, 1e-2
        else:
            curvature = largest_curvature(objective, point)
            damping = 1e-3 * curvature
        while True:
            while True:
                step = model.step(damping)
                if step.shape[0]:
                    trial, promised = objective(point.y + step), model.predicted(step)
                    gained = point.value - trial.value
                    # where E is lost in rounding, the residual decides
                    lost = promised < 1e-10 * abs(point.energy)
                    if trial.residual < point.residual if lost else gained > 1e-4 * promised:
                        break
                damping *= 4
                if damping > 1e8 * curvature:
                    return
            if gained > 0.75 * promised:
                damping = max(damping / 5, 1e-14 * curvature)
            elif gained < 0.25 * promised:
                damping *= 2
            point = objective.canonical(trial)
            yield point
            model = self._model(objective, point)

    def _model(self, objective: Objective, point: Point) -> "GaussNewton | NormalEquations":
        if self.prestress and objective.conjugate is None and not objective.system.matrix_free:
            c = objective.constraints_at(point)
            h0, hp = hessian(c.system, c)
            if is_torch(h0):
                diagonal = h0.diagonal()
                mean = float(diagonal.mean()) + objective.weight_decay
                root = (diagonal + 1e-3 * mean) ** 0.5
                h = with_decay(h0 + hp, objective.weight_decay)
                return _Damped(h, point.gradient, mean * root / root.mean())
        return gauss_newton_model(objective, point, self.matrix_free)


@dataclass(frozen=True, eq=False)
class _Damped(NormalEquations):
    """The same with H for H0, the damping in units of the mean stiffness, as large for each as these weights say."""

    h0: Array
    weights: Array

    def step(self, damping: float) -> Array:
        """p = −(H + damping)⁻¹ gradient, or an empty array where that is not positive definite."""
        matrix = self.h0.clone()
        matrix.diagonal().add_(damping * self.weights)
        f = factor_dense(matrix, 0.0)
        return -f.solve(self.gradient) if f.positive else self.gradient[:0]

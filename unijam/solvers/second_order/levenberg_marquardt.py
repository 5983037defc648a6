"""Levenberg-Marquardt: steps with H0, or with H if asked for; actual over predicted gain sets the damping."""

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
    """Damped Gauss-Newton steps, from the smaller one of JᵀJ and JJᵀ; a fast solver for U = 0.

    Attributes
    ----------
    matrix_free : bool or None
        Whether steps are found by conjugate gradients, with products of J and Jᵀ. None: if the system is
        matrix-free, or J of all constraints has more than 2²⁷ entries (1 GiB).
    prestress : bool
        Whether the model contains Hp too. It helps if overlaps stay, as with weight decay. Each degree of freedom is
        then damped in proportion to the root of its diagonal entry of H0. Only for dense systems at a fixed scale.

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
        # The first damping: of a model with Hp in units of the mean stiffness, else of the largest curvature.
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
                    # If the promised decrease is lost in the rounding of E, the residual decides.
                    lost = promised < 1e-10 * abs(point.energy)
                    if trial.residual < point.residual if lost else gained > 1e-4 * promised:
                        break
                damping *= 4
                if damping > 1e8 * curvature:  # no step descends, however short
                    return
            # The model is good if E falls by more than 3/4 of its promise, and bad below 1/4: the damping follows.
            if gained > 0.75 * promised:
                damping = max(damping / 5, 1e-14 * curvature)  # less would be lost in the rounding of H0
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
                root = (diagonal + 1e-3 * mean) ** 0.5  # 1e-3: a dead unit, of diagonal zero, is damped too
                h = with_decay(h0 + hp, objective.weight_decay)
                return _Damped(h, point.gradient, mean * root / root.mean())
        return gauss_newton_model(objective, point, self.matrix_free)


@dataclass(frozen=True, eq=False)
class _Damped(NormalEquations):
    """The same model with H instead of H0. Degree of freedom i is damped by damping × weights_i.

    The damping is in units of the mean stiffness, which the weights, (n,), contain.
    """

    h0: Array
    weights: Array

    def step(self, damping: float) -> Array:
        """p = −(H + damping × weights)⁻¹ gradient, (n,), or an empty array if that is not positive definite."""
        matrix = self.h0.clone()
        matrix.diagonal().add_(damping * self.weights)
        f = factor_dense(matrix, 0.0)
        return -f.solve(self.gradient) if f.positive else self.gradient[:0]

"""Whether a point is a true minimum, kinks included: every condition is measured by other means than the solver's.

Tolerances follow from rounding and from the gradient that is left. Near jamming, forces are of the order of the
overlaps, 1e-8, so that the resolution of Δ matters more than for overlaps of order one.
"""

from dataclasses import dataclass

import numpy as np

from ..core.border import require_constraints
from ..core.capabilities import coordinate_lengths, gauge_directions
from ..core.constraints import Constraints
from ..core.derivatives import energy, gradient, kinks, whole_hessian
from ..core.system import ConstrainedSystem
from ..core.tolerances import STATIONARY
from ..linalg import null_space, orthonormal_rows, rank_of
from ..support.arrays import Array, column_norms, is_sparse, namespace, over, over_both, to_numpy
from .decomposition import HessianDecomposition, decompose_hessian

STEP = 1e-8  # length of a step off a kink, in units of |x|, to see whether U rises
ROUNDING = 5.0  # rounding error of an eigenvalue of H, in machine epsilons × the largest eigenvalue


@dataclass(frozen=True)
class Certificate:
    """The measured conditions of a minimum, at which some z may sit on their kinks.

    Attributes
    ----------
    relative_gradient : float
        ‖∇U‖/‖u'‖ with the slopes that the system holds: the directional stationarity.
    gradient_tolerance : float
        Its largest value at a minimum: 1e-9, or the value that rounding leaves where that is more,
        3.5 × resolution × ‖u'' J‖/‖u'‖ (5 × resolution / typical overlap, for contacts). Solvers use the same value for
        "converged".
    n_overlaps, n_kinks, n_negative_hp : int
        N_Δ, N_kink and N_−, as in `HessianDecomposition`; at a minimum N_Δ + N_kink ≥ N_−.
    slopes : (float, float)
        The lowest and the highest slope held, on a scale on which the two sides of a kink have 0 and 1; (0.5, 0.5)
        without kinks.
    n_degenerate : int
        The number of kinks with a slope within 1e-9 of that of a side: whether they bear force is then not decided.
    rise : float
        The smallest one-sided slope of U where one kink is left to either side, over ‖u'‖, from plain evaluations.
    independent : bool
        Whether the ∇z of the kinks have full rank.
    n_negative, n_zero : int
        Negative and zero modes of H on the tangent space of the kinks, symmetries included. An eigenvalue counts as
        zero within ten times ‖∇U‖/(√N_Δ `unit`), by which the gradient may shift it, or within five machine epsilons
        of the largest.
    n_symmetries : int
        The number of symmetries that hold beyond first order, so that H vanishes along them.

    Examples
    --------
    >>> import unijam as uj
    >>> state = uj.minimize(uj.SoftSpheres.random(n=32, packing_fraction=1.0))
    >>> certificate = uj.certify(state.system, state.x)
    >>> certificate.minimum, certificate.n_negative
    (True, 0)
    """

    relative_gradient: float
    gradient_tolerance: float
    n_overlaps: int
    n_kinks: int
    n_negative_hp: int
    slopes: tuple[float, float]
    n_degenerate: int
    rise: float
    independent: bool
    n_negative: int
    n_zero: int
    n_symmetries: int

    @property
    def minimum(self) -> bool:
        """Whether all conditions of a minimum hold.

        x is stationary, no kink is degenerate, slopes lie between 0 and 1, U rises to both sides of each kink, the ∇z
        are independent, no mode is negative, and only the symmetries are zero modes.
        """
        return (
            self.relative_gradient <= self.gradient_tolerance
            and not self.n_degenerate
            and 0 < self.slopes[0] <= self.slopes[1] < 1
            and self.rise >= 0
            and self.independent
            and not self.n_negative
            and self.n_zero == self.n_symmetries
        )


def certify(system: ConstrainedSystem, x: Array) -> Certificate:
    """Measure the conditions of a minimum at x, on the kinks that the system holds.

    Parameters
    ----------
    system : ConstrainedSystem
        The system of a result, which may hold kinks: `certify(result.system, result.x)`.
    x : (n_dof,) array

    Returns
    -------
    Certificate
        Its `minimum` says whether all conditions hold.

    Raises
    ------
    ValueError
        Where x has a wrong shape, or x or a Δ is not finite.

    Examples
    --------
    >>> import unijam as uj
    >>> shape = {"depth": 2, "width": 5, "input_dimension": 4, "n_data": 160}
    >>> network = uj.FullyConnected.random(**shape, activation="relu", weights="free")
    >>> result = uj.minimize(network, solver=uj.softplus_to_relu())
    >>> uj.certify(result.system, result.x).minimum
    True
    """
    c = require_constraints(system, x)
    x = c.x
    force = system.potential.force(c.delta)
    size = float(force @ force) ** 0.5
    residual = over(gradient(system, c), coordinate_lengths(system))
    norm = float(residual @ residual) ** 0.5
    h = decompose_hessian(system, x)
    known = _ends(h)
    # where U is linear, H vanishes but for rounding: forces and gradients tell its scale
    typical = float(np.abs(h.force) @ column_norms(h.rows.T) ** 2) / max(h.hp.shape[0], 1)
    largest = max(float(np.abs(known).max(initial=0.0)), typical)
    epsilon = float(namespace(x).finfo(x.dtype).eps)
    left = norm / max(h.force.size, 1) ** 0.5 / system.unit  # the gradient that is left, as a stiffness
    zero = max(10 * left, ROUNDING * epsilon * largest)
    rounding = 3.5 * system.resolution(x) * c.sensitivity(coordinate_lengths(system)) / size if size else 0.0
    curved = _curved(system, c, h, zero)
    n_negative, n_zero = _signs(system, c, h, curved, known, zero)
    slopes, n_degenerate = np.empty(0), 0
    if system.kinks is not None:
        held = kinks(c)
        slopes = to_numpy(held.fractions(system.kinks[1]))
        n_degenerate = int(held.degenerate(system.kinks[1]).sum())
    n_kinks = len(slopes)
    return Certificate(
        relative_gradient=norm / size if size else 0.0,
        gradient_tolerance=max(STATIONARY, rounding),
        n_overlaps=h.force.size,
        n_kinks=n_kinks,
        n_negative_hp=h.n_negative_hp,
        slopes=(float(slopes.min()), float(slopes.max())) if n_kinks else (0.5, 0.5),
        n_degenerate=n_degenerate,
        rise=_rise(system, x, h) / size if n_kinks and size else 0.0,
        independent=rank_of(np.linalg.svd(h.kinks, compute_uv=False), h.kinks.shape) == n_kinks,
        n_negative=n_negative,
        n_zero=n_zero,
        n_symmetries=orthonormal_rows(to_numpy(gauge_directions(system, x))[:, h.bearing | curved]).shape[0],
    )


def _curved(system: ConstrainedSystem, c: Constraints, h: HessianDecomposition, zero: float) -> np.ndarray:
    """Mask of the degrees of freedom that bear no force, but along which U bends by more than `zero`, (n_dof,).

    At the top of 1 + cos b nothing moves along b, and yet x is no minimum. Rattlers, of sparse systems, do not count:
    where few contacts pinch one, it is left out on purpose.
    """
    if h.bearing.all() or is_sparse(h.h0):
        return h.bearing & False
    bent: np.ndarray = ~h.bearing & (np.abs(_hessian(system, c)).max(axis=0) > zero)
    return bent


def _ends(h: HessianDecomposition) -> np.ndarray:
    """All eigenvalues of H on the tangent space of the kinks, symmetries included; of a large sparse H its two ends."""
    if not (isinstance(h, HessianDecomposition) and h.large):
        return h.eigenvalues("total")
    return np.concatenate([h.extreme_eigenvalues("total", lowest=side)[0] for side in (True, False)])


def _signs(
    system: ConstrainedSystem,
    c: Constraints,
    h: HessianDecomposition,
    curved: np.ndarray,
    known: np.ndarray,
    zero: float,
) -> tuple[int, int]:
    """Negative and zero modes of H, symmetries included: of a large sparse H by inertia, else by the known values."""
    if h.large:
        below, upto = h.count_below(-zero), h.count_below(zero)
        if below is not None and upto is not None:
            return below, upto - below + len(h.symmetries)
        known = h.eigenvalues("total")
    values = _spectrum(system, c, h, curved) if curved.any() else known
    return int((values < -zero).sum()), int((np.abs(values) <= zero).sum())


def _spectrum(
    system: ConstrainedSystem, c: Constraints, h: HessianDecomposition, curved: np.ndarray
) -> np.ndarray:
    """Eigenvalues of H on the tangent space of the kinks, over what bears force and what bends."""
    chosen = h.bearing | curved
    kinks_there = np.zeros((h.kinks.shape[0], chosen.size))
    kinks_there[:, h.bearing] = h.kinks
    across = null_space(kinks_there[:, chosen])
    values: np.ndarray = np.linalg.eigvalsh(across.T @ _hessian(system, c)[np.ix_(chosen, chosen)] @ across)
    return values


def _hessian(system: ConstrainedSystem, c: Constraints) -> np.ndarray:
    """H as a dense matrix, angles counted as lengths, (n_dof, n_dof)."""
    return to_numpy(over_both(whole_hessian(system, c), coordinate_lengths(system)))


def _rise(system: ConstrainedSystem, x: Array, h: HessianDecomposition) -> float:
    """The smallest slope of U, of the system without held kinks, along the directions that leave one kink each."""
    plain = system.at(kinks=None)
    evaluate, start = plain.evaluator(), energy(plain, plain.constraints(x))
    step = STEP * float((x @ x) ** 0.5)
    rises = []
    for direction in np.linalg.pinv(h.kinks).T:
        whole = np.zeros(h.bearing.size)
        whole[h.bearing] = step * direction / np.linalg.norm(direction)
        v = (
            namespace(x).asarray(whole, dtype=x.dtype, device=x.device)
            if not isinstance(x, np.ndarray)
            else whole
        )
        rises += [(evaluate(x + side * v)[0] - start) / step for side in (1.0, -1.0)]
    return min(rises)

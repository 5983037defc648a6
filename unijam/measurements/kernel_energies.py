"""The energy along the modes of ker H0 near jamming: quadratic by Hp at small displacements, quartic beyond."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..ensemble.sample import Sample
from ..particles.packing import Packing
from ..solvers import MinimizeResult
from ..spectra import decompose_hessian
from ..support.arrays import over
from .pressures import pressure_of, states_at


@dataclass(frozen=True, eq=False, repr=False)
class KernelEnergySample(Sample):
    """U(x ± δ e) − U(x) along each eigenvector e, of length one, of Hp on the kernel of H0.

    Attributes
    ----------
    status : str
        "converged" where the packing settled at all pressures.
    pressure : (k,) array
        In contact stiffnesses and mean diameters.
    displacement : (m,) array
        δ, in mean diameters, of all degrees of freedom together.
    energy : (k, n_dof, m) array
        Mean over both signs, in contact stiffnesses × squared diameters; NaN where there are no more modes.
    """

    status: str
    pressure: np.ndarray
    displacement: np.ndarray
    energy: np.ndarray


def measure_kernel_energies(
    system: Packing, pressures: Sequence[float] = (1e-8,), displacements: Sequence[float] = (1e-2, 3e-2)
) -> KernelEnergySample:
    """Lower a packing to pressures near jamming and push it along each mode of ker H0."""
    energy = np.full((len(pressures), system.n_dof, len(displacements)), np.nan)
    states = states_at(system, pressures)
    for of_state, state in zip(energy, states, strict=True):
        if state is not None:
            modes, unit = _kernel_modes(state), state.system.unit
            evaluate = state.system.evaluator()
            for of_mode, mode in zip(of_state, modes.T, strict=False):
                moved = [
                    [evaluate(state.x + sign * delta * unit * mode)[0] for sign in (-1, 1)]
                    for delta in displacements
                ]
                of_mode[:] = (np.mean(moved, axis=1) - state.energy) / unit**2
    return KernelEnergySample(
        "converged" if all(s is not None for s in states) else "stalled",
        np.array([pressure_of(s) if s is not None else np.nan for s in states]),
        np.array(displacements, float),
        energy,
    )


def _kernel_modes(state: MinimizeResult) -> np.ndarray:
    """Changes of x along the eigenvectors of Hp on the kernel of H0, (n_dof, modes)."""
    hessian = decompose_hessian(state.system, state.x)
    held = hessian.kernel.T @ (hessian.hp @ hessian.kernel)
    modes = np.zeros((len(hessian.bearing), hessian.kernel.shape[1]))
    modes[hessian.bearing] = hessian.kernel @ np.linalg.eigh(held)[1]
    return over(modes.T, state.system.coordinate_lengths).T

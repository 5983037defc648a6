"""The energy along the modes of ker H0 near jamming: quadratic by Hp at small displacements, quartic beyond."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..ensemble.sample import Sample
from ..particles.packing import Packing
from .pressures import pressure_of, states_at
from .state import measure_state


@dataclass(frozen=True, eq=False, repr=False)
class KernelEnergySample(Sample):
    """U(x ± δ e) − U(x) along each eigenvector e, of length one, of Hp on the kernel of H0.

    Attributes
    ----------
    status : str
        "converged" where the packing settled at all pressures, else "stalled".
    pressure : (k,) array
        In contact stiffnesses and mean diameters.
    displacement : (m,) array
        δ, the norm of the displacement of all degrees of freedom together, in mean diameters.
    energy : (k, n_dof, m) array
        Mean over both signs, in contact stiffnesses × squared diameters; NaN beyond the last mode.
    """

    status: str
    pressure: np.ndarray
    displacement: np.ndarray
    energy: np.ndarray


def measure_kernel_energies(
    system: Packing, pressures: Sequence[float] = (1e-8,), displacements: Sequence[float] = (1e-2, 3e-2)
) -> KernelEnergySample:
    """Lower a packing to pressures near jamming, and measure U along each mode of ker H0.

    Parameters
    ----------
    system : Packing
    pressures : (k,) floats
        In contact stiffnesses and mean diameters; met within 2 %.
    displacements : (m,) floats
        δ, in mean diameters.

    Returns
    -------
    KernelEnergySample
    """
    energy = np.full((len(pressures), system.n_dof, len(displacements)), np.nan)
    states = states_at(system, pressures)
    for of_state, state in zip(energy, states, strict=True):
        if state is not None:
            modes, unit = measure_state(state.system, state.x).kernel_modes, state.system.unit
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

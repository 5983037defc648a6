"""Packings along their branch: thermodynamics, the count, moduli and spectra of the state at each pressure."""

import numpy as np
import pytest

import unijam as uj
from unijam.measurements.kernel_energies import measure_kernel_energies
from unijam.measurements.pressures import measure_branch

PRESSURES = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
SYSTEMS = {
    "discs": lambda: uj.SoftSpheres.random(n=24, radii="uniform", packing_fraction=0.9, seed=1),
    "spheres": lambda: uj.SoftSpheres.random(
        n=32, dimension=3, radii="uniform", packing_fraction=0.75, seed=0
    ),
    "ellipses": lambda: uj.Ellipses.random(n=24, packing_fraction=1.0, seed=0),
}


@pytest.fixture(scope="module", params=SYSTEMS)
def branch(request):
    system = SYSTEMS[request.param]()
    return request.param, system, measure_branch(system, PRESSURES, moduli=True, spectra=True)


def test_the_branch_goes_through_the_pressures_to_its_jamming_point(branch):
    _, system, b = branch
    assert (b.status, b.n, b.n_dof, b.dimension) == ("converged", system.n, system.n_dof, system.dimension)
    assert b.pressure == pytest.approx(PRESSURES, rel=0.02)
    assert (np.diff(b.excess) < 0).all() and (b.excess > 0).all() and (b.relative_gradient < 1e-6).all()
    again = uj.jam(system.at(packing_fraction=b.threshold + 0.02))  # another way to about the same place
    assert b.threshold == pytest.approx(again.threshold, abs=0.03)


def test_energy_pressure_and_bulk_modulus_belong_together(branch):
    """Where the contacts stay: 2U = p V Δφ/φ, and K = φ dp/dφ."""
    _, system, b = branch
    last, phi = slice(-3, None), b.threshold + b.excess
    diameter = 2 * system.radii.mean() * (b.threshold / system.packing_fraction) ** (1 / b.dimension)
    energy = b.energy / diameter**2  # contact stiffnesses × squared diameters
    volume = 1.0 / diameter**b.dimension
    np.testing.assert_allclose(2 * energy[last], (b.pressure * b.excess / phi * volume)[last], rtol=1e-3)
    slope = np.diff(b.pressure)[-2:] / np.diff(b.excess)[-2:]
    np.testing.assert_allclose(slope * b.threshold, b.bulk[last][1:], rtol=1e-2)


def test_the_count_is_that_of_the_spectrum(branch):
    name, _, b = branch
    kernel = np.isfinite(b.kernel_prestress).sum(axis=1)
    np.testing.assert_array_equal(
        b.n_overlaps - b.self_stresses, b.n_effective - kernel
    )  # rank of J, both ways
    np.testing.assert_array_equal(np.isfinite(b.eigenvalues).sum(axis=1), b.n_effective)
    scale = np.nanmax(b.eigenvalues_h0, axis=1)
    zero = (b.eigenvalues_h0 < 1e-11 * scale[:, None]).sum(axis=1)
    np.testing.assert_array_equal(zero, kernel)
    assert np.nanmin(b.eigenvalues) > 0
    if name == "ellipses":
        assert (b.self_stresses == 1).all() and (b.excess_coordination < 0).all()
    else:
        assert b.self_stresses[-1] == 1 and kernel.max() == 0
        assert b.excess_coordination[-1] * b.n_bearing[-1] == 2
    np.testing.assert_allclose(b.coordination, 2 * b.n_overlaps / b.n_bearing)


def test_the_shear_modulus_is_that_of_linear_response(branch):
    _, system, b = branch
    state = uj.jam(system, pressure=1e-3)
    if state.threshold == pytest.approx(b.threshold, abs=1e-9):  # the same branch by another way
        moduli = uj.elastic_moduli(state.system, state.x)
        unit = state.system.unit ** (b.dimension - 2)
        assert b.shear[0] == pytest.approx(moduli.shear * unit, rel=0.05)
        assert b.bulk[0] == pytest.approx(moduli.bulk * unit, rel=0.05)


def test_what_is_not_to_be_had_or_not_asked_for_is_nan():
    b = measure_branch(SYSTEMS["discs"](), (10.0, 1e-3))
    assert (
        np.isnan(b.pressure[0]) and np.isnan(b.excess[0]) and b.pressure[1] == pytest.approx(1e-3, rel=0.02)
    )
    assert np.isnan(b.shear).all() and np.isnan(b.self_stresses).all() and b.eigenvalues.shape == (2, 48)
    assert np.isnan(b.eigenvalues).all()
    at_jamming = measure_branch(SYSTEMS["discs"]())
    assert at_jamming.excess.shape == (0,) and 0.7 < at_jamming.threshold < 0.9


def test_energy_along_kernel_modes_is_quadratic_by_hp_then_quartic():
    """½ λ δ² with λ the eigenvalues of Hp on the kernel of H0; δ⁴ far above √p (Schreck et al. 2012)."""
    system, pressures = SYSTEMS["ellipses"](), (1e-4, 1e-8)
    pushed = measure_kernel_energies(system, pressures, (1e-4, 1e-2, 2e-2))
    branch = measure_branch(system, pressures, spectra=True)
    assert pushed.status == "converged" and pushed.pressure == pytest.approx(branch.pressure, rel=1e-6)
    modes = np.isfinite(branch.kernel_prestress[0])
    assert modes.sum() > 1 and np.isnan(pushed.energy[0, ~modes]).all()
    expected = 0.5 * branch.kernel_prestress[0, modes] * 1e-8
    np.testing.assert_allclose(pushed.energy[0, modes, 0], expected, rtol=0.02)
    slopes = np.log(pushed.energy[1, :, 2] / pushed.energy[1, :, 1]) / np.log(2)
    assert np.nanmedian(slopes) == pytest.approx(4.0, abs=0.1)

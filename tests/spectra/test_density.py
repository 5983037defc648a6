"""Densities of states against known spectra."""

import numpy as np
import pytest

from unijam.spectra.density import density_of_states, missing_modes


def flat(n, lowest=0.0):
    """Eigenvalues whose frequencies lie evenly between `lowest` and 1."""
    return (lowest + (1 - lowest) * (np.arange(n) + 0.5) / n) ** 2


def test_a_flat_spectrum_has_density_one():
    found = density_of_states([flat(40_000)])
    well_sampled = found.omega > 0.03  # bins of more than 400 modes: ±1 mode at each edge
    np.testing.assert_allclose(found.density[well_sampled], 1.0, rtol=0.01)


def test_debyes_law_in_two_dimensions():
    found = density_of_states([np.linspace(0, 1, 100_001)[1:]])  # λ even on (0, 1): D(ω) = 2ω
    inside = (found.omega > 0.05) & (found.omega < 0.9)
    # the mean of 2ω over a bin is twice its arithmetic centre; bins are a factor 10^(1/5) wide
    wide = 10**0.2
    centre = found.omega * (wide**0.5 + wide**-0.5) / 2
    np.testing.assert_allclose(found.density[inside][:-1], 2 * centre[inside][:-1], rtol=0.01)


def test_every_mode_is_counted_once():
    spectra = [np.append(flat(500), np.zeros(500)), flat(1000, 0.2)]
    found = density_of_states(spectra)
    assert found.zero_modes == pytest.approx(0.25)
    edges = density_of_states([np.concatenate(spectra)])
    np.testing.assert_array_equal(found.density, edges.density)


def test_nothing_but_zero_modes_and_nothing_at_all():
    assert density_of_states([np.zeros(5)]).zero_modes == 1.0
    with pytest.raises(ValueError, match="at least one eigenvalue"):
        density_of_states([np.empty(0)])


@pytest.mark.parametrize("gap", [0.1, 0.3])
def test_modes_missing_below_a_gap_are_those_of_the_band_continued(gap):
    n = 10_000
    assert missing_modes(flat(n, gap)) == pytest.approx(gap / (1 - gap) * n, rel=0.01)
    assert missing_modes(flat(n)) == pytest.approx(0.5, rel=0.01)  # the lowest lies at half a spacing
    assert missing_modes(np.append(flat(n), np.zeros(100))) == pytest.approx(0.5, rel=0.02)

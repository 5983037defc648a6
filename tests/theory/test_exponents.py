"""Exponents at jamming: published digits and the relations between them."""

import pytest

from unijam.theory.exponents import JAMMING_EXPONENTS


def test_exponents_at_jamming_obey_the_scaling_relations():
    e = JAMMING_EXPONENTS
    assert e.gamma == pytest.approx(1 / (2 + e.theta_extended), abs=2e-5)
    assert e.gamma == pytest.approx((1 - e.theta_localised) / 2, abs=2e-5)
    assert e.tau == pytest.approx((3 + e.theta_extended) / (2 + e.theta_extended), abs=2e-5)


def test_exponents_at_jamming_are_the_published_ones():
    """Charbonneau, Kurchan, Parisi, Urbani, Zamponi, Nat. Commun. 5, 3725 (2014): θ_e, γ; θ_l = 1 − 2γ (see class)."""
    e = JAMMING_EXPONENTS
    assert (e.theta_extended, e.gamma, e.theta_localised) == (0.42311, 0.41269, 0.17462)
    assert e.tau == pytest.approx(1 + e.gamma, abs=2e-5)  # (3 + θ)/(2 + θ) = 1 + 1/(2 + θ)

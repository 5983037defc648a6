"""Potentials: u' and u'' are the derivatives of u, for NumPy and torch; limits and bad input."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import unijam as uj
from unijam.core.potentials import hidden_jump


def power(exponent):
    """Σ Δ^a/a over the overlaps, of a tensor."""
    return lambda d: (d.clamp_min(0) ** exponent / exponent).sum()


def hinge(w):
    return lambda d: torch.where(d > w, d - w / 2, d.clamp_min(0) ** 2 / (2 * w)).sum()


def softmax(classes):
    def total(d):
        blocks = d.reshape(-1, classes - 1)
        return torch.logsumexp(torch.cat([0.0 * blocks[:, :1], blocks], 1), 1).sum()

    return total


# Each smooth potential, and Σ u of a tensor Δ written anew, from which torch derives u' and u''. A new one comes here.
SMOOTH = [
    (uj.Harmonic(), power(2.0)),
    (uj.Hertzian(), power(2.5)),
    (uj.LinearHinge(0.3), hinge(0.3)),
    (uj.CrossEntropy(2), softmax(2)),
    (uj.CrossEntropy(4), softmax(4)),
]


@pytest.mark.parametrize(("potential", "total"), SMOOTH, ids=lambda value: str(value).split(" ")[0])
@given(seed=st.integers(0, 10**6), size=st.sampled_from([0.1, 1.0, 30.0]))
def test_force_and_stiffness_are_derivatives(potential, total, seed, size):
    """Against torch.autograd of the formulas written anew."""
    delta = torch.from_numpy(size * np.random.default_rng(seed).standard_normal(12))
    near = {"atol": 1e-12, "rtol": 1e-12}
    torch.testing.assert_close(potential.energy(delta).sum(), total(delta), **near)
    torch.testing.assert_close(potential.force(delta), torch.func.grad(total)(delta), **near)
    expected, found = torch.func.hessian(total)(delta), potential.stiffness(delta)
    whole = torch.block_diag(*found) if found.ndim == 3 else torch.diag(found)
    torch.testing.assert_close(whole, expected, **near)
    for function in ("energy", "force", "stiffness"):
        here = getattr(potential, function)(delta.numpy())
        np.testing.assert_allclose(here, getattr(potential, function)(delta).numpy(), rtol=1e-13, atol=1e-300)


def test_linear_hinge_without_rounding_is_the_limit_of_small_widths():
    delta = np.array([-1.0, 0.5, 2.0])
    sharp, rounded = uj.LinearHinge(), uj.LinearHinge(1e-9)
    np.testing.assert_allclose(sharp.energy(delta), [0.0, 0.5, 2.0])
    np.testing.assert_allclose(rounded.energy(delta), sharp.energy(delta), atol=1e-9)
    np.testing.assert_array_equal(rounded.force(delta), sharp.force(delta))
    assert not sharp.stiffness(delta).any() and not rounded.stiffness(delta).any()
    assert (sharp.kink, rounded.kink, uj.Harmonic().kink) == (1.0, 0.0, 0.0)
    assert sharp.typical_overlap(3.0, 6) == 0.5
    assert uj.LinearHinge(0.1).typical_overlap(uj.LinearHinge(0.1).energy(0.05), 1) == pytest.approx(0.05)


def test_cross_entropy_does_not_overflow():
    energy = uj.CrossEntropy(3).energy(np.array([1e4, 0.0, -1e4, -1e4]))
    np.testing.assert_array_equal(energy, [1e4, 0.0])
    assert uj.CrossEntropy(2).energy(np.array([-50.0]))[0] == pytest.approx(np.exp(-50.0), rel=1e-12)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: uj.LinearHinge(-1.0), "width = -1.0 is not valid: it must be zero or positive"),
        (lambda: uj.LinearHinge(float("nan")), "width = nan"),
        (lambda: uj.CrossEntropy(1), "classes = 1 is not valid: it must be a whole number"),
        (lambda: uj.CrossEntropy(2.5), "classes = 2.5"),
        (lambda: uj.CrossEntropy(float("nan")), "classes = nan"),
    ],
)
def test_bad_input(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_the_exponent_of_a_potential_of_ones_own_is_read_off_it(hertzian):
    assert hertzian.exponent == pytest.approx(2.5, rel=1e-12)
    discs = uj.SoftSpheres.random(n=32, radii="uniform", seed=2)
    own, known = (uj.jam(discs.at(potential=u), pressure=1e-4) for u in (hertzian, uj.Hertzian(2.5)))
    assert own.threshold == pytest.approx(known.threshold, rel=1e-4)
    assert own.states[-1].typical_overlap == pytest.approx(known.states[-1].typical_overlap, rel=1e-2)


def test_a_potential_that_is_no_power_of_small_overlaps_is_asked_for_its_exponent(hertzian):
    class DeadZone(type(hertzian)):
        def energy(self, delta):
            return super().energy(delta - 0.1)

        def force(self, delta):
            return super().force(delta - 0.1)

    with pytest.raises(ValueError, match=r"exponent of DeadZone = nan is not valid: .*given by the class"):
        assert DeadZone().exponent


def test_the_law_of_small_overlaps_is_found_in_any_unit_and_of_any_stiffness(hertzian, stiffer):
    class OfTensors(type(hertzian)):
        def force(self, delta):
            return torch.relu(delta) ** 1.5

    class Cosh(uj.Potential):  # at small Δ a difference of large numbers
        def __init__(self, width):
            self.width = width

        def energy(self, delta):
            return np.cosh(delta.clip(0) / self.width) - 1

        def force(self, delta):
            return np.sinh(delta.clip(0) / self.width) / self.width

        def stiffness(self, delta):
            return np.cosh(delta.clip(0) / self.width) / self.width**2 * (delta > 0)

    assert (OfTensors().exponent, OfTensors().modulus) == pytest.approx((2.5, 1.0), rel=1e-12)
    for width in (1e-6, 1.0, 1e6):
        assert (Cosh(width).exponent, Cosh(width).modulus) == pytest.approx((2.0, width**-2.0), rel=1e-4)
        assert uj.LinearHinge(width).modulus == pytest.approx(1 / width, rel=1e-12)
    for kind, exponent in ((uj.Harmonic, 2.0), (uj.Hertzian, 2.5)):
        for k in (1e-3, 1e6):
            soft = stiffer(kind, k)
            assert (soft.exponent, soft.modulus) == pytest.approx((exponent, k), rel=1e-12)
            u = float(soft.energy(np.array([1e-7]))[0])
            assert soft.typical_overlap(3 * u, 3) == pytest.approx(1e-7, rel=1e-12)
            assert soft.force_unit(1e-4) == pytest.approx(float(soft.force(np.array([1e-4]))[0]))


class Yukawa(uj.Potential):
    """exp(−κ(r − 1))/r − 1 of r = 1 − Δ: cut and shifted at contact, where the force κ + 1 is left."""

    def __init__(self, kink=0.0, shifted=False):
        self.kink, self.shifted = kink, shifted

    def energy(self, delta):
        r = 1 - delta
        return (np.exp(3 - 3 * r) / r - 1 - 4 * delta * self.shifted) * (delta > 0)

    def force(self, delta):
        r = 1 - delta
        return (np.exp(3 - 3 * r) * (3 / r + 1 / r**2) - 4 * self.shifted) * (delta > 0)

    def stiffness(self, delta):
        r = 1 - delta
        return np.exp(3 - 3 * r) * (9 / r + 6 / r**2 + 2 / r**3) * (delta > 0)


class Pair(uj.ConstrainedSystem):
    """Two points nearer than 1 on a line; only the checks of its potential matter."""

    initial = np.array([0.0, 0.5])

    def __init__(self, potential):
        self.potential = potential

    def constraints(self, x, reach=0.0):
        raise NotImplementedError


def test_a_jump_of_the_force_that_the_potential_does_not_name_is_refused():
    discs = uj.SoftSpheres.random(n=16)
    with pytest.raises(
        ValueError, match=r"kink of Yukawa = 0.0 is not valid: it must be 4.0, the jump of u'"
    ):
        uj.minimize(Pair(Yukawa()))
    with pytest.raises(ValueError, match=r"kink of Yukawa = 3.0 is not valid: it must be 4.0"):
        uj.minimize(Pair(Yukawa(kink=3.0)))
    with pytest.raises(ValueError, match=r"kink of Yukawa = 4.0 is not valid: it must be 0.0"):
        uj.minimize(Pair(Yukawa(kink=4.0, shifted=True)))
    with pytest.raises(
        ValueError, match=r"u'\(0⁺\) of Yukawa = 4.0 is not valid: it must be 0 for particles"
    ):
        discs.at(potential=Yukawa())
    with pytest.raises(ValueError, match="its force too"):
        discs.at(potential=Yukawa(kink=4.0))
    assert discs.at(potential=Yukawa(shifted=True)).potential.exponent == pytest.approx(2, rel=1e-3)


def test_a_potential_without_a_jump_is_not_refused(hertzian):
    """Rounding errors of a shifted force, plateaus, slow powers and single tensors are no jumps."""

    class Slow(type(hertzian)):
        def force(self, delta):
            return delta.clip(0) ** 0.05

    class OfTensors(type(hertzian)):
        def force(self, delta):
            return torch.relu(delta) ** 1.5

    class Shifted(type(hertzian)):
        def force(self, delta):
            return (delta > 0) * (np.exp(delta) - 1 + 3e-17)

    known = [potential for potential, _ in SMOOTH] + [uj.LinearHinge(), uj.LinearHinge(1e-9)]
    for potential in (*known, Slow(), OfTensors(), Shifted(), Yukawa(kink=4.0), Yukawa(shifted=True)):
        assert hidden_jump(potential, 1.0) is None

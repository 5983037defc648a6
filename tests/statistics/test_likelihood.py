"""The likelihood of a power law with a cut-off against integrals by quadrature and samples of known law."""

import numpy as np
import pytest
from scipy.integrate import quad

from unijam.statistics.likelihood import CutOffPowerLaw

LAWS = [
    (0.0, 1.0, 2, [1.4, -1.0, 0.5]),
    (1e-3, 2.0, 2, [0.8, 0.3, -1.0]),
    (0.0, 3.0, 3, [2.0, -1.0, 0.2, 0.1]),
]


def density(law, parameters):
    a, *b = parameters
    return lambda x: x ** (a - 1) * np.exp(sum(c * (x / law.upper) ** (j + 1) for j, c in enumerate(b)))


@pytest.mark.parametrize(("lower", "upper", "degree", "parameters"), LAWS)
def test_moments_and_quantiles_are_integrals(lower, upper, degree, parameters):
    law = CutOffPowerLaw(lower, upper, degree)
    mean, covariance = law.moments(np.array(parameters))
    p = density(law, parameters)
    total = quad(p, lower, upper)[0]

    def average(f):
        return quad(lambda x: p(x) * f(x), lower, upper)[0] / total

    terms = [lambda x: np.log(x / upper), *(lambda x, j=j: (x / upper) ** j for j in range(1, degree + 1))]
    np.testing.assert_allclose(mean, [average(f) for f in terms], rtol=1e-6)
    both = [[average(lambda x, f=f, g=g: f(x) * g(x)) for g in terms] for f in terms]
    np.testing.assert_allclose(covariance, np.array(both) - np.outer(mean, mean), rtol=1e-4, atol=1e-8)
    median = law.quantile(np.array(parameters), 0.5)
    # read off between two of 160 nodes, which hold up to 5 % each: known to half of that
    assert quad(p, lower, median)[0] / total == pytest.approx(0.5, abs=0.026)


@pytest.mark.parametrize(("lower", "upper", "degree", "parameters"), LAWS)
def test_the_fit_of_a_laws_own_means_is_that_law(lower, upper, degree, parameters):
    law = CutOffPowerLaw(lower, upper, degree)
    means = law.moments(np.array(parameters))[0]
    found = law.fit(means[None])[0]
    np.testing.assert_allclose(found, parameters, rtol=1e-4, atol=1e-4)
    many = law.fit(np.stack([means, means]))  # samples do not see one another
    np.testing.assert_allclose(many, np.stack([found, found]), rtol=1e-10)


@pytest.mark.statistical
def test_p_values_of_the_right_law_are_even_on_the_unit_interval():
    """Of 200 samples the number with p < 0.1 is 20 ± 4.2 (binomial); five deviations are allowed."""
    random, law = np.random.default_rng(0), CutOffPowerLaw(0.0, 1.0, 2)
    values = []
    for _ in range(200):
        log_y = np.log(random.beta(1.4, 1.0, 1000))  # x^0.4 on (0, 1)
        fitted = law.fit(law.statistics(log_y).mean(axis=0)[None])[0]
        values.append(law.goodness(fitted, log_y))
    assert 0 <= np.sum(np.array(values) < 0.1) <= 41
    assert np.mean(values) == pytest.approx(0.5, abs=5 * (1 / 12 / 200) ** 0.5)

"""θ, γ and P± of samples whose law is known."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.stats import kstest

from unijam.statistics.distances import delta_statistics
from unijam.statistics.likelihood import CutOffPowerLaw

# Laws ~ x^a at zero whose cut-offs are exponential, Gaussian, sharp and steep.
LAWS = {
    "exponential": lambda rng, a, m: rng.gamma(1 + a, size=m),
    "gaussian": lambda rng, a, m: np.sqrt(rng.gamma((1 + a) / 2, size=m)),
    "sharp": lambda rng, a, m: rng.random(m) ** (1 / (1 + a)),
    "steep": lambda rng, a, m: rng.gamma((1 + a) / 8, size=m) ** (1 / 8),
}


def draw(law, exponent, n_systems, m, seed, scale=1.0):
    rng = np.random.default_rng(seed)
    return [scale * LAWS[law](rng, exponent, m) for _ in range(n_systems)]


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("law", "theta", "n_systems", "m"),
    [
        ("exponential", 0.42, 20, 300),
        ("gaussian", 0.30, 40, 200),
        ("sharp", 0.17, 10, 200),
        ("steep", 0.30, 20, 400),
        ("exponential", 0.0, 20, 300),
        ("gaussian", 0.0, 10, 300),
        ("sharp", 0.0, 20, 300),
    ],
)
def test_intervals_hold_the_true_theta(law, theta, n_systems, m):
    """190 of 200 intervals at 95 % are expected: three binomial deviations, 9, below; above, 99 % would be too wide."""
    draws = 200
    laws = [
        delta_statistics(draw(law, theta, n_systems, m, seed), seed=seed, n_bootstrap=100).theta
        for seed in range(draws)
    ]
    found = [e for e in laws if e.value is not None]
    held = sum(e.low <= theta <= e.high for e in found)
    assert 0.90 * draws <= held <= 0.99 * draws
    assert all((e.verdict == "regular") == (e.low <= 0 <= e.high) for e in found)
    assert np.median([e.value for e in found]) == pytest.approx(theta, abs=0.04)


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("law", "gamma", "n_systems", "m"),
    [
        ("exponential", 0.41, 20, 300),
        ("sharp", 0.2, 10, 500),
        ("steep", 0.41, 10, 300),
    ],
)
def test_intervals_hold_the_true_gamma(law, gamma, n_systems, m):
    """As for θ: 190 of 200 are expected, three binomial deviations are 9."""
    draws = 200
    laws = [
        delta_statistics(draw(law, -gamma, n_systems, m, seed, -0.01), seed=seed, n_bootstrap=100).gamma
        for seed in range(draws)
    ]
    held = sum(e.low <= gamma <= e.high for e in laws if e.value is not None)
    assert 0.90 * draws <= held <= 0.99 * draws


def test_systems_are_resampled_not_values():
    # Ten systems with exponents of their own: their values together know the mean exponent far better.
    rng = np.random.default_rng(0)
    exponents = rng.uniform(-0.4, 0.8, size=10)
    systems = [np.sqrt(rng.gamma((1 + a) / 2, size=2000)) for a in exponents]
    apart = delta_statistics(systems).theta
    together = delta_statistics([np.concatenate(systems)]).theta
    assert apart.resampled == "systems"
    assert together.resampled == "values"
    assert apart.high - apart.low > 2 * (together.high - together.low)


@pytest.mark.statistical
def test_a_single_system_resamples_its_values():
    """95 of 100 are expected; three standard deviations of a binomial of 100 at 0.95 are 6.5."""
    held = 0
    for seed in range(100):
        e = delta_statistics(draw("exponential", 0.3, 1, 1000, seed), seed=seed, n_bootstrap=100).theta
        assert e.resampled in ("values", None)
        held += e.value is not None and e.low <= 0.3 <= e.high
    assert held >= 87  # 95 expected, three standard deviations of a binomial of 100 at 0.95 are 6.5


@pytest.mark.parametrize(
    ("sample", "word"),
    [
        (lambda rng: rng.uniform(0.5, 1.5, 500), "near zero"),
        (lambda rng: rng.normal(1, 0.15, 500), "near zero"),
        (lambda rng: rng.lognormal(0, 0.5, 500), "near zero"),
        (lambda rng: rng.lognormal(0, 1, 500), " "),
        (lambda rng: rng.lognormal(0, 2, 500), " "),
        (lambda rng: rng.exponential(1, 5), "too few"),
        (lambda rng: np.empty(0), "no"),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_what_is_no_power_law_is_refused_with_a_reason(sample, word, sign):
    rng = np.random.default_rng(7)
    found = delta_statistics([sign * sample(rng) for _ in range(15)])
    exponent = found.theta if sign > 0 else found.gamma
    assert exponent.verdict == "refused"
    assert exponent.value is exponent.low is exponent.high is exponent.window is None
    assert word in exponent.reason
    assert exponent.reason.endswith(".")


def test_either_side_stands_alone():
    overlaps, gaps = draw("exponential", 0.4, 20, 500, 1), draw("sharp", -0.4, 20, 500, 2, -1.0)
    only_overlaps, only_gaps = delta_statistics(overlaps), delta_statistics(gaps)
    assert only_overlaps.theta.verdict == "power law"
    assert only_overlaps.gamma.reason == "There are no gaps."
    assert only_gaps.gamma.verdict == "power law"
    assert only_gaps.theta.reason == "There are no overlaps."
    assert only_gaps.overlap_density.centres.size == 0


def test_theta_does_not_depend_on_the_pressure_of_each_system():
    overlaps = draw("exponential", 0.3, 20, 500, 4)
    pressures = 10 ** np.random.default_rng(5).uniform(-8, -2, 20)
    theta = delta_statistics(overlaps).theta
    rescaled = delta_statistics([p * x for p, x in zip(pressures, overlaps, strict=True)]).theta
    assert rescaled.value == pytest.approx(theta.value, rel=1e-9)
    assert rescaled.window == pytest.approx(theta.window, rel=1e-9)


def test_gaps_within_the_overlaps_lie_below_the_window():
    # At a distance p from jamming every gap is off by about p: below it the law of jamming is lost.
    rng = np.random.default_rng(11)
    pressure = 3e-4
    systems = []
    for _ in range(20):
        overlaps = pressure * rng.gamma(1.4, 1 / 1.4, 300)
        gaps = rng.random(2000) ** (1 / 0.59) - pressure * rng.random(2000)
        systems.append(np.concatenate([overlaps, -gaps[gaps > 0]]))
    gamma = delta_statistics(systems).gamma
    largest_mean = max(s[s > 0].mean() for s in systems)
    assert gamma.window[0] > 15 * largest_mean
    assert gamma.low < 0.41 < gamma.high
    compressed = [np.concatenate([1e3 * s[s > 0], s[s < 0]]) for s in systems]
    assert delta_statistics(compressed).gamma.verdict == "refused"


def test_the_resolution_bounds_both_windows():
    overlaps, gaps = draw("gaussian", 0.4, 20, 1000, 1, 1e-9), draw("sharp", -0.4, 20, 1000, 2, -1.0)
    resolution = 1e-12
    found = delta_statistics(
        [np.concatenate(pair) for pair in zip(overlaps, gaps, strict=True)], resolution=resolution
    )
    smallest_mean = min(x[x > 15 * resolution].mean() for x in overlaps)
    assert found.theta.window[0] > 15 * resolution / smallest_mean
    assert found.overlap_density.centres.min() > 15 * resolution / smallest_mean
    assert found.theta.low < 0.4 < found.theta.high
    blurred = delta_statistics(gaps, resolution=0.05)
    assert "less than one decade above 0.75" in blurred.gamma.reason


@pytest.mark.statistical
def test_densities_are_normalised_and_follow_the_law_within_their_errors():
    """Within two errors lie 95 % of the bins of a normal law; 80 % are allowed."""
    density = delta_statistics(draw("exponential", 0.0, 30, 1000, 3)).overlap_density
    assert np.all(density.error > 0)
    pull = (density.density - np.exp(-density.centres)) / density.error
    well_filled = (density.centres > 0.02) & (density.centres < 2)  # bins are narrow against the curvature
    assert np.mean(np.abs(pull[well_filled]) < 2) > 0.8
    assert np.trapezoid(density.density * density.centres, np.log(density.centres)) == pytest.approx(
        1, abs=0.03
    )


@pytest.mark.statistical
def test_the_p_values_of_true_laws_are_uniform():
    """Kolmogorov and Smirnov's test at the level 0.01."""
    rng = np.random.default_rng(2)
    family = CutOffPowerLaw(0.0, 1.5, 2)
    p_values = []
    for _ in range(300):
        x = rng.gamma(1.3, size=1500)
        log_y = np.log(x[x < 1.5] / 1.5)
        parameters = family.fit(family.statistics(log_y).mean(axis=0)[None])[0]
        p_values.append(family.goodness(parameters, log_y))
    assert kstest(p_values, "uniform").pvalue > 0.01


def test_the_likelihood_agrees_with_quadrature_and_a_general_optimizer():
    x = np.random.default_rng(3).gamma(1.4, size=2000)
    lower, upper = 0.05, 2.0
    x = x[(x > lower) & (x < upper)]

    def minus_log_likelihood(q):
        def law(v):
            return v ** q[0] * np.exp(q[1] * v / upper + q[2] * (v / upper) ** 2)

        return np.log(quad(law, lower, upper)[0]) - np.log(law(x)).mean()

    best = minimize(minus_log_likelihood, [0.0, 0.0, 0.0], method="BFGS", options={"gtol": 1e-7}).x
    family = CutOffPowerLaw(lower, upper, 2)
    found = family.fit(family.statistics(np.log(x / upper)).mean(axis=0)[None])[0]
    np.testing.assert_allclose(found - [1, 0, 0], best, atol=1e-3)


def test_the_same_seed_gives_the_same_answer():
    sample = draw("sharp", 0.3, 10, 300, 0)
    assert delta_statistics(sample, seed=4).theta == delta_statistics(sample, seed=4).theta
    narrow, wide = (delta_statistics(sample, confidence=c).theta for c in (0.68, 0.99))
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


def test_tensors_and_float32_are_read():
    torch = pytest.importorskip("torch")
    sample = [x.astype(np.float32) for x in draw("exponential", 0.3, 10, 300, 0)]
    assert delta_statistics([torch.tensor(x) for x in sample]).theta == delta_statistics(sample).theta


@pytest.mark.parametrize(
    ("deltas", "message"),
    [
        ([], r"deltas = \[\]"),
        (3.0, r"deltas = 3\.0"),
        ([np.ones((2, 3))], r"deltas\[0\] = \(2, 3\)"),
        ([np.ones(3), 2.0], r"deltas\[1\] = \(\)"),
        (
            [np.ones(3), np.array([1.0, np.nan, np.inf])],
            r"deltas\[1\] has 2 entries that are NaN or infinite",
        ),
        ([np.array(["a"])], r"deltas\[0\]"),
    ],
)
def test_malformed_input_is_answered_by_one_sentence(deltas, message):
    with pytest.raises(ValueError, match=message):
        delta_statistics(deltas)


def test_options_out_of_range_are_named():
    for option, value in {"confidence": 1.5, "resolution": -1.0, "n_bootstrap": 3, "seed": -1}.items():
        with pytest.raises(ValueError, match=option):
            delta_statistics([np.ones(3)], **{option: value})

"""The jamming margin of spherical networks: the exact one of the perceptron, and where it reaches zero."""

import numpy as np
import pytest

from unijam.ensemble import Recipe
from unijam.measurements.margins import MarginCurve, jamming_margins
from unijam.theory.ground_states import gardner_capacity

LINEAR = {"depth": 0, "input_dimension": 40, "bias": False}


@pytest.mark.statistical
def test_the_margin_of_linear_networks_is_gardners(tmp_path):
    """α_c(κ) = P/N at the mean margin, within its width at N = 40; κ_J falls with P, below zero beyond P = 2N."""
    recipe = Recipe(kind="FullyConnected", parameters=LINEAR)
    curve = jamming_margins(recipe, (40, 60, 100), 6, tmp_path, n_workers=1)
    assert curve.n_dof == 40 and (curve.jammed == 1).all()
    assert (np.diff(curve.margin) < 0).all() and curve.margin[1] > 0
    # rows are ξ of norm √N and ‖w‖ is kept at its norm at the start, 1
    for p, margin, error in zip(curve.n_data[:2], curve.margin, curve.error, strict=False):
        low, high = (gardner_capacity(float(margin + s * (4 * error + 0.05))) for s in (1, -1))
        assert low < p / 40 < high
    assert curve.vanishes == (60, 100) and 1.5 < curve.zero.value < 2.5  # exact: 2
    again = jamming_margins(recipe, (40, 60, 100), 6, tmp_path, n_workers=1)
    assert (again.margin == curve.margin).all()


def test_where_the_margin_vanishes(tmp_path):
    """Depth 1: κ_J > 0 at P/N = 1; far beyond what the network can fit f ≡ 0, and nothing jams."""
    recipe = Recipe(kind="FullyConnected", parameters={"depth": 1, "width": 4, "input_dimension": 4})
    curve = jamming_margins(recipe, (25, 400), 2, tmp_path, n_workers=1)
    assert curve.vanishes == (25, 400) and curve.margin[0] > 1e-3


def test_where_the_margin_vanishes_counts_those_above_zero():
    """Of starts that came to an end; it goes with `zero`."""

    def curve(*rows):
        thresholds = np.array(rows, float)
        return MarginCurve("", 10, 5 * np.arange(2, 2 + len(rows)), thresholds, np.ones(len(rows)))

    nan = np.nan
    falling = curve((0.5, 0.4, 0.6), (0.1, -0.1, nan), (-0.2, -0.1, 0.1), (0.3, 0.2, nan), (nan, nan, nan))
    assert falling.vanishes == (15, 20) and 1.5 <= falling.zero.value <= 2.0
    assert curve((0.1,), (0.2,)).vanishes == (15, None) and curve((-0.1,), (-0.2,)).vanishes == (0, 10)
    assert curve((nan,), (nan,)).vanishes == (0, None) and np.isnan(curve((nan,), (nan,)).zero.value)


def test_bad_input_gets_one_sentence(tmp_path):
    recipe = Recipe(kind="FullyConnected", parameters=LINEAR)
    with pytest.raises(ValueError, match="n_data = \\[0\\]"):
        jamming_margins(recipe, [0], 2, tmp_path)
    with pytest.raises(ValueError, match="seeds = 0"):
        jamming_margins(recipe, [50], 0, tmp_path)

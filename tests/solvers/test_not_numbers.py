"""Δ or a derivative that is no number: one sentence at the start, refused or an honest status on the way."""

import math

import numpy as np
import pytest
import torch

import unijam as uj

SOLVERS = [
    None,
    uj.TrustRegionNewton(),
    uj.LevenbergMarquardt(),
    uj.ConjugateGradient(),
    uj.Fire(),
    uj.Adam(),
    uj.GradientDescent(),
    uj.Rounds(),
]


class From(uj.AutodiffSystem):
    """A system whose Δ is a function of x."""

    control, level = None, 0.0

    def __init__(self, function, start):
        self.function, self.initial = function, torch.tensor(start, dtype=torch.float64)

    def delta(self, x):
        return self.level + self.function(x)


def pairs(x):
    r = x.reshape(-1, 2)
    i, j = torch.triu_indices(len(r), len(r), 1)
    return 1 - (r[i] - r[j]).norm(dim=1)


def logarithm(x):
    return 1 - torch.log(x)


def inverse(x):
    return 1 / x - 0.5


def root(x):
    return torch.sqrt(x) + 0.1


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize(
    ("function", "start"), [(logarithm, [-1.0, 2.0]), (inverse, [0.0, 1.0])], ids=["NaN", "infinite"]
)
def test_a_start_without_numbers_is_refused_in_one_sentence(solver, function, start):
    with pytest.raises(ValueError, match=r"^From.delta\(x\) at the start has 1 entries that are NaN or inf"):
        uj.minimize(From(function, start), None, solver)


def test_of_many_starts_one_without_numbers_is_refused_too():
    system = From(logarithm, [1.0, 2.0])
    for solver in (uj.Adam(), uj.LevenbergMarquardt()):
        with pytest.raises(ValueError, match="1 entries that are NaN"):
            uj.minimize(system, torch.tensor([[1.0, 2.0], [-1.0, 2.0]], dtype=torch.float64), solver)


@pytest.mark.parametrize(
    "measure", [uj.count_constraints, uj.decompose_hessian, uj.certify, uj.vibrational_modes]
)
def test_nothing_is_measured_where_distances_are_no_numbers(measure):
    system = From(logarithm, [-1.0, 2.0])
    with pytest.raises(ValueError, match=r"^From.delta\(x\) has 1 entries that are NaN"):
        measure(system, system.initial)


def test_nothing_jams_from_there():
    system = From(logarithm, [-1.0, 2.0])
    system.control = "level"
    with pytest.raises(ValueError, match=r"^From.delta\(x\) has 1 entries that are NaN"):
        uj.jam(system)


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize(
    ("function", "start"),
    [(root, [1.0, 0.4]), (pairs, [0.1, 0.1, 0.1, 0.1, 0.3, 0.4])],
    ids=["edge", "coincident"],
)
def test_on_the_way_there_is_an_honest_status(solver, function, start):
    """√x + 0.1 is driven to the edge of its domain, where its slope is infinite; H of two coincident points is NaN."""
    system = From(function, start)
    result = uj.minimize(system, None, solver)
    assert result.status != "satisfied" or result.energy == 0
    assert math.isfinite(result.energy) and bool(result.x.isfinite().all())
    assert result.energy <= uj.energy(system, system.constraints(system.initial))
    if function is root:
        assert result.status == "stalled"  # no x has U = 0 or a vanishing gradient


def test_a_logarithm_is_satisfied_where_it_should_be():
    result = uj.minimize(From(logarithm, [0.5, 2.0]))
    assert result.status == "satisfied" and np.all(result.x.numpy() > math.e - 1e-6)

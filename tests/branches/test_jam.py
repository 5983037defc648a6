"""jam: the threshold, the branch, what is said where it fails, interrupts, and what has no scale."""

import signal
from importlib import import_module

import numpy as np
import pytest
import torch

import unijam as uj
from unijam.core.tolerances import NEARLY_STATIONARY, STATIONARY
from unijam.support.arrays import to_numpy

jamming = import_module("unijam.branches.jam")  # the module; the package offers the function of this name
ISOSTATIC = [("discs", 0), ("discs", 1), ("spheres", 0), ("perceptron", 0)]
HYPOSTATIC = [("ellipses", 0), ("ellipses", 2), ("network 1", 0), ("network 2", 0), ("network 3", 0)]
ALL = ISOSTATIC + HYPOSTATIC


@pytest.mark.parametrize(("name", "seed"), ALL)
def test_jammed_states_are_converged_at_the_overlap_asked_for(jammed, name, seed):
    packing = jammed(name, seed)
    assert (packing.status, packing.reason) == ("converged", "")
    assert all(s.status == "converged" for s in packing.states)
    last = packing.states[-1]
    assert 0 < last.typical_overlap <= last.system.jamming_overlap * last.system.unit
    c = packing.system.constraints(packing.x)
    assert last.typical_overlap == pytest.approx(
        np.sqrt((to_numpy(c.delta)[to_numpy(c.overlaps)] ** 2).mean()), rel=1e-6
    )
    assert packing.control == getattr(packing.system, packing.system.control)


@pytest.mark.parametrize(("name", "seed"), ALL)
def test_states_called_converged_are_certified_minima(jammed, name, seed):
    """Forces of 1e-8 and modes that these alone hold, measured by `certify`; a little beside the state it says no."""
    packing = jammed(name, seed)
    for state in packing.states:
        found = uj.certify(state.system, state.x)
        assert found.minimum and found.gradient_tolerance <= max(1e-9, 1e-13 / state.typical_overlap)
    assert uj.certify(packing.system, packing.x).minimum
    beside = packing.x.copy() if name in ("discs", "spheres", "ellipses") else packing.x.clone()
    beside[0] += 1e-3 * packing.states[-1].typical_overlap
    assert not uj.certify(packing.system, beside).minimum


def test_spherical_relu_networks_are_certified_at_jamming():
    """In the balanced gauge rescalings hold to first order only: U is curved along them as everywhere else."""
    shape = {"depth": 1, "width": 8, "input_dimension": 8, "n_data": 120, "activation": "relu"}
    packing = uj.jam(uj.FullyConnected.random(**shape, margin=0.3))
    every = [uj.certify(s.system, s.x) for s in packing.states]
    resolved = [c for c in every if c.gradient_tolerance == STATIONARY]  # where rounding plays no part
    assert packing.status == "converged" and len(resolved) >= 3 and all(c.minimum for c in resolved)
    # at jamming the gradient is rounding, which its estimate meets to some ten per cent: all but that is exact
    found = every[-1]
    assert found.relative_gradient <= NEARLY_STATIONARY and found.n_kinks and not found.n_degenerate
    assert 0 < found.slopes[0] <= found.slopes[1] < 1 and found.rise >= 0 and found.independent
    assert found.n_negative == 0 and found.n_zero == found.n_symmetries
    assert found.n_symmetries == 2 < len(packing.system.symmetries(packing.x))


@pytest.mark.parametrize(("name", "seed"), ALL)
def test_the_way_leads_down_one_branch_to_the_threshold(jammed, name, seed):
    """τ falls, τ = ∂U/∂λ > 0 is that of each state, and λ − 2U/τ is the same from all of the last states."""
    packing = jammed(name, seed)
    taus = [uj.conjugate_force(s.system, s.x) for s in packing.states]
    assert taus == sorted(taus, reverse=True) and taus[-1] > 0
    scales = [s.system.scale for s in packing.states]
    late = [k for k, s in enumerate(packing.states) if s.typical_overlap < 1e-4]
    # contacts are settled: λ_J follows to second order in the distance, and to the rounding of Δ
    thresholds = [scales[k] - packing.distances[k] for k in late]
    at_threshold = packing.system.at(scale=thresholds[-1])
    assert packing.threshold == pytest.approx(getattr(at_threshold, packing.system.control), rel=1e-12)
    for k, threshold in zip(late, thresholds, strict=True):
        assert threshold == pytest.approx(thresholds[-1], abs=1e-2 * packing.distances[k] + 1e-12)
    # the scale itself comes down to it
    assert scales[late[-1]] - thresholds[-1] == pytest.approx(packing.distances[late[-1]], rel=1e-12)


@pytest.mark.parametrize(("name", "seed"), ALL)
def test_below_the_threshold_the_state_can_be_satisfied_and_above_it_cannot(jammed, name, seed):
    """A quench from the jammed state, by a solver that jam does not rest on, a little to either side."""
    packing = jammed(name, seed)
    lambda_j = packing.system.scale - packing.distances[-1]
    distance = 1e-5 * abs(packing.system.unit)
    below = uj.minimize(packing.system.at(scale=lambda_j - distance), packing.x)
    above = uj.minimize(packing.system.at(scale=lambda_j + distance), packing.x)
    assert below.status == "satisfied" and above.status == "converged"
    # of a harmonic branch, U ∝ (λ − λ_J)²
    assert 2 * above.energy / uj.conjugate_force(above.system, above.x) == pytest.approx(distance, rel=0.05)


@pytest.mark.parametrize(("name", "seed"), [("discs", 2), ("ellipses", 1), ("network 2", 0)])
def test_energy_goes_with_the_square_of_the_distance(jammed, name, seed):
    """U ∝ (λ − λ_J)² and τ ∝ λ − λ_J over the last decades (O'Hern et al. 2003)."""
    packing = jammed(name, seed)
    late = [k for k, s in enumerate(packing.states) if 1e-7 < s.typical_overlap < 1e-4]
    x = np.log([packing.distances[k] for k in late])
    for exponent, values in (
        (2, [packing.states[k].energy for k in late]),
        (1, [uj.conjugate_force(packing.states[k].system, packing.states[k].x) for k in late]),
    ):
        assert np.polyfit(x, np.log(values), 1)[0] == pytest.approx(exponent, abs=0.02 * exponent)


@pytest.mark.statistical
def test_the_threshold_of_discs_is_that_of_the_literature(jammed):
    """φ_J lies between 0.80 and 0.86 for 64 polydisperse discs (0.842 ± 0.01 · √(1000/64) for small systems)."""
    thresholds = [jammed("discs", seed).threshold for seed in range(20)]
    assert 0.82 < np.mean(thresholds) < 0.85 and min(thresholds) > 0.78


@pytest.mark.statistical
def test_the_thresholds_of_perceptrons_are_those_of_the_literature(jammed):
    """−0.557 ± 0.05 at load 5 (local minima from a random start, N = 100; protocol and N make the difference)."""
    thresholds = [jammed("perceptron", seed).threshold for seed in range(5)]
    assert np.mean(thresholds) == pytest.approx(-0.557, abs=0.05)


@pytest.mark.statistical
def test_ellipses_jam_denser_than_discs(jammed):
    """φ_J = 0.89 ± 0.02 near the peak at aspect ratio 1.4 (Delaney et al. 2005; Donev et al. 2007)."""
    thresholds = [jammed("ellipses", seed).threshold for seed in range(3)]
    assert np.mean(thresholds) == pytest.approx(0.89, abs=0.02)


def test_the_count_does_not_depend_on_the_potential(hertzian):
    """Isostatic at jamming with u ~ Δ^(5/2) as well."""
    system = uj.SoftSpheres.random(n=48, packing_fraction=0.9, radii="uniform", seed=1).at(potential=hertzian)
    packing = uj.jam(system)
    assert packing.status == "converged"
    assert uj.count_constraints(packing.system, packing.x).isostatic


def test_a_satisfied_start_is_compressed_first():
    loose = uj.SoftSpheres.random(n=32, packing_fraction=0.6, radii="uniform", seed=4)
    assert uj.minimize(loose).status == "satisfied"
    packing = uj.jam(loose)
    assert packing.status == "converged" and packing.threshold > 0.75
    kind = uj.Perceptron.random(n=20, load=5.0, margin=-3.0, seed=1)
    assert uj.minimize(kind).status == "satisfied"
    solution = uj.jam(kind)
    assert solution.status == "converged" and -1 < solution.threshold < -0.2


def test_the_same_seed_jams_at_the_same_bits(jammed):
    again = uj.jam(uj.SoftSpheres.random(n=64, packing_fraction=0.9, radii="uniform", seed=0))
    assert (again.x == jammed("discs", 0).x).all() and again.threshold == jammed("discs", 0).threshold


def test_a_start_of_ones_own_is_taken(jammed):
    """From a jammed state of the same branch, quenched at the start's own scale: the same threshold."""
    packing = jammed("discs", 3)
    first = packing.states[2]
    again = uj.jam(first.system, first.x)
    assert again.threshold == pytest.approx(packing.threshold, rel=1e-7)


def jam_interrupted(users_perceptron, call, **target):
    """What jam returns, None where the KeyboardInterrupt at a call escapes; positions met before and after it."""

    def at_call(k):
        if k == call:
            raise KeyboardInterrupt

    system = users_perceptron(n=6)
    system.at_call = at_call
    try:
        result = uj.jam(system, **target)
    except KeyboardInterrupt:
        result = None
    return result, system.met[:call], system.met[call:]


@pytest.mark.parametrize("aimed", [False, True])
def test_an_interrupt_ends_the_way_and_keeps_its_states(users_perceptron, aimed):
    """Wherever it comes: the states are those met until then, bit by bit, and nothing new is evaluated any more.

    It presses at each eleventh call until a run ends before, and at the last one, which only reports.
    """
    target = {"margin": uj.jam(users_perceptron(n=6)).threshold + 0.05} if aimed else {}
    whole, every, _ = jam_interrupted(users_perceptron, None, **target)
    assert whole.status == "converged"
    start, kept = every[0], []
    for call in [*range(1, len(every), 11), len(every)]:
        result, before, after = jam_interrupted(users_perceptron, call, **target)
        if result is None:
            assert set(before) == {start}, "it escaped, and with it what was reached"
            continue
        assert result.status == "interrupted" and result.interrupted and result.reason
        assert set(after) <= {*before, tuple(result.x.tolist())}
        for state, same in zip(result.states, whole.states, strict=False):
            assert (state.x == same.x).all() and state.energy == same.energy
        kept.append(len(result.states))
    assert kept == sorted(kept) and (kept[0], kept[-1]) == (0, len(whole.states))


@pytest.mark.parametrize("make", ["tanh free", "breathing discs"])
def test_a_system_without_scale_is_told_of_find_transition(systems, make):
    with pytest.raises(ValueError, match="find_transition") as error:
        uj.jam(systems[make](0))
    assert "\n" not in str(error.value)


def test_trivial_solutions_are_not_called_jammed():
    """Far more data than a network can satisfy at any positive margin: f vanishes or the threshold is no minimum."""
    result = uj.jam(
        uj.FullyConnected.random(depth=1, width=3, input_dimension=3, n_data=120, margin=0.5, seed=0)
    )
    assert result.status != "converged" and result.reason.endswith(".")


TARGETS = [
    ("discs", {"pressure": 1e-3}),
    ("spheres", {"pressure": 1e-5}),
    ("ellipses", {"pressure": 1e-4}),
    ("discs", {"packing_fraction": 0.87}),
    ("ellipses", {"packing_fraction": 0.93}),
    ("perceptron", {"margin": -0.4}),
    ("network 2", {"margin": 0.3}),
    ("discs", {"excess": 1e-4}),
    ("ellipses", {"excess": 1e-3}),
    ("perceptron", {"excess": 1e-3}),
]


@pytest.mark.parametrize(("name", "target"), TARGETS, ids=str)
def test_a_state_asked_for_is_reached_and_is_a_minimum(systems_to_jam, name, target):
    result = uj.jam(systems_to_jam[name](1), **target)
    assert (result.status, result.reason) == ("converged", "")
    system, x = result.system, result.x
    c = system.constraints(x)
    force, gradient = np.maximum(to_numpy(c.delta), 0), to_numpy(uj.gradient(system, c))
    assert np.linalg.norm(gradient) < 1e-6 * np.linalg.norm(force)
    kind, value = next(iter(target.items()))
    if kind == "pressure":
        assert system.pressure(c) == pytest.approx(value, rel=1e-4)
    elif kind == "excess":
        assert result.control - result.threshold == pytest.approx(value, rel=0.05)
        # that threshold is the branch's: a quench below it is satisfied, one at the state asked for is not
        below = system.at(**{system.control: result.threshold - 0.1 * value})
        assert uj.minimize(below, x).status == "satisfied"
    else:
        assert result.control == pytest.approx(value, rel=1e-12) == getattr(system, kind)
    settled = result.settled()
    assert settled.x is x and settled.system is system and result.target == kind


def test_what_was_not_reached_is_not_settled():
    loose = uj.jam(uj.SoftSpheres.random(n=64), packing_fraction=0.5)
    assert loose.status == "satisfied"
    with pytest.raises(ValueError, match=r"status = 'satisfied' is not valid.*packing_fraction asked for"):
        loose.settled()


@pytest.mark.parametrize(("name", "target"), [("discs", 0.5), ("perceptron", -1.0)])
def test_where_no_force_was_met_there_is_no_threshold(systems_to_jam, name, target):
    """Below jamming from the start; from above it, the branch met on the way has one."""
    dense = systems_to_jam[name](0)
    way = {dense.control: target}
    loose = uj.jam(dense.at(**{dense.control: target - 0.1}), **way)
    assert loose.status == "satisfied" and not loose.states and np.isnan(loose.threshold)
    assert f"{dense.control} = {target:g}" in loose.reason and loose.reason.endswith(".")
    expanded = uj.jam(dense, **way)
    assert expanded.status == "satisfied" and expanded.states and expanded.threshold > target
    assert expanded.reason == loose.reason


@pytest.mark.parametrize(
    ("name", "target", "said"),
    [
        ("discs", {"pressure": -1.0}, "pressure"),
        ("discs", {"pressure": np.nan}, "pressure"),
        ("discs", {"excess": np.inf}, "excess"),
        ("discs", {"margin": 0.1}, "packing_fraction"),
        ("perceptron", {"packing_fraction": 0.8}, "margin"),
        ("perceptron", {"pressure": 0.1}, "packing"),
        ("discs", {"pressure": 0.1, "excess": 0.1}, "at most one"),
    ],
    ids=str,
)
def test_targets_that_make_no_sense_are_refused_in_one_sentence(systems_to_jam, name, target, said):
    with pytest.raises(ValueError) as caught:
        uj.jam(systems_to_jam[name](1), **target)
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("delay", [0.01, 0.05, 0.1, 0.2])
def test_a_signal_that_hits_compiled_code_is_an_interrupt_too(delay, monkeypatch):
    """Ctrl-C inside a numba dispatcher surfaces as a SystemError; what was reached must come back all the same.

    The clock runs from the first state on: before it there is nothing to hand back.
    """
    system, keep = uj.Ellipses.random(n=400, packing_fraction=0.9, seed=0), jamming._Way.keep

    def keep_and_start_the_clock(way, state):
        keep(way, state)
        if not started:
            started.append(signal.setitimer(signal.ITIMER_REAL, delay))

    started = []
    monkeypatch.setattr(jamming._Way, "keep", keep_and_start_the_clock)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        result = uj.jam(system)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert started and result.status in ("interrupted", "converged")
    assert result.x.shape == system.initial.shape and result.states


def test_a_control_in_which_distances_are_not_linear_is_refused():
    class Square(uj.AutodiffSystem):
        control, size = "size", 1.5
        initial = torch.tensor([0.3, 0.4], dtype=torch.float64)

        def delta(self, x):
            corners = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], dtype=x.dtype)
            return self.size**0.5 - (x - corners).norm(dim=1)

    with pytest.raises(ValueError, match=r"control = 'size' is not valid: it must be .* linear"):
        uj.jam(Square())


@pytest.mark.parametrize("name", ["discs", "ellipses"])
def test_a_packing_is_compressed_to_a_pressure(jammed, name):
    """From jamming upwards; nearby that is its own branch, which leads back to its threshold."""
    packing = jammed(name, 1)
    for target in (1e-4, 0.1):
        up = uj.jam(packing.system, packing.x, pressure=target)
        assert up.status == "converged" and up.control > packing.control
        assert up.system.pressure(up.system.constraints(up.x)) == pytest.approx(target, rel=2e-6)
        again = uj.jam(up.system, up.x)
        assert again.threshold == pytest.approx(packing.threshold, rel=1e-7 if target < 1e-3 else 0.02)


def test_a_pressure_is_reached_as_well_as_rounding_allows():
    discs = uj.SoftSpheres.random(n=64, seed=0)
    for target in (1e-11, 1e-12):
        low = uj.jam(discs, pressure=target)
        assert low.status == "converged"
        assert low.system.pressure(low.system.constraints(low.x)) == pytest.approx(target, rel=1e-4)
    for target in (1e-13, 1e-15, 1e-300):
        lost = uj.jam(discs, pressure=target)
        assert lost.status == "stalled" and "overlaps are lost in rounding" in lost.reason


def test_a_pressure_out_of_reach_is_told():
    with pytest.raises(ValueError, match=r"^pressure = 100.0 is out of reach: the largest diameter = .*box"):
        uj.jam(uj.SoftSpheres.random(n=64), pressure=100.0)


def test_single_precision_jams_at_what_it_resolves():
    """The same threshold as in double precision, to the overlaps that are resolved."""
    shape = {"depth": 0, "input_dimension": 12, "n_data": 40, "bias": False, "seed": 0}
    single, double = (uj.jam(uj.FullyConnected.random(**shape, dtype=t)) for t in ("float32", "float64"))
    assert (single.status, double.status) == ("converged", "converged")
    assert single.threshold == pytest.approx(double.threshold, abs=1e-6)
    last = single.states[-1]
    assert last.typical_overlap < 100 * last.system.resolution(last.x) < 1e-3


def test_an_autodiff_system_knows_its_precision():
    class Point(uj.AutodiffSystem):
        initial = (0.0, 0.0)

        def delta(self, x):
            return 1 - x

    system = Point()
    assert system.resolution(torch.ones(2, dtype=torch.float64)) == 1e-15
    assert system.resolution(torch.ones(2, dtype=torch.float32)) == pytest.approx(5.4e-7, rel=0.01)

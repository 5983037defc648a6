"""Wrong input is answered by one sentence that names the field, its value and the range; nothing takes NaN."""

import dataclasses
import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import unijam as uj
from unijam.networks import FullyConnected, Perceptron

discs = uj.SoftSpheres.random
ellipses = uj.Ellipses.random
network = FullyConnected.random
SMALL = {"depth": 1, "width": 3, "input_dimension": 3, "n_data": 12}
INPUTS = np.ones((4, 2))


class Uncontrolled(uj.AutodiffSystem):
    """A user's system whose control is no attribute of it."""

    control = "size"
    initial = np.ones(2)

    def delta(self, x):
        return 1 - x


# field, a part of what must be said of its range, the call
WRONG = [
    ("n = 0", "1", lambda: discs(n=0)),
    ("n = -3", "1", lambda: ellipses(n=-3)),
    ("n = 2.5", "integer", lambda: discs(n=2.5)),
    ("n = 'many'", "integer", lambda: discs(n="many")),
    ("packing_fraction = 3", "2", lambda: discs(n=64, packing_fraction=3)),
    ("packing_fraction = -0.1", "0", lambda: ellipses(n=64, packing_fraction=-0.1)),
    ("dimension = 0", "1", lambda: discs(n=64, dimension=0)),
    ("dimension = 9", "8", lambda: discs(n=64, dimension=9)),
    ("seed = -1", "0", lambda: discs(n=64, seed=-1)),
    ("seed = '1'", "integer", lambda: discs(n=64, seed="1")),
    ("seed = True", "integer", lambda: network(**SMALL, seed=True)),
    ("packing_fraction = '0.9'", "number", lambda: discs(n=64, packing_fraction="0.9")),
    ("pressure = '1e-3'", "number", lambda: uj.jam(discs(n=64), pressure="1e-3")),
    ("seeds = True", "whole", lambda: uj.find_transition(network, 2, 9, seeds=True)),
    ("classes = 2.5", "whole", lambda: uj.CrossEntropy(2.5)),
    ("radii", "'bidisperse'", lambda: discs(n=64, radii="tiny")),
    ("radii", "finite", lambda: discs(n=3, packing_fraction=0.1, radii=[1.0, float("nan"), 1.0])),
    ("radii", "positive", lambda: discs(n=16, packing_fraction=0.1, radii=[-1.0] + 15 * [1.0])),
    ("radii", "(16,)", lambda: discs(n=16, radii=np.ones(5))),
    ("largest diameter", "half", lambda: discs(n=2, packing_fraction=0.9)),
    ("aspect_ratio = 0.5", "1", lambda: ellipses(n=64, aspect_ratio=0.5)),
    ("aspect_ratio = 1000", "100", lambda: ellipses(n=64, aspect_ratio=1000)),
    ("activation = 'sigmoid'", "tanh", lambda: network(**SMALL, activation="sigmoid")),
    ("device = 'tpu'", "cpu", lambda: network(**SMALL, device="tpu")),
    ("weights = 'fixed'", "spherical", lambda: network(**SMALL, weights="fixed")),
    ("depth = -1", "0", lambda: network(depth=-1)),
    ("width = 0", "1", lambda: network(width=0)),
    ("n_data = 1", "2", lambda: network(n_data=1)),
    ("beta = 0", "0", lambda: network(**SMALL, beta=0)),
    ("labels", "1", lambda: FullyConnected.from_data(INPUTS, [1, -1, 0, 1], depth=1, width=3)),
    ("labels", "(4,)", lambda: FullyConnected.from_data(INPUTS, [1, -1], depth=1, width=3)),
    ("inputs", "finite", lambda: FullyConnected.from_data(INPUTS * np.nan, [1, -1, 1, 1], depth=1, width=3)),
    ("inputs", "(P, d)", lambda: FullyConnected.from_data(np.ones(4), [1, -1, 1, 1], depth=1, width=3)),
    ("load = -1", "0", lambda: Perceptron.random(n=10, load=-1)),
    ("load", "half a pattern", lambda: Perceptron.random(n=10, load=1e-3)),
    ("shape of x", "(128,)", lambda: uj.minimize(discs(n=64), np.zeros(3))),
    ("shape of x", "(128,)", lambda: uj.jam(discs(n=64), np.zeros((64, 2)))),
    ("x", "finite", lambda: uj.minimize(discs(n=64), np.full(128, np.nan))),
    ("x", "finite", lambda: uj.minimize(network(**SMALL), torch.full((16,), torch.nan, dtype=torch.float64))),
    ("system = 3", "ConstrainedSystem", lambda: uj.minimize(3)),
    ("system = 3", "ConstrainedSystem", lambda: uj.jam(3)),
    ("system = 3", "ConstrainedSystem", lambda: uj.count_constraints(3, np.ones(2))),
    ("system = 3", "ConstrainedSystem", lambda: uj.decompose_hessian(3, np.ones(2))),
    ("system = 3", "ConstrainedSystem", lambda: uj.certify(3, np.ones(2))),
    ("gradient_tolerance = -1e-08", "0 and 1", lambda: uj.Fire(gradient_tolerance=-1e-8)),
    ("gradient_tolerance = nan", "finite", lambda: uj.TrustRegionNewton(gradient_tolerance=math.nan)),
    ("fall = 1.5", "0 and 1", lambda: uj.TrustRegionNewton(fall=1.5)),
    ("loose", "ConjugateGradient", lambda: uj.TrustRegionNewton(loose=uj.Fire())),
    ("max_steps = 0", "at least 1", lambda: uj.Adam(max_steps=0)),
    ("learning_rate = -0.1", "positive", lambda: uj.GradientDescent(learning_rate=-0.1)),
    ("max_step = 0", "positive", lambda: uj.ConjugateGradient(max_step=0)),
    ("stages", "at least one", lambda: uj.Stages(())),
    ("weight_decay = -1", "zero or positive", lambda: uj.Stage(weight_decay=-1)),
    ("solver = <class", "Adam()", lambda: uj.minimize(discs(n=64), None, uj.Adam)),
    ("system = <class", "ConstrainedSystem", lambda: uj.minimize(uj.SoftSpheres)),
    ("keep = 3", "sequence", lambda: uj.Watch(keep=3)),
    ("keep = 'late'", "sequence", lambda: uj.Watch(keep="late")),
    ("observables", "mapping", lambda: uj.Watch(observables=[len])),
    ("c = 'ndarray'", "constraints at x", lambda: uj.energy(discs(n=64), discs(n=64).initial)),
    ("c = 'ndarray'", "constraints at x", lambda: uj.gradient(discs(n=64), discs(n=64).initial)),
    ("c = 'ndarray'", "constraints at x", lambda: uj.hessian(discs(n=64), discs(n=64).initial)),
    ("c = 'ndarray'", "constraints at x", lambda: discs(n=64).pressure(discs(n=64).initial)),
    ("family = None", "returns", lambda: uj.find_transition(lambda *_: None, low=10, high=20)),
    ("potential = CrossEntropy(classes=3)", "overlaps", lambda: discs(n=64).at(potential=uj.CrossEntropy(3))),
    ("potential = CrossEntropy(classes=2)", "overlaps", lambda: ellipses(n=64).at(potential=uj.CrossEntropy(2))),
    ("solver = 'ProximalNewton'", "TrustRegionNewton", lambda: uj.minimize(discs(n=64), None, uj.ProximalNewton())),
    ("search = Adam", "FitSearch", lambda: uj.find_transition(network, 2, 9, search=uj.Adam())),
    ("learning_rate = 'fast'", "positive", lambda: uj.Adam(learning_rate="fast")),
    ("learning_rate = 'fast'", "positive", lambda: uj.TorchSchedule("fast", None)),
    ("solver = 'fire'", "Solver", lambda: uj.Stage(solver="fire")),
    ("changes = 'relu'", "mapping", lambda: uj.Stage("relu")),
    ("stages = 3", "sequence", lambda: uj.Stages(3)),
    ("stages = Stage", "sequence", lambda: uj.Stages(uj.Stage())),
    ("state = 3", "result", lambda: uj.follow(3)),
    ("watch = 3", "Watch", lambda: uj.minimize(discs(n=64), watch=3)),
    ("descent = 'x'", "ConjugateGradient", lambda: uj.Rounds(descent="x")),
    ("watch = Watch(", "single", lambda: uj.minimize(discs(n=64), watch=uj.Watch())),
    ("system = 'FullyConnected'", "packing", lambda: uj.stress(network(**SMALL), network(**SMALL).initial)),
    ("system = 'FullyConnected'", "packing", lambda: uj.elastic_moduli(network(**SMALL), network(**SMALL).initial)),
    ("control = 'size'", "attribute", lambda: uj.jam(Uncontrolled())),
    ("control = 'size'", "attribute", lambda: uj.minimize(Uncontrolled())),
    ("control = None", "find_transition", lambda: uj.jam(network(**SMALL, weights="free"))),
    ("scale = -1", "positive", lambda: discs(n=64).at(scale=-1)),
    ("'colour'", "attribute", lambda: discs(n=64).at(colour="red")),
    ("'colour'", "attribute", lambda: network(**SMALL).at(colour="red")),
]  # fmt: skip


@pytest.mark.parametrize(("field", "range_", "call"), WRONG, ids=[f"{k}-{w[0]}" for k, w in enumerate(WRONG)])
def test_one_sentence_names_field_value_and_range(field, range_, call):
    with pytest.raises(ValueError) as caught:
        call()
    message = str(caught.value)
    assert type(caught.value) is ValueError  # pydantic's own report has many lines
    assert "\n" not in message and message.endswith(".") and len(message) < 300
    assert field in message and range_ in message
    assert not re.search(r"pydantic|validation error|input_type", message)


def test_a_long_value_is_named_in_short():
    """Arrays, systems and results would fill pages."""
    packing, net = discs(n=64), network(**SMALL)
    for call in (
        lambda: uj.minimize(packing, uj.jam(packing)),
        lambda: uj.jam(packing, uj.minimize(packing)),
        lambda: uj.count_constraints(packing, uj.minimize(packing)),
        lambda: uj.write_gsd("a.gsd", (net, net.initial)),
        lambda: uj.write_gsd("a.gsd", net),
        lambda: uj.find_transition(packing, 2, 9),
        lambda: packing.at(radii=[[1.0, 2.0], packing.radii]),
        lambda: uj.Watch(keep=packing.initial),
    ):
        with pytest.raises(ValueError) as caught:
            call()
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 250


SOLVERS = (
    uj.Adam,
    uj.ConjugateGradient,
    uj.Fire,
    uj.GradientDescent,
    uj.LevenbergMarquardt,
    uj.TrustRegionNewton,
)
NOT_NUMBERS = st.sampled_from([math.nan, math.inf, -math.inf])
TAKES = [
    *((discs, {"n": 64}, k) for k in ("packing_fraction", "n", "dimension", "seed")),
    *((ellipses, {"n": 64}, k) for k in ("packing_fraction", "aspect_ratio", "n", "seed")),
    *((network, SMALL, k) for k in ("margin", "beta", "depth", "width", "n_data", "input_dimension", "seed")),
    *((Perceptron.random, {"n": 10}, k) for k in ("load", "margin", "n", "seed")),
    *((solver, {}, field.name) for solver in SOLVERS for field in dataclasses.fields(solver)),
    (uj.Stage, {}, "weight_decay"),
    (discs(n=64).at, {}, "scale"),
    (discs(n=64).at, {}, "packing_fraction"),
    (discs(n=64).at, {}, "box_length"),
    (ellipses(n=64).at, {}, "aspect_ratio"),
    (network(**SMALL).at, {}, "margin"),
    (network(**SMALL).at, {}, "scale"),
]


@settings(max_examples=3)
@pytest.mark.parametrize(("make", "given_", "field"), TAKES, ids=[f"{k}-{t[2]}" for k, t in enumerate(TAKES)])
@given(value=NOT_NUMBERS)
def test_no_constructor_takes_nan_or_infinity(make, given_, field, value):
    with pytest.raises(ValueError) as caught:
        make(**(given_ | {field: value}))
    assert "\n" not in str(caught.value)


@given(data=st.data(), value=NOT_NUMBERS)
@settings(max_examples=30)
def test_no_array_takes_nan_or_infinity(data, value):
    """Not in any entry of any array."""
    kind = data.draw(
        st.sampled_from(["radii", "initial", "x", "inputs", "labels", "weights", "x of weights"])
    )
    packing, net = discs(n=16), network(**SMALL)
    arrays = {
        "radii": (packing.radii, lambda a: packing.at(radii=a)),
        "initial": (packing.initial, lambda a: packing.at(initial=a)),
        "x": (packing.initial, lambda a: uj.minimize(packing, a)),
        "inputs": (net.inputs.numpy(), lambda a: FullyConnected.from_data(a, net.labels, depth=1, width=3)),
        "labels": (net.labels.numpy(), lambda a: FullyConnected.from_data(net.inputs, a, depth=1, width=3)),
        "weights": (net.initial.numpy(), lambda a: net.at(initial=a)),
        "x of weights": (net.initial.numpy(), lambda a: uj.minimize(net, torch.from_numpy(a))),
    }
    array, call = arrays[kind]
    array = np.array(array)
    array.flat[data.draw(st.integers(0, array.size - 1))] = value
    with pytest.raises(ValueError) as caught:
        call(array)
    assert "\n" not in str(caught.value)


def test_lists_are_taken_for_x_where_they_hold_numbers():
    system = discs(n=16, packing_fraction=0.3)
    assert uj.minimize(system, system.initial.tolist()).status == "satisfied"
    net = network(**SMALL)
    x0 = net.initial.tolist()
    assert (uj.minimize(net, x0).x == uj.minimize(net).x).all()


def test_numbers_of_numpy_and_torch_are_those_of_python():
    whole, real = np.int64, np.float32
    same = discs(n=whole(64), dimension=whole(3), packing_fraction=real(0.5), seed=whole(2))
    assert (same.initial == discs(n=64, dimension=3, packing_fraction=0.5, seed=2).initial).all()
    net = network(
        depth=whole(1), width=whole(3), input_dimension=3, n_data=whole(12), margin=torch.tensor(0.5)
    )
    assert (net.inputs == network(**SMALL).inputs).all() and net.margin == 0.5
    assert uj.CrossEntropy(whole(3)).coupled == 2

    def linear(n_data, seed):
        return network(0, input_dimension=8, n_data=n_data, weights="free", bias=False, seed=seed)

    quick = {"tolerance": 0.2, "search": uj.FitSearch(reheats=0, finish=False)}
    a = uj.find_transition(linear, whole(4), whole(40), seeds=whole(2), **quick)
    assert a.n_data == uj.find_transition(linear, 4, 40, seeds=2, **quick).n_data


@pytest.mark.filterwarnings("error:.*not writable")
def test_any_array_of_numbers_is_taken_for_x_and_no_gradient_is_left_on_it():
    net, packing = network(**SMALL, weights="free"), discs(n=16)
    frozen = net.initial.numpy().copy()
    frozen.flags.writeable = False
    wanted = uj.minimize(net, net.initial).x
    for x0 in (net.initial.clone().requires_grad_(), frozen):
        found = uj.minimize(net, x0).x
        assert (found == wanted).all() and not found.requires_grad
    assert uj.minimize(net, net.initial.float()).x.dtype == torch.float64
    FullyConnected.from_data(frozen.reshape(4, 4), [1, -1, 1, -1], depth=1, width=3)
    moved = uj.minimize(packing, torch.from_numpy(packing.initial.copy()).requires_grad_())
    assert (moved.x == uj.minimize(packing).x).all()

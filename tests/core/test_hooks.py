"""Names of the contract in a user's class: what is a hook, what is refused in one sentence, what is the user's own."""

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

import unijam as uj
from unijam.core import capabilities
from unijam.core.autodiff import AutodiffSystem
from unijam.core.capabilities import HOOKS, HasData, Softened
from unijam.core.system import ConstrainedSystem


def one_sentence(error) -> str:
    text = str(error.value)
    assert "\n" not in text and text.endswith(".") and len(text) < 400
    return text


def point(**body: Any) -> type:
    """A user's class with Δ = 1 − x², and more in its body."""
    plain = {"initial": [0.1, 0.2], "delta": lambda self, x: 1 - x**2}
    return type("Point", (AutodiffSystem,), plain | body)


def test_the_contract_has_at_most_twenty_public_members():
    public = {name for name in dir(ConstrainedSystem) if not name.startswith("_")} | {"initial"}
    assert len(public) <= 20
    assert {"sparse", "kinked", "coordinates"} <= public and not public & set(HOOKS)


def test_every_member_of_a_capability_has_a_successor_to_be_named():
    """What a capability defines is in the table from which errors take the name of the base class."""
    for cls in vars(capabilities).values():
        if isinstance(cls, type) and cls in HOOKS.values():
            own = {name for name in vars(cls) | inspect.get_annotations(cls) if not name.startswith("_")}
            own -= {"widths"}  # data of a network, which say nothing without `resized`
            assert own and all(HOOKS[name] is cls for name in own)


METHODS = ["subset", "softened", "reduced", "redundancy", "replica", "gauge_directions", "lengths", "resized"]
VALUES = {"softest": 2.0, "convex": True, "handover": 1e-6, "least_threshold": 1e-3}


@pytest.mark.parametrize("name", METHODS)
def test_a_hook_without_its_capability_is_refused_and_the_base_class_named(name):
    with pytest.raises(ValueError) as error:
        point(**{name: lambda self, x: x})
    text = one_sentence(error)
    assert name in text and HOOKS[name].__name__ in text and "unijam.core.capabilities" in text


@pytest.mark.parametrize(("name", "value"), VALUES.items())
def test_a_telling_value_without_its_capability_is_refused_in_the_class_and_on_the_instance(name, value):
    with pytest.raises(ValueError, match=HOOKS[name].__name__):
        point(**{name: value})
    system = point()()
    setattr(system, name, value)
    with pytest.raises(ValueError, match=HOOKS[name].__name__):
        uj.minimize(system)


@pytest.mark.parametrize("kind", [torch.ones(2), np.ones(2), 3, "text", None, [1.0]])
@pytest.mark.parametrize("name", METHODS)
def test_a_users_attribute_that_has_the_name_of_a_capabilitys_method_is_the_users_own(name, kind):
    """`self.lengths = …` met a hook by accident, and ended in a TypeError deep inside a solver."""
    system = point()()
    setattr(system, name, kind)
    assert getattr(system, name) is kind
    result = uj.minimize(system)
    assert result.status == "satisfied" and uj.count_constraints(result.system, result.x).n_overlaps == 0
    assert uj.minimize(point(**{name: kind})()).status == "satisfied"


def test_a_users_lengths_enter_delta():
    class Own(AutodiffSystem):
        def __init__(self):
            self.lengths, self.initial = torch.tensor([1.0, 4.0], dtype=torch.float64), [0.1, 0.2]

        def delta(self, x):
            return self.lengths - x**2

    x = uj.minimize(Own()).x
    assert float(x[0].abs()) >= 1 and float(x[1].abs()) >= 2


CONTRACT = [
    "constraints",
    "evaluator",
    "scaled_evaluator",
    "at",
    "symmetries",
    "canonical",
    "resolution",
    "delta",
]


@pytest.mark.parametrize("name", CONTRACT)
@pytest.mark.parametrize("value", [torch.ones(2), np.ones(3), 1.0, "text", {"a": 1}])
def test_a_method_of_the_contract_that_is_no_method_is_refused_where_it_is_set(name, value):
    with pytest.raises(ValueError, match=name) as error:
        point(**{name: value})
    one_sentence(error)
    system = point()()
    with pytest.raises(ValueError, match=name) as error:
        setattr(system, name, value)
    one_sentence(error)
    object.__setattr__(system, name, value)  # as a frozen dataclass does
    with pytest.raises(ValueError, match=name) as error:
        uj.minimize(system)
    one_sentence(error)


@pytest.mark.parametrize("name", ["n_dof", "matrix_free", "scale", "sparse", "kinked"])
def test_a_property_of_the_contract_cannot_be_set_on_an_instance(name):
    with pytest.raises(ValueError, match=name) as error:
        setattr(point()(), name, 5)
    one_sentence(error)


@pytest.mark.parametrize("name", ["symmetries", "scale"])
def test_a_field_of_a_dataclass_is_refused_where_it_hides_a_hook(name):
    with pytest.raises(ValueError, match=name) as error:

        @dataclass(frozen=True, eq=False)
        class Own(ConstrainedSystem):
            initial: Any
            __annotations__[name] = Any

    one_sentence(error)


@pytest.mark.parametrize(
    ("name", "value"),
    [("potential", "harmonic"), ("unit", "metre"), ("unit", 0.0), ("sparse", "yes"), ("control", 5)],
)
def test_a_value_of_the_contract_of_a_wrong_kind_is_refused_at_first_use(name, value):
    system = point(**{name: value})()
    for use in (uj.minimize, uj.jam, lambda s: uj.count_constraints(s, s.initial)):
        with pytest.raises(ValueError, match=name) as error:
            use(system)
        one_sentence(error)


def test_callables_may_still_stand_for_methods():
    system = point()()
    system.delta = lambda x: 4 - x**2
    assert float(uj.minimize(system).x.abs().min()) >= 2


def test_capabilities_are_asked_of_the_class():
    """A look-alike with every name is no system with data, nor one that can be softened."""
    system = point()()
    system.n_data, system.n_hidden = 5, 3
    assert not isinstance(system, HasData | Softened)
    with pytest.raises(ValueError, match="no data"):
        uj.minimize(system, None, uj.Adam(batch_size=2, max_steps=5))
    with pytest.raises(ValueError, match="Softened"):
        uj.minimize(system, None, uj.Stages((uj.Stage(sharpness=2.0), uj.Stage())))


def test_a_users_data_serve_mini_batches():
    class Own(AutodiffSystem, HasData):
        def __init__(self, targets):
            self.targets, self.initial = torch.as_tensor(targets, dtype=torch.float64), [0.0]

        @property
        def n_data(self):  # type: ignore[override]
            return len(self.targets)

        def subset(self, select):
            return Own(self.targets[select])

        def delta(self, x):
            return self.targets - x

    result = uj.minimize(
        Own([1.0, 2.0, 3.0, 4.0]), None, uj.Adam(learning_rate=0.1, batch_size=2, max_steps=2000)
    )
    assert result.status == "satisfied" and float(result.x) >= 4

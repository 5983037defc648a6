"""Systems and results print as one line, and are equal to themselves alone."""

import unijam as uj
from unijam.support.printing import brief


def of_every_kind(system):
    """A system and what is made of it."""
    result = uj.minimize(system)
    packing = uj.jam(system)
    x = packing.x
    yield from (system, system.constraints(x), result, result.history[-1], packing, packing.settled())
    yield from (uj.decompose_hessian(packing.system, x), uj.count_constraints(packing.system, x))
    yield from (uj.certify(packing.system, x), uj.delta_statistics([system.constraints(x).delta]))


def test_one_line_for_each(systems):
    for name in ("discs", "ellipses", "tanh spherical", "user's perceptron"):
        for one in of_every_kind(systems[name](0)):
            text = repr(one)
            assert text.startswith(type(one).__name__) and "\n" not in text and len(text) < 600
            assert one == one and hash(one) is not None and one in [one]


def test_results_of_equal_runs_are_two_results(systems):
    """Compared field by field, arrays would have no one answer."""
    first, second = (uj.minimize(systems["discs"](0)) for _ in range(2))
    assert (first.x == second.x).all() and first != second and len({first, second}) == 2


def test_what_a_line_says(systems):
    system = uj.SoftSpheres.random(n=64, packing_fraction=0.3)
    assert repr(system) == (
        "SoftSpheres(initial=array(128,), radii=array(64,), box_length=8, dimension=2, potential=Harmonic(), "
        "strain=0, sides=array(2,))"
    )
    assert repr(uj.minimize(system)).startswith(
        "MinimizeResult(system=SoftSpheres(…), x=array(128,), energy=0, "
    )
    own = repr(systems["user's perceptron"](0))
    assert own.startswith("UsersPerceptron(data=array(24, 8), ") and "margin=0.5" in own


def test_a_long_value_loses_its_middle_and_a_path_keeps_its_file():
    path = "/data/" + "folder/" * 30 + "train-images-idx3-ubyte.gz"
    shown = brief(path)
    assert (
        len(shown) == 101
        and shown.startswith("'/data/folder/")
        and shown.endswith("train-images-idx3-ubyte.gz'")
    )
    assert brief("short") == "'short'"

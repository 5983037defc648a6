"""Packings that cannot be, targets out of reach, damaged files, full disks: one sentence, nothing half-written."""

import errno
import math
import resource
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import unijam as uj

discs, ellipses = uj.SoftSpheres.random, uj.Ellipses.random
DISCS = discs(n=64, packing_fraction=0.9, radii="uniform")
DILUTE = {"packing_fraction": 0.1}

# field, a part of what must be said of its range, the call
WRONG = [
    ("largest diameter", "half", lambda: discs(n=1)),
    ("largest diameter", "half", lambda: ellipses(n=1)),
    ("largest diameter", "half", lambda: ellipses(n=64, aspect_ratio=99.0)),
    ("largest diameter = 6.0", "2.5", lambda: uj.SoftSpheres(initial=np.zeros(4), radii=[1, 3], box_length=5)),
    ("aspect_ratio = 1000.0", "100", lambda: ellipses(n=64, aspect_ratio=1e3)),
    ("aspect_ratio = 1000.0", "100", lambda: ellipses(n=64).at(aspect_ratio=1e3)),
    ("packing_fraction = 3", "at most 2", lambda: DISCS.at(packing_fraction=3)),
    ("packing_fraction = 3", "at most 2", lambda: uj.jam(DISCS, packing_fraction=3)),
    ("packing_fraction = 3", "at most 2", lambda: uj.jam(ellipses(n=64), packing_fraction=3)),
    ("packing_fraction = 0", "0", lambda: uj.jam(DISCS, packing_fraction=0)),
    ("excess = 5", "at most 2", lambda: uj.jam(discs(n=30, radii="uniform"), excess=5)),
    ("excess = 0", "0", lambda: uj.jam(DISCS, excess=0)),
    *((f"pressure = {p}", "0", lambda p=p: uj.jam(DISCS, pressure=p)) for p in (0, -1e-3)),
    *((f"pressure = {p}", "finite", lambda p=p: uj.jam(DISCS, pressure=p)) for p in (math.nan, math.inf)),
    ("pressure = 'high'", "number", lambda: uj.jam(DISCS, pressure="high")),
    ("targets", "at most one", lambda: uj.jam(DISCS, pressure=1e-3, packing_fraction=0.9)),
    ("margin", "packing_fraction", lambda: uj.jam(DISCS, margin=0.1)),
    ("radii has 64 entries", "finite", lambda: DISCS.at(radii=np.full(64, np.nan))),
    ("smallest of radii = -", "positive", lambda: DISCS.at(radii=-DISCS.radii)),
    ("smallest of radii = 0", "positive", lambda: DISCS.at(radii=0 * DISCS.radii)),
    ("smallest of radii = -1", "positive", lambda: ellipses(n=3, radii=[1, 2, -1], **DILUTE)),
    ("shape of radii = (2, 2)", "(4,)", lambda: discs(n=4, radii=np.ones((2, 2)), **DILUTE)),
    ("radii", "numbers", lambda: discs(n=2, radii=[1, 1j], **DILUTE)),
    ("radii = {}", "numbers", lambda: discs(n=2, radii={}, **DILUTE)),
    ("potential = LinearHinge(width=0.0)", "force", lambda: DISCS.at(potential=uj.LinearHinge())),
    ("initial = 'x'", "numbers", lambda: DISCS.at(initial="x")),
    ("x = 'a'", "numbers", lambda: uj.minimize(DISCS, "a")),
    ("parameter = 'n'", "radii", lambda: DISCS.at(n=3)),
    ("parameter = 'sides'", "box_length", lambda: DISCS.at(sides=(8, 8))),
    ("bearing overlaps", "positive", lambda: uj.elastic_moduli(discs(n=1, **DILUTE), np.zeros(2))),
]  # fmt: skip


@pytest.mark.parametrize(("field", "range_", "call"), WRONG, ids=[f"{k}-{w[0]}" for k, w in enumerate(WRONG)])
def test_one_sentence_names_field_value_and_range(field, range_, call):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError) as caught:
            call()
    message = str(caught.value)
    assert type(caught.value) is ValueError
    assert "\n" not in message and message.endswith(".") and len(message) < 300
    assert field in message and range_ in message


@pytest.mark.parametrize("make", [discs, ellipses])
def test_one_particle_alone_is_satisfied(make):
    system = make(n=1, **DILUTE)
    state = uj.minimize(system)
    assert (state.status, state.energy, state.n_overlaps) == ("satisfied", 0.0, 0)
    count = uj.count_constraints(system, state.x)
    assert (count.n_overlaps, count.n_effective, count.ratio) == (0, 0, 0)
    assert system.pressure(system.constraints(state.x)) == 0.0
    assert uj.decompose_hessian(system, state.x).eigenvalues("total").size == 0


KINDS = {
    "GSD of discs": (discs(n=30, packing_fraction=0.5), uj.read_gsd),
    "GSD of ellipses": (ellipses(n=30, packing_fraction=0.5), uj.read_gsd),
    "LAMMPS": (discs(n=60, dimension=3, packing_fraction=0.5, box=(1, 1, 2)), uj.read_lammps),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a whole file of each kind."""
    path, found = tmp_path_factory.mktemp("files") / "a", {}
    for kind, (system, read) in KINDS.items():
        if read is uj.read_gsd:
            uj.write_gsd(path, (system, system.initial))
        else:
            uj.write_lammps(path, system, system.initial)
        found[kind] = path.read_bytes()
    return found


@settings(max_examples=50)
@given(
    damage=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 3), st.binary(min_size=1, max_size=8)),
        min_size=1,
        max_size=3,
    ),
    in_header=st.booleans(),
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_read_or_answered_by_a_sentence(tmp_path, whole, kind, damage, in_header):
    content, read = bytearray(whole[kind]), KINDS[kind][1]
    for place, how, new in damage:
        at = int(place * (min(300, len(content)) if in_header else len(content)))
        if how == 0:
            content[at : at + len(new)] = new
        elif how == 1:
            content[at] ^= new[0]
        elif how == 2:
            del content[at : at + 5 * len(new)]
        else:
            del content[max(at, 1) :]
    (tmp_path / "b").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            other, x = read(tmp_path / "b")
        except ValueError as error:
            assert str(error).startswith(str(tmp_path / "b")) and "\n" not in str(error)
        else:
            assert np.isfinite(x).all() and x.shape == other.initial.shape


@pytest.mark.parametrize(
    ("chunk", "value", "says"),
    [
        ("box", np.array([8.0]), "shape of initial"),
        ("box", np.empty((0, 1)), "dimension = 0"),
        ("box", np.full(3, 8.0), "shape of initial"),
        ("box", np.array([8.0, 0.0]), "smallest of box_length = 0"),
        ("x", np.zeros((64, 2)), "shape of initial"),
        ("radii", np.full(64, np.nan), "radii = nan at 64 of 64"),
        ("radii", np.full(64, 9.0), "largest diameter = 18"),
        ("radii", None, "radii"),
        ("exponent", np.array([1.0]), "exponent = 1"),
        ("aspect_ratio", np.array([1e3]), "aspect_ratio = 1000"),
    ],
)
def test_a_wrong_chunk_of_unijam_is_named(tmp_path, chunk, value, says):
    hoomd = pytest.importorskip("gsd.hoomd")
    held = {"x": DISCS.initial, "radii": DISCS.radii, "box": DISCS.sides} | {chunk: value}
    frame = hoomd.Frame()
    frame.log = {f"unijam/{name}": array for name, array in held.items() if array is not None}
    with hoomd.open(tmp_path / "a.gsd", "w") as file:
        file.append(frame)
    with pytest.raises(ValueError, match=says) as error:
        uj.read_gsd(tmp_path / "a.gsd")
    assert str(error.value).startswith(str(tmp_path)) and "\n" not in str(error.value)


def test_a_full_disk_leaves_the_old_animation(tmp_path):
    states = [uj.minimize(DISCS)]
    path = uj.animate_jamming(states, tmp_path / "a.gif", size=2)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # stands for a full disk
    try:
        with pytest.raises(OSError) as error:
            uj.animate_jamming(states, path, size=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.value.errno == errno.EFBIG
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]

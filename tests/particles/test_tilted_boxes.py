"""Tilted boxes: pairs and energies against all images, equal lattices, stress and moduli against finite strains."""

import itertools

import numpy as np
import pytest

import unijam as uj
from unijam.particles.kernels.neighbours import neighbour_pairs, widths
from unijam.particles.pairs.shapes import Superellipses

STRAINS = {2: [0.1, -0.45, 0.5, 0.77, 1.0], 3: [0.3, (0.2, -0.4, 0.3), (0.5, 0.5, 0.5), (1.3, 0.6, -0.7)]}
FLAT = ("discs", "ellipses", "superellipses")
KINDS = {
    "discs": lambda n, seed=0: uj.SoftSpheres.random(n, radii="uniform", seed=seed, packing_fraction=0.9),
    "spheres": lambda n, seed=0: uj.SoftSpheres.random(
        n, dimension=3, radii="uniform", seed=seed, packing_fraction=0.75
    ),
    "ellipses": lambda n, seed=0: uj.Ellipses.random(n, aspect_ratio=1.6, packing_fraction=0.95, seed=seed),
    "spheroids": lambda n, seed=0: uj.Ellipsoids.random(
        n, aspect_ratios=(1.0, 1.0, 1.4), packing_fraction=0.8, seed=seed
    ),
    "superellipses": lambda n, seed=0: Superellipses.random(n, packing_fraction=0.95, seed=seed),
}


def least_distances(positions, edges):
    """The least distance over 7^d images of each pair, (n, n)."""
    fractions = positions @ np.linalg.inv(edges)
    positions = (fractions - np.floor(fractions)) @ edges
    apart = positions[:, None] - positions[None]
    images = np.array(list(itertools.product(range(-3, 4), repeat=len(edges)))) @ edges
    return np.min([np.linalg.norm(apart + image, axis=2) for image in images], axis=0)


def cases(kinds=tuple(KINDS)):
    return [(kind, strain) for kind in kinds for strain in STRAINS[2 if kind in FLAT else 3]]


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("n", [5, 40, 300])
def test_pairs_are_those_of_all_images(d, n):
    random = np.random.default_rng(n)
    for strain in STRAINS[d]:
        system = uj.SoftSpheres.random(300, dimension=d, box=(1.0, 1.3, 0.8)[:d]).at(strain=strain)
        positions = 30.0 * random.standard_normal((n, d))
        reaches = random.uniform(0.1, 0.24, n) * system.narrowest_width
        for share in (1.0, 0.2):  # few cells, and many
            pairs = neighbour_pairs(positions, system.edges, share * reaches)
            near = least_distances(positions, system.edges) < share * (reaches[:, None] + reaches)
            np.testing.assert_array_equal(pairs, np.argwhere(np.triu(near, 1)))


def test_widths_are_distances_of_faces():
    for d in (1, 2, 3):
        edges = np.tril(np.random.default_rng(d).uniform(0.5, 2.0, (d, d)))
        faces = 1.0 / np.linalg.norm(np.linalg.inv(edges), axis=0)  # f = r E⁻¹: how fast fractions change
        np.testing.assert_allclose(widths(edges), faces, rtol=1e-12)


@pytest.mark.parametrize(("kind", "strain"), cases(["discs", "spheres"]))
@pytest.mark.parametrize("n", [40, 200])
def test_overlaps_are_those_of_all_images(kind, strain, n):
    system = KINDS[kind](n).at(strain=strain)
    x = system.initial + 20.0 * np.random.default_rng(1).standard_normal(system.n_dof)
    distance = least_distances(system.positions(x), system.edges)
    delta = np.triu(system.radii[:, None] + system.radii - distance, 1)
    c = system.constraints(x)
    np.testing.assert_array_equal(c.members, np.argwhere(delta > 0))
    np.testing.assert_allclose(c.delta, delta[delta > 0], atol=1e-12)


@pytest.mark.parametrize(("kind", "strain"), cases())
def test_evaluators_on_a_walk(kind, strain):
    """The same as the constraints, which make no lists, while lists serve and are renewed."""
    system = KINDS[kind](40).at(strain=strain)
    random, x = np.random.default_rng(2), np.array(system.initial)
    evaluate = system.evaluator()
    for step in range(30):
        c = system.constraints(x)
        force = system.potential.force(c.delta)
        energy, gradient, square, n_overlaps = evaluate(x)
        assert energy == pytest.approx(uj.energy(system, c), rel=1e-9)
        np.testing.assert_allclose(gradient, c.vjp(force), atol=1e-8)
        assert square == pytest.approx(float(force @ force), rel=1e-9) and n_overlaps == len(c.delta)
        x = x + (0.3 if step % 10 == 9 else 0.02) * random.standard_normal(len(x))


@pytest.mark.parametrize("kind", KINDS)
def test_a_tilt_by_a_lattice_vector_changes_nothing(kind):
    system = KINDS[kind](32)
    lx, ly = system.sides[:2]
    for tilt in (lx / ly, -3 * lx / ly):
        tilted = system.at(strain=tilt)
        one, other = (s.constraints(s.initial) for s in (system, tilted))
        np.testing.assert_array_equal(one.members, other.members)
        np.testing.assert_allclose(one.delta, other.delta, atol=1e-11)


@pytest.mark.parametrize("kind", KINDS)
def test_a_shear_moves_particles_with_the_box_and_back(kind):
    system = KINDS[kind](32)
    x = system.initial
    strain = 0.3 if system.dimension == 2 else (0.3, -0.2, 0.1)
    there, moved = system.sheared(x, strain)
    np.testing.assert_allclose(
        np.linalg.solve(there.edges.T, there.positions(moved).T) % 1.0,
        np.linalg.solve(system.edges.T, system.positions(x).T) % 1.0,
        atol=1e-12,
    )
    back, again = there.sheared(moved, 0.0)
    assert not back.tilted and there.tilted
    np.testing.assert_allclose(again, x, atol=1e-12)
    assert there.volume == pytest.approx(system.volume) and there.packing_fraction == system.packing_fraction


@pytest.mark.parametrize(("kind", "strain"), [(k, s) for k, s in cases() if s != 1.0])
def test_stress_is_the_slope_of_the_energy_under_shear(kind, strain):
    system = KINDS[kind](24 if kind in FLAT else 70).at(strain=strain)
    x, h = system.initial, 1e-6
    tensor = uj.stress(system, x)
    shears = np.zeros(system.dimension * (system.dimension - 1) // 2)
    shears[: np.size(strain)] = strain

    def energy(change):
        there, moved = system.sheared(x, shears + change)
        return uj.energy(there, there.constraints(moved))

    # at fixed places in the box γ_ab moves r_a by the part of r that lies along edge b: r_y − γ_yz r_z, or r_z
    gamma = shears[2] if len(shears) == 3 else 0.0
    wanted = [tensor[0, 1] - gamma * (tensor[0, 2] if len(shears) == 3 else 0.0)]
    wanted += [tensor[0, 2], tensor[1, 2]] if len(shears) == 3 else []
    scale = system.volume * abs(np.trace(tensor))
    for step, expected in zip(h * np.eye(len(shears)), wanted, strict=True):
        slope = (energy(step) - energy(-step)) / (2 * h)
        assert slope == pytest.approx(-system.volume * expected, rel=1e-5, abs=1e-7 * scale)


@pytest.mark.parametrize(
    ("kind", "strain"), [("discs", 0.3), ("spheres", (0.2, -0.4, 0.3)), ("ellipses", -0.4)]
)
def test_shear_moduli_are_those_of_finite_strains(kind, strain):
    """C_xyxy + σ terms against U of minima at strains ± h: V⁻¹ d²U/dγ² where x is sheared along y."""
    system = KINDS[kind](24 if kind in FLAT else 70).at(strain=strain)
    state = uj.minimize(system)
    assert state.status == "converged"
    moduli, h = uj.elastic_moduli(state.system, state.x), 1e-5
    shears = np.zeros(system.dimension * (system.dimension - 1) // 2)
    shears[: np.size(strain)] = strain

    def energy(change):
        there, moved = state.system.sheared(state.x, shears + change * np.eye(len(shears))[-1])
        reached = uj.minimize(there, moved)
        assert reached.status == "converged" and reached.n_overlaps == state.n_overlaps
        return reached.energy

    measured = (energy(h) - 2 * energy(0.0) + energy(-h)) / (h * h * system.volume)
    a, b = system.dimension - 2, system.dimension - 1
    voigt = 2 if system.dimension == 2 else 3  # xy; yz
    # F = 1 + γ e_a e_bᵀ has E = ½(FᵀF − 1) = γ (e_a e_b) + ½ γ² e_b e_b: dU/dE_bb = −V σ_bb
    expected = moduli.stiffness[voigt, voigt] - moduli.stress[b, b]
    assert (a, b) in ((0, 1), (1, 2))
    assert measured == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("kind", "strain"), [("discs", 0.4), ("spheres", (0.2, -0.4, 0.3)), ("ellipses", -0.4)]
)
def test_packings_jam_in_tilted_boxes(kind, strain):
    for seed in range(3):
        packing = uj.jam(KINDS[kind](48, seed).at(strain=strain))
        count = uj.count_constraints(packing.system, packing.x)
        assert packing.status == "converged" and packing.system.strain == pytest.approx(strain)
        assert count.kind == ("hypostatic" if kind == "ellipses" else "isostatic")
        assert uj.decompose_hessian(packing.system, packing.x).self_stress.shape[1] == 1


def test_saved_and_loaded(tmp_path):
    system = KINDS["spheres"](60).at(strain=(0.2, -0.4, 0.3))
    uj.save(system, tmp_path / "packing.npz")
    again = uj.load(tmp_path / "packing.npz")
    np.testing.assert_array_equal(again.edges, system.edges)


@pytest.mark.parametrize("unit", [2.0**-20, 1e-3, 1e6])
def test_any_unit_of_length(unit):
    system = KINDS["discs"](24).at(strain=0.3)
    other = system.at(
        initial=unit * system.initial, radii=unit * system.radii, box_length=unit * system.sides
    )
    np.testing.assert_allclose(other.edges, unit * system.edges, rtol=1e-15)
    one, two = (s.constraints(s.initial) for s in (system, other))
    np.testing.assert_array_equal(one.members, two.members)
    np.testing.assert_allclose(two.delta, unit * one.delta, rtol=1e-9, atol=1e-12 * unit)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: KINDS["discs"](16).at(strain=np.nan), "strain"),
        (lambda: KINDS["discs"](16).at(strain=[0.1, 0.2]), r"the shape of strain = \(2,\)"),
        (lambda: KINDS["spheres"](60).at(strain=[0.1, 0.2]), r"the shape of strain = \(2,\)"),
        (lambda: uj.SoftSpheres.random(256, dimension=4).at(strain=0.1), "strain = 0.1 is not valid.*0 in 4"),
        (lambda: KINDS["discs"](16).at(strain="x"), "strain = 'x' is not valid"),
        (
            lambda: uj.SoftSpheres.random(n=6, packing_fraction=0.85).at(strain=0.5),
            "narrowest width",
        ),
        (lambda: neighbour_pairs(np.zeros((2, 4)), np.tril(np.ones((4, 4))), np.ones(2)), "tilt"),
    ],
)
def test_what_is_wrong_is_said(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_gaps_that_folding_cannot_see_are_refused():
    system = KINDS["discs"](16).at(strain=0.4)
    with pytest.raises(ValueError, match=r"reach = 2.* is not valid: it must be at most .* narrowest width"):
        system.constraints(system.initial, reach=2.0)
    assert len(KINDS["discs"](16).constraints(system.initial, reach=2.0).delta)


@pytest.mark.parametrize(("kind", "strain"), cases(["discs", "spheres", "ellipses"]))
def test_files_keep_the_tilt(kind, strain, tmp_path):
    system = KINDS[kind](60).at(strain=strain)
    x = system.initial + 20.0 * np.random.default_rng(3).standard_normal(system.n_dof)
    uj.write_gsd(tmp_path / "packing.gsd", (system, x))
    again, places = uj.read_gsd(tmp_path / "packing.gsd")
    np.testing.assert_array_equal(again.edges, system.edges)
    np.testing.assert_array_equal(places, x)
    if kind != "ellipses":
        uj.write_lammps(tmp_path / "packing.data", system, x)
        again, places = uj.read_lammps(tmp_path / "packing.data")
        np.testing.assert_allclose(again.edges, system.edges, rtol=1e-15)
        np.testing.assert_allclose(places, x, atol=1e-11)
        one, other = system.constraints(x), again.constraints(places)
        np.testing.assert_array_equal(one.members, other.members)
        np.testing.assert_allclose(one.delta, other.delta, atol=1e-11)


@pytest.mark.parametrize(("kind", "strain"), cases(["discs", "spheres"]))
def test_files_of_others_are_read_with_their_tilt(kind, strain, tmp_path):
    """A frame as HOOMD writes it, in single precision: L_x, L_y, L_z, xy, xz, yz, positions about the middle."""
    gsd = pytest.importorskip("gsd.hoomd")
    system = KINDS[kind](60).at(strain=strain)
    d, frame = system.dimension, gsd.Frame()
    uj.write_gsd(tmp_path / "ours.gsd", (system, system.initial))
    with gsd.open(tmp_path / "ours.gsd", "r") as ours:
        written = ours[0]
    inside = np.linalg.solve(system.edges.T, written.particles.position[:, :d].T.astype(float))
    assert inside.min() >= -0.5 - 1e-6 and inside.max() < 0.5 + 1e-6
    frame.configuration.box, frame.configuration.dimensions = written.configuration.box, d
    frame.particles.N, frame.particles.position = system.n, written.particles.position
    frame.particles.diameter = 2 * system.radii
    with gsd.open(tmp_path / "theirs.gsd", "w") as theirs:
        theirs.append(frame)
    again, x = uj.read_gsd(tmp_path / "theirs.gsd")
    np.testing.assert_allclose(again.edges, system.edges, rtol=1e-6, atol=1e-6)
    one, other = system.constraints(system.initial), again.constraints(x)
    deep = {tuple(m) for m, deep in zip(one.members.tolist(), one.delta > 1e-4, strict=True) if deep}
    assert deep <= {tuple(m) for m in other.members.tolist()}


def test_lammps_boxes_that_are_not_read(tmp_path):
    system = KINDS["discs"](16).at(strain=0.3)
    uj.write_lammps(tmp_path / "packing.data", system, system.initial)
    text = (tmp_path / "packing.data").read_text()
    assert "xy xz yz" in text
    for found, wrong, message in [
        ("0.0 0.0 xy", "nan 0.0 xy", "xy xz yz"),
        ("0.0 0.0 xy", "0.0 1.0 xy", "xy 0 0 for discs"),
        ("0.0 0.0 xy", "0.0 xy", "three numbers"),
    ]:
        assert found in text
        (tmp_path / "wrong.data").write_text(text.replace(found, wrong))
        with pytest.raises(ValueError, match=message):
            uj.read_lammps(tmp_path / "wrong.data")


def test_pictures_of_tilted_boxes():
    for kind, strain in (("discs", 0.4), ("ellipses", -0.3), ("spheres", 0.5)):
        system = KINDS[kind](60).at(strain=strain)
        ax = uj.plot_packing(system, system.initial)
        assert np.isfinite([*ax.get_xlim(), *ax.get_ylim()]).all()
        ax.figure.clear()

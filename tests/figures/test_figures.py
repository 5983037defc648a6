"""Pictures: the right number of things, at the right places, and nothing changed behind the user's back."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import EllipseCollection, PolyCollection
from matplotlib.colors import to_rgb
from PIL import Image

import unijam as uj
from unijam.figures import animate_jamming, plot_packing
from unijam.figures.scene import RATTLER, Scene
from unijam.figures.spheres import _Camera


@pytest.fixture(autouse=True)
def untouched_settings():
    before = dict(matplotlib.rcParams)
    yield
    plt.close("all")
    assert dict(matplotlib.rcParams) == before


def of(ax, kind):
    """The collections of a kind, exactly."""
    return [c for c in ax.collections if type(c) is kind]


def images_by_hand(system, x) -> int:
    """How many copies of discs have their square in the box, one by one."""
    (wide, high), count = system.sides, 0
    for (a, b), radius in zip(np.mod(system.positions(x), system.sides), system.radii, strict=True):
        for dx in (-wide, 0, wide):
            for dy in (-high, 0, high):
                across = -radius < a + dx < wide + radius
                count += across and -radius < b + dy < high + radius
    return count


def test_discs_have_their_images_and_rattlers_are_grey(jammed):
    packing = jammed("discs", 0)
    system, x = packing.system, packing.x
    ax = plot_packing(system, x)
    (discs,) = of(ax, EllipseCollection)
    assert len(discs.get_offsets()) == len(discs.get_facecolors()) == images_by_hand(system, x)
    np.testing.assert_allclose(np.sort(np.unique(discs._widths)), np.sort(np.unique(system.radii)))
    c = system.constraints(x)
    held = c.bearing()[0].reshape(-1, 2)[:, 0]
    grey = np.isclose(discs.get_facecolors()[:, :3], to_rgb(RATTLER)).all(axis=1)
    where = np.mod(discs.get_offsets()[grey], system.box_length)
    inside = np.mod(system.positions(x)[~held], system.box_length)
    away = np.abs(where[:, None] - inside[None]).max(axis=2).min(axis=1)
    assert len(inside) > 0 and away.max() < 1e-12
    assert ax.get_aspect() == 1.0 and not ax.axison and discs.get_clip_box() is not None
    ax.figure.canvas.draw()


def test_widths_of_links_are_proportional_to_forces(jammed):
    packing = jammed("ellipses", 0)
    system, x = packing.system, packing.x
    scene = Scene(system, x, None, None)
    c = system.constraints(x)
    force = system.potential.force(c.delta[c.overlaps])
    np.testing.assert_allclose(scene.widths / scene.widths.sum(), force / force.sum())
    ax = plot_packing(system, x)
    (links,) = of(ax, PolyCollection)
    assert len(links.get_paths()) >= 2 * len(force)
    assert not of(plot_packing(system, x, forces=False), PolyCollection)


@pytest.mark.parametrize("box", [(3, 1), (2, 5)])
def test_a_long_box_is_drawn_to_scale(box):
    system = uj.SoftSpheres.random(n=80, radii="uniform", box=box)
    ax = plot_packing(system, system.initial)
    ax.figure.canvas.draw()
    (discs,) = of(ax, EllipseCollection)
    assert len(discs.get_offsets()) == images_by_hand(system, system.initial)
    (frame,) = ax.patches
    corners = ax.transData.transform(frame.get_xy()[[0, 2]])
    wide, high = corners[1] - corners[0]
    assert wide / high == pytest.approx(box[0] / box[1]) and (corners > 0).all()
    assert (corners[1] - corners[0] > 0.9 * np.array(ax.figure.canvas.get_width_height())).all()


def test_ellipses_touch_where_their_links_bend(jammed):
    packing = jammed("ellipses", 0)
    system, x = packing.system, packing.x
    scene = Scene(system, x, None, None)
    _, ends, _ = scene.segments()
    i, j = scene.links.T
    offsets = ends - scene.centres[np.concatenate([i, j])]
    whose = np.concatenate([i, j])
    cos, sin = np.cos(scene.angles[whose]), np.sin(scene.angles[whose])
    along = (cos * offsets[:, 0] + sin * offsets[:, 1]) / scene.long[whose]
    across = (cos * offsets[:, 1] - sin * offsets[:, 0]) / scene.short[whose]
    np.testing.assert_allclose(along**2 + across**2, 1.0, atol=1e-6)


@pytest.mark.parametrize("name", ["discs", "spheres", "ellipses"])
def test_a_mode_has_an_arrow_a_particle(jammed, name):
    packing = jammed(name, 0)
    system, x = packing.system, packing.x
    mode = np.random.default_rng(0).standard_normal(system.n_dof)
    moves = Scene(system, x, mode, None).moves()
    lengths = np.linalg.norm(moves, axis=1)
    assert moves.shape == (system.n, system.dimension) and 0.5 < lengths.max() / system.scale < 2
    ax = plot_packing(system, x, mode=mode)
    count = sum(len(c.get_paths()) for c in of(ax, PolyCollection))
    assert count >= system.n
    np.testing.assert_array_equal(Scene(system, x, np.zeros(system.n_dof), None).moves(), 0)
    ax.figure.canvas.draw()


def test_spheres_are_drawn_from_behind_forwards(jammed):
    packing = jammed("spheres", 0)
    system, x = packing.system, packing.x
    ax = plot_packing(system, x)
    behind, spheres, before = of(ax, PolyCollection)
    assert len(behind.get_paths()) == 9 and len(before.get_paths()) == 3
    shades = len(spheres.get_paths()) // system.n
    assert shades >= 9 and len(spheres.get_paths()) == shades * system.n
    sizes = np.array([np.ptp(p.vertices[:, 0]) for p in spheres.get_paths()]).reshape(system.n, shades)
    assert np.all(np.diff(sizes, axis=1) < 0)  # each sphere whole, from its rim to its highlight
    with_links = of(plot_packing(system, x, forces=True), PolyCollection)[1]
    overlaps = int(system.constraints(x).overlaps.sum())
    assert len(with_links.get_paths()) == shades * system.n + 2 * overlaps


@pytest.mark.parametrize("ratios", [(1, 1, 1.6), (1, 1, 0.6), (1, 1.2, 1.5)])
def test_ellipsoids_have_the_outlines_of_their_points_and_touch_on_their_surfaces(ratios):
    state = uj.jam(uj.Ellipsoids.random(n=48, aspect_ratios=ratios), pressure=1e-6).settled()
    system, x = state.system, state.x
    scene, see = Scene(system, x, None, None), _Camera(system.sides)
    near = see(scene.centres)[1]
    shapes, highlights = see.outlines(scene.bodies, near)
    points = np.random.default_rng(0).standard_normal((4000, 3))
    points /= np.linalg.norm(points, axis=1)[:, None]
    surface = np.einsum("pa,na,nab->npb", points, system.semi_axes, system.frames(x)) @ see.plane.T
    for angle in np.linspace(0.0, np.pi, 7):
        along = np.array([np.cos(angle), np.sin(angle)])
        widths = np.linalg.norm(along @ shapes, axis=1) / near
        np.testing.assert_allclose(widths, (surface @ along).max(axis=1), rtol=5e-3)
    inside = np.linalg.solve(shapes, highlights[:, :, None])[:, :, 0]
    assert (np.linalg.norm(inside, axis=1) < 1.0).all()
    c = system.constraints(x)
    i, _ = c.members[c.overlaps].T
    level = np.einsum("ma,mab,mb->m", scene.contacts, np.linalg.inv(scene.bodies)[i], scene.contacts)
    np.testing.assert_allclose(level, 1.0, atol=1e-4)
    ax = plot_packing(system, x, forces=True)
    drawn = of(ax, PolyCollection)[1]
    assert len(drawn.get_paths()) > 14 * system.n
    ax.figure.canvas.draw()


def test_colours():
    system = uj.SoftSpheres.random(n=64, packing_fraction=1.0)
    values = np.linspace(0, 1, 64)
    faces = of(plot_packing(system, system.initial, colour=values), EllipseCollection)[0].get_facecolors()
    assert len(np.unique(faces, axis=0)) == 64
    plot_packing(system, system.initial, colour="darkred")
    for changes, says in (
        ({"colour": values[1:]}, "colour"),
        ({"mode": values}, r"mode = \(64,\)"),
        ({"mode": np.full(128, np.nan)}, "mode has 128"),
    ):
        with pytest.raises(ValueError, match=says):
            plot_packing(system, system.initial, **changes)
    with pytest.raises(ValueError, match="packing"):
        plot_packing(uj.Perceptron.random(n=8, load=2.0, margin=0.0), np.zeros(8))
    four = uj.SoftSpheres.random(n=300, dimension=4, packing_fraction=0.1)
    with pytest.raises(ValueError, match="dimension = 4"):
        plot_packing(four, four.initial)


def test_an_unjammed_packing_and_given_axes():
    system = uj.SoftSpheres.random(n=30, packing_fraction=0.01)
    figure, ax = plt.subplots()
    assert plot_packing(system, system.initial, ax) is ax
    figure.canvas.draw()


def test_the_animation_has_a_picture_a_state(tmp_path, jammed):
    packing = jammed("discs", 0)
    path = animate_jamming(packing, tmp_path / "a.gif", size=2.0, frames_per_second=4)
    with Image.open(path) as movie:
        assert movie.n_frames == len(packing.states) and movie.info["duration"] == 250
    assert [p.name for p in tmp_path.iterdir()] == ["a.gif"] and not plt.get_fignums()
    with pytest.raises(ValueError, match="frames_per_second"):
        animate_jamming(packing, tmp_path / "b.gif", frames_per_second=0)
    with pytest.raises(ValueError, match="at least one"):
        animate_jamming([], tmp_path / "b.gif")

"""GSD frames of HOOMD: where sizes come from, and what is refused because it would be read wrong."""

import numpy as np
import pytest

import unijam as uj

hoomd = pytest.importorskip("gsd.hoomd")

DISC, LARGE = {"type": "Sphere", "diameter": 1.0}, {"type": "Sphere", "diameter": 1.4}


def read(tmp_path, dimensions=2, box=(10, 10, 0, 0, 0, 0), diameters=None, **particles):
    """What is read of four particles on a line, of two types unless said."""
    frame = hoomd.Frame()
    frame.configuration.dimensions, frame.configuration.box = dimensions, box
    p = frame.particles
    p.N, p.types, p.typeid = 4, ["A", "B"], [0, 0, 1, 1]
    p.position = [[-3, 0, 0], [-1, 0, 0], [1, 0, 0], [3, 0, 0]]
    for name, value in particles.items():
        if name in ("bonds", "angles"):
            part, width = getattr(frame, name), 2 if name == "bonds" else 3
            part.N, part.types, part.typeid, part.group = 1, [value], [0], [list(range(width))]
        else:
            setattr(p, name, value)
    with hoomd.open(tmp_path / "a.gsd", "w") as file:
        file.append(frame)
    return uj.read_gsd(tmp_path / "a.gsd", diameters=diameters)


@pytest.mark.parametrize(
    ("particles", "expected"),
    [
        ({"type_shapes": [DISC, LARGE]}, [1, 1, 1.4, 1.4]),
        ({"type_shapes": [DISC, LARGE], "diameter": [1, 1, 1.4, 1.4]}, [1, 1, 1.4, 1.4]),
        ({"type_shapes": [LARGE], "types": ["A"], "typeid": [0] * 4}, [1.4] * 4),
        ({"diameter": [1, 1.1, 1.2, 1.3]}, [1, 1.1, 1.2, 1.3]),
        ({"typeid": [1] * 4}, [1] * 4),  # one type alone: the default
        ({"diameters": {"A": 0.5, "B": 0.7}}, [0.5, 0.5, 0.7, 0.7]),
        ({"diameters": {"A": 0.5, "B": 0.7}, "type_shapes": [DISC, LARGE]}, [0.5, 0.5, 0.7, 0.7]),
    ],
)
def test_sizes(tmp_path, particles, expected):
    system, x = read(tmp_path, **particles)
    np.testing.assert_allclose(2 * system.radii, expected, rtol=1e-6)
    np.testing.assert_allclose(x, [2, 5, 4, 5, 6, 5, 8, 5])


@pytest.mark.parametrize(
    ("particles", "says"),
    [
        ({}, r"the diameters of A, B = None .* diameters="),
        ({"type_shapes": [DISC]}, "diameter of B in type_shapes = None"),
        ({"type_shapes": [DISC, LARGE], "diameter": [1, 1, 1.5, 1.5]}, r"particle 2 = 1\.5 .* 1\.4"),
        ({"type_shapes": [DISC, {"type": "Sphere", "diameter": -1}]}, "diameter of the type B .* = -1"),
        ({"type_shapes": [DISC, {"type": "Sphere", "diameter": "1"}]}, "diameter of the type B"),
        ({"type_shapes": [DISC, {"type": "Polygon", "vertices": []}]}, "type_shapes .* Sphere or Ellipsoid"),
        ({"type_shapes": [DISC, {"type": "Ellipsoid", "a": 1, "b": 2}]}, "all alike"),
        ({"type_shapes": [{"type": "Ellipsoid", "a": 1}] * 2}, "b of the type A in type_shapes = None"),
        ({"typeid": [0, 0, 1, 2]}, "particles/typeid = 2 .* one of the 2 types"),
        ({"diameters": {"A": 1}}, "diameters of B = None"),
        ({"diameters": {"A": 1, "B": 0}}, "diameters of B = 0"),
        ({"diameters": 1.0}, r"diameters = 1\.0 .* by type"),
        ({"diameter": [1, 1, 2, 2], "bonds": "polymer"}, r"bonds = \['polymer'\]"),
        ({"diameter": [1, 1, 2, 2], "angles": "bent"}, "angles/N = 1"),
        ({"diameter": [1, 1, 2, 2], "body": [0, 0, -1, -1]}, "2 particles of rigid bodies"),
        (
            {"diameter": [1, 1, 2, 2], "position": np.eye(4, 3, -1)},
            "z of positions in a box of two dimensions",
        ),
        ({"diameter": [1, 1, 2, 2], "dimensions": 3}, "box_length|sides|side"),  # L_z = 0
    ],
)
def test_what_would_be_read_wrong_is_refused(tmp_path, particles, says):
    with pytest.raises(ValueError, match=says) as error:
        read(tmp_path, **particles)
    assert "a.gsd: " in str(error.value) and "damaged" not in str(error.value)


def test_ellipses_must_lie_in_the_plane(tmp_path):
    shape = {"type": "Ellipsoid", "a": 0.5, "b": 1.0, "c": 0.5}
    half = np.array([0.0, 0.1, 0.2, 0.3])
    turn = np.column_stack([np.cos(half), 0 * half, 0 * half, np.sin(half)])
    system, x = read(tmp_path, type_shapes=[shape, shape], orientation=turn)
    assert system.aspect_ratio == pytest.approx(2)
    np.testing.assert_allclose(system.angles(x), 2 * half + np.pi / 2, atol=1e-6)  # the long axis is b
    for bad in ([0, 1, 0, 0], [0, 0, 0, 0], [0.8, 0, 0.6, 0]):
        turn[2] = bad
        with pytest.raises(ValueError, match="orientation of particle 2"):
            read(tmp_path, type_shapes=[shape, shape], orientation=turn)


def test_diameters_are_not_asked_of_unijams_own_files(tmp_path):
    system = uj.SoftSpheres.random(n=8, packing_fraction=0.3)
    uj.write_gsd(tmp_path / "a.gsd", (system, system.initial))
    with pytest.raises(ValueError, match=r"diameters = .* left out"):
        uj.read_gsd(tmp_path / "a.gsd", diameters={"A": 1.0})

"""LAMMPS data files of others: read whatever may be read, and one sentence for each that is no file of spheres."""

import numpy as np
import pytest

import unijam as uj

BOX = ("0 10 xlo xhi", "0 10 ylo yhi", "-0.5 0.5 zlo zhi")
ROWS = ("1 1 1.0 1 1 2 0", "2 2 1.4 1 4 5 0")


def text_of(rows=ROWS, head=(), style=" # sphere", before=(), after=(), counts=("2 atoms", "2 atom types")):
    """A data file of two discs, with other lines where they are given."""
    return "\n".join(["title", "", *counts, *head, *BOX, "", *before, f"Atoms{style}", "", *rows, *after, ""])


@pytest.fixture
def read(tmp_path):
    def write_and_read(text, encoding="utf-8"):
        (tmp_path / "w.data").write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return uj.read_lammps(tmp_path / "w.data")

    return write_and_read


def is_right(found):
    system, x = found
    np.testing.assert_array_equal(2 * system.radii, [1.0, 1.4])
    np.testing.assert_array_equal(x, [1, 2, 4, 5])
    assert system.dimension == 2 and system.box_length == 10
    return True


MOLECULES = ("1 1 1 -0.8 1 2 0", "2 1 2 0.4 4 5 0")  # id mol type q x y z
BODIES = ("1 1 1 1.0 1 2 0", "2 1 1 1.0 4 5 0")  # id type bodyflag mass x y z


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (text_of(MOLECULES, style="", head=("1 bonds", "1 bond types")), "bonds = '1'"),
        (text_of(MOLECULES, style="", head=("0 bonds", "2 bond types")), "bond types = '2'"),
        (text_of(MOLECULES, style="", before=("Masses", "", "1 16", "2 1", "")), "section = 'Masses'"),
        (text_of(style="", after=("", "Bonds", "", "1 1 1 2")), "section = 'Bonds'"),
        (text_of(style="", before=("Bond Coeffs", "", "1 1.0 1.0", "")), "section = 'Bond Coeffs'"),
        (text_of(MOLECULES, style=""), "density = '-0.8'"),
        (text_of(style=" # full"), "the atom style = 'full'"),
        (text_of(style=" # hybrid sphere bond"), "the atom style = 'hybrid'"),
        (text_of(BODIES, style="", head=("2 bodies",)), "bodies = '2'"),
        (text_of(BODIES, style="", head=("2 ellipsoids",)), "ellipsoids = '2'"),
        (text_of(BODIES, style="", head=("1 lines",)), "lines = '1'"),
        (
            text_of(BODIES, style="", after=("", "Ellipsoids", "", "1 1 2 1 1 0 0 0")),
            "section = 'Ellipsoids'",
        ),
        (text_of(("1 1 1 2 0", "2 1 4 5 0"), style=""), "whole lines|number of values = 5"),  # atomic
        (text_of(("1 1 1 1 2 0", "2 1 1 4 5 0"), style=""), "number of values = 6"),  # charge, molecular
        (text_of(("1 1 1 1 1 1 2 0", "2 1 1 1 1 4 5 0"), style=""), "number of values = 8"),  # template
    ],
)
def test_other_atom_styles_are_refused(read, text, says):
    with pytest.raises(ValueError, match=says) as error:
        read(text)
    assert "\n" not in str(error.value) and "w.data: " in str(error.value)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("2 7 1.4 1 4 5 0", r"line \d+ under Atoms: type = '7' .* 1 to 2"),
        ("2 0 1.4 1 4 5 0", "type = '0'"),
        ("2 1.5 1.4 1 4 5 0", "type = '1.5'"),
        ("2 large 1.4 1 4 5 0", "type = 'large' .* label"),
        ("2 2 1.4 -1 4 5 0", "density = '-1' .* positive"),
        ("2 2 1.4 0 4 5 0", "density = '0'"),
        ("2 2 0 1 4 5 0", "diameter = '0' .* positive"),
        ("2 2 nan 1 4 5 0", "diameter = 'nan'"),
        ("2 2 1.4 inf 4 5 0", "density = 'inf'"),
        ("2 2 1.4 1 4 1e999 0", "x = inf at 1 of 4"),
        ("2 2 1.4 1 4 5.0d0 0", "y = '5.0d0' .* a number"),
        ("2 2 1_4 1 4 5 0", "diameter = '1_4' .* a number"),
        ("1 2 1.4 1 4 5 0", "the ids of atoms are all different"),
        ("2.0 2 1.4 1 4 5 0", "id = '2.0' .* whole"),
        ("0 2 1.4 1 4 5 0", "id = '0' .* from 1"),
        ("2 2 1.4 1 4 5 0 0 0 0", "number of values = 10"),
        ("2 2 1.4 1 4 5", "number of values = 6"),
    ],
)
def test_a_bad_value_is_named_with_its_line(read, row, says):
    with pytest.raises(ValueError, match=says):
        read(text_of((ROWS[0], row)))


def test_image_flags_are_whole_and_move_the_atoms(read):
    with_images = tuple(f"{row} {images}" for row, images in zip(ROWS, ("1 -2 0", "0 0 0"), strict=True))
    np.testing.assert_array_equal(read(text_of(with_images))[1], [11, -18, 4, 5])
    with pytest.raises(ValueError, match=r"image flag ny = '0.5' .* whole"):
        read(text_of((f"{ROWS[0]} 1 0.5 0", with_images[1])))


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (("3 atoms", "2 atom types"), "whole lines under Atoms = 2 .* 3"),
        (("1 atoms", "2 atom types"), "lines under Atoms = 2 .* 1"),
        (("2.0 atoms", "2 atom types"), "atoms = '2.0' .* whole"),
        (("2 atoms",), "atom types = ''"),
        (("2 atoms", "2 atom types", "3 atoms"), "line 5 = '3 atoms' .* the only line about atoms"),
        (("2 atoms", "2 atom types", "0.5 0 xy xz yz"), "xy xz yz = '0.5 0' .* three numbers"),
        (("2 atoms", "2 atom types", "10 0 0 avec"), "avec = '10 0 0' .* left out"),
        (("2 atoms", "2 atom types", "4 gears"), "line 5 = '4 gears'"),
    ],
)
def test_a_bad_head_is_named(read, head, says):
    with pytest.raises(ValueError, match=says):
        read(text_of(counts=head))


def test_a_section_that_stands_twice_is_refused(read):
    with pytest.raises(ValueError, match=r"'Atoms' .* has not been before"):
        read(text_of(after=("", "Atoms # sphere", "", *ROWS)))


@pytest.mark.parametrize(
    "text",
    [
        text_of(),
        text_of(style=""),
        text_of(style="   #sphere id type diameter density"),
        text_of(head=("0 bonds", "0 bond types", "0.0 0.0 0.0 xy xz yz")),
        text_of(
            ("   ", "# id type diameter density x y z", "", ROWS[0], "\t", "# and", ROWS[1] + " # large")
        ),
        text_of(ROWS[::-1]),
        text_of([row.replace(" ", "\t") for row in ROWS]),
        text_of(counts=("2  atoms # discs", "\t2 atom\ttypes")),
        text_of(before=("Masses", "", "1 1", "2 1", ""), after=("", "Velocities", "", "1 0 0 0", "2 0 0 0")),
        text_of(before=("Velocities", "", "1 0 0 0", "2 0 0 0", "")),
        text_of(
            ("1 small 1.0 1 1 2 0", "2 large 1.4 1 4 5 0"),
            before=("Atom Type Labels", "", "1 small", "2 large  # of the two", ""),
        ),
        text_of(
            ("1 1 1.0 1 1 2 0", "2 Atoms 1.4 1 4 5 0"), after=("", "Atom Type Labels", "", "1 a", "2 Atoms")
        ),
        text_of().replace("\n", "\r\n"),
        text_of().replace("\n", "\r"),
        text_of().replace("title", "titre: été \x85 \x0c"),
    ],
)
def test_what_a_data_file_may_look_like(read, text):
    assert is_right(read(text))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1"])
def test_encodings(read, encoding):
    assert is_right(read(text_of().replace("title", "Größe"), encoding))


@pytest.mark.parametrize("raw", [b"\x1f\x8b\x08\x00rest", b"\xff\xfea", text_of().encode("utf-16-le")])
def test_what_is_no_text_is_refused(read, raw):
    with pytest.raises(ValueError, match="not a LAMMPS data file"):
        read(raw)


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (("1 small", "2 small"), "'2 small' .* the label of one type alone"),
        (("1 small", "3 large"), "'3 large' .* from 1 to 2"),
        (("1 2", "2 large"), "'1 2'"),
        (("small 1", "2 large"), "'small 1'"),
    ],
)
def test_bad_type_labels(read, labels, says):
    with pytest.raises(ValueError, match=says):
        read(text_of(before=("Atom Type Labels", "", *labels, "")))

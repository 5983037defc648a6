"""Files written whole or not at all; names of classes; the line of progress."""

import collections
import sys

import pytest

from unijam.support.files import written_whole
from unijam.support.naming import MAIN, module_name, name_of, named
from unijam.support.progress import Progress


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "file.bin"
    with written_whole(path) as file:
        file.write(b"first")
        assert not path.exists()
    assert path.read_bytes() == b"first"
    with pytest.raises(ZeroDivisionError), written_whole(path) as file:
        file.write(b"second")
        raise ZeroDivisionError
    assert path.read_bytes() == b"first" and [p.name for p in path.parent.iterdir()] == ["file.bin"]


class Outer:
    class Inner:
        pass


def test_names_find_what_they_name():
    for thing in (Outer, Outer.Inner, collections.OrderedDict, written_whole):
        assert named(name_of(thing)) is thing
    assert name_of(Outer.Inner) == f"{__name__}:Outer.Inner"
    assert module_name("a.b") == "a.b" and ":" not in module_name(MAIN)


def test_what_has_no_name_is_refused_in_one_sentence(monkeypatch):
    class Local:
        pass

    lost = type("Lost", (), {"__module__": __name__})
    for call in (
        lambda: name_of(Local),
        lambda: name_of(lambda: 1),
        lambda: name_of(lost),
        lambda: name_of(3),
        lambda: named("no colon"),
        lambda: named("no_such_module:Thing"),
        lambda: named(f"{__name__}:Outer.Other"),
    ):
        with pytest.raises(ValueError, match="is not") as caught:
            call()
        assert "\n" not in str(caught.value)


def test_a_script_is_named_by_its_file(monkeypatch):
    main = type(sys)("__main__")
    main.__file__, main.__spec__ = "/somewhere/script.py", None
    main.Own = type("Own", (), {"__module__": "__main__"})
    monkeypatch.setitem(sys.modules, "__main__", main)
    assert name_of(main.Own) == "script:Own" and named("script:Own") is main.Own


@pytest.mark.parametrize("shown", [True, False])
def test_progress_counts_and_says(shown, capsys):
    with Progress(shown, "work", total=3, done=1) as bar:
        bar.advance("two")
        bar.say("still two")
        assert bar.due in (True, False)
        if shown:
            assert bar.line.tasks[0].completed == 2 and bar.line.tasks[0].description == "work: still two"
    with Progress(shown, "work") as line:
        line.say("on")
        line.advance("on")
    assert capsys.readouterr().out == ""

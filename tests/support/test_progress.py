"""One line in the terminal, and none where none is asked for."""

import pytest

from unijam.support.progress import Progress


@pytest.mark.parametrize("total", [None, 3])
def test_nothing_is_printed_unless_asked_for(total, capsys):
    with Progress(False, "working", total) as line:
        line.say("here")
        line.advance("there")
        assert not line.due
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("total", [None, 3])
def test_a_line_goes_to_the_standard_error(total, capsys):
    with Progress(True, "working", total, done=1) as line:
        assert line.due
        line.say("here")
        assert not line.due  # a tenth of a second has to pass
        line.advance("there")
        if total:
            assert line.line.tasks[0].completed == 2 and "there" in line.line.tasks[0].description
    assert capsys.readouterr().out == ""

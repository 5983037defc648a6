"""The JSON of a study: numbers as they were, whole or not at all."""

import json
import math
import resource

import numpy as np
import pytest

from unijam.study.record import check, print_checks, write_record


def test_a_full_disk_leaves_the_old_record(tmp_path):
    path = tmp_path / "study.json"
    write_record(path, {"n": 3}, 1.5, [{"name": "θ", "value": 0.42}], systems={"low": math.pi})
    before = path.read_bytes()
    found = json.loads(before)
    assert found["configuration"] == {"n": 3} and found["systems"]["low"] == math.pi
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # stands for a full disk
    try:
        with pytest.raises(OSError):
            write_record(path, {"n": 4}, 1.5, [], text="long" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "missing", [math.nan, None, math.inf, -math.inf, np.float64("nan"), np.float32("inf")]
)
@pytest.mark.parametrize("place", ["value", "low", "high", "reference"])
def test_what_was_not_measured_is_undecided(missing, place, capsys):
    numbers = {"value": 1.0, "low": 0.9, "high": 1.1, "reference": 1.0} | {place: missing}
    found = check("θ", **numbers, source="here")
    assert found["verdict"] == "undecided" and found[place] is None
    json.loads(json.dumps(found, allow_nan=False))
    print_checks([found])
    assert "undecided" in capsys.readouterr().out
    given = check("θ", **numbers, source="here", verdict="measured", otherwise="finite-size")
    assert given["verdict"] == ("measured" if place == "reference" else "undecided")


def test_what_was_measured_agrees_or_not():
    assert check("θ", 1.0, 0.9, 1.1, 1.05, "here")["verdict"] == "agrees"
    assert check("θ", 1.0, 0.9, 1.1, 1.2, "here")["verdict"] == "disagrees"
    assert check("θ", 1.0, 0.9, 1.1, 1.2, "here", tolerance=0.1)["verdict"] == "agrees"
    assert check("θ", 1.0, 0.9, 1.1, 1.2, "here", otherwise="finite-size")["verdict"] == "finite-size"

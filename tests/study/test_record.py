"""The JSON of a study: numbers as they were, whole or not at all."""

import json
import math
import resource

import pytest

from unijam.study.record import write_record


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

"""The JSON of a study: its configuration, the seconds, and checks of measured values against reference numbers."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def check(
    name: str, value: float, low: float, high: float, reference: float | None, source: str, verdict: str = ""
) -> dict[str, Any]:
    """A value with its confidence interval, against a reference number and where that is from.

    The verdict is "agrees" where the interval contains the reference, else "disagrees"; or as given
    ("finite-size": the difference is understood and vanishes with size).
    """
    if not verdict:
        inside = reference is not None and low - 1e-9 <= reference <= high + 1e-9
        verdict = "agrees" if inside else "disagrees"
    return {
        "name": name,
        "value": number(float(value)),
        "low": number(float(low)),
        "high": number(float(high)),
        "reference": reference,
        "source": source,
        "verdict": verdict,
    }


def number(value: Any) -> Any:
    """A value that JSON can hold: no NaN."""
    return None if isinstance(value, float) and not np.isfinite(value) else value


def write_record(
    path: Path,
    configuration: Mapping[str, Any],
    seconds: float,
    checks: Sequence[Mapping[str, Any]],
    **more: Any,
) -> None:
    """Write the JSON of a study, whole or not at all. `seconds` are this run's, kept samples apart."""
    record = {"configuration": configuration, "seconds": seconds, **more, "checks": checks}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".json.part")
    try:
        partial.write_text(json.dumps(record, indent=1, ensure_ascii=False))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)

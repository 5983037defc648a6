"""The JSON of a study: its configuration, its time, and checks of measured values against reference numbers."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def check(
    name: str,
    value: float | None,
    low: float | None,
    high: float | None,
    reference: float | None,
    source: str,
    verdict: str = "",
    explanation: str = "",
    *,
    tolerance: float = 0.0,
    otherwise: str = "disagrees",
) -> dict[str, Any]:
    """One check: a value with its confidence interval beside a reference number, with a verdict.

    Parameters
    ----------
    name : str
    value, low, high : float or None
        The value and its interval.
    reference : float or None
        The published number.
    source : str
        The source of the reference.
    verdict : str
        By default "agrees" where the interval meets reference ± tolerance, else `otherwise`. It is "undecided",
        whatever was given, where value, low or high is missing (None, NaN or infinite), and where both reference and
        verdict are missing.
    explanation : str
        The reason for a difference.
    tolerance : float
        Shown with the check where it is not zero.
    otherwise : str
        "disagrees", or "finite-size" where the difference is understood and vanishes with size.

    Returns
    -------
    dict
        Entries for JSON: numbers that are missing become None.
    """
    value, low, high = (math.nan if v is None else float(v) for v in (value, low, high))
    known = reference is not None and math.isfinite(reference)
    if not all(map(math.isfinite, (value, low, high))) or not (known or verdict):
        verdict = "undecided"
    elif not verdict:
        assert reference is not None
        room = tolerance + 1e-9
        meets = low <= reference + room and high >= reference - room
        verdict = "agrees" if meets else otherwise
    return {
        "name": name,
        "value": number(value),
        "low": number(low),
        "high": number(high),
        "reference": number(reference),
        **({"tolerance": tolerance} if tolerance else {}),
        "source": source,
        "verdict": verdict,
        **({"explanation": explanation} if explanation else {}),
    }


def print_checks(checks: Sequence[Mapping[str, Any]]) -> None:
    """Print checks (see `check`) as a table in the terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Measured, with 95 % intervals")
    for heading in ("", "value", "interval", "reference", "verdict"):
        table.add_column(heading)
    for c in checks:
        numbers = [c["value"], c["low"], c["high"], c["reference"]]
        value, low, high, reference = ("" if number is None else f"{number:.4g}" for number in numbers)
        reference += f" ± {c['tolerance']:.2g}" if "tolerance" in c else ""
        table.add_row(c["name"], value, f"{low} … {high}", reference, c["verdict"])
    Console().print(table)


def number(value: Any) -> Any:
    """A value for JSON: NumPy scalars become Python numbers, NaN and infinity become None."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_study(
    output: Path,
    name: str,
    figures: Mapping[str, "Figure"],
    configuration: Mapping[str, Any],
    seconds: float,
    checks: Sequence[Mapping[str, Any]],
    *,
    dpi: int = 150,
    **more: Any,
) -> list[Path]:
    """Write the figures and the JSON of a study into the folder `output`, which is made where it is missing.

    Figures are `<name>_<figure>.png` (`<name>.png` for the figure named ""), at `dpi` dots an inch; the JSON is
    `<name>.json`, as in `write_record`. Returns the paths of the figures.
    """
    output.mkdir(parents=True, exist_ok=True)
    paths = {output / f"{name}_{part}".rstrip("_"): figure for part, figure in figures.items()}
    for path, figure in paths.items():
        figure.savefig(f"{path}.png", dpi=dpi)
    write_record(output / f"{name}.json", configuration, seconds, checks, **more)
    return [path.with_name(path.name + ".png") for path in paths]


def write_record(
    path: Path,
    configuration: Mapping[str, Any],
    seconds: float,
    checks: Sequence[Mapping[str, Any]],
    **more: Any,
) -> None:
    """Write the JSON of a study to a path, whole or not at all.

    It holds `configuration`, `seconds` (time of this run, without that of samples kept from earlier runs), the entries
    of `more`, and `checks`.
    """
    record = {"configuration": configuration, "seconds": seconds, **more, "checks": checks}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".json.part")
    try:
        partial.write_text(json.dumps(record, indent=1, ensure_ascii=False))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)

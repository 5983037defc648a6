"""The part that all studies share: options, timing, error messages of one sentence, resuming."""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from ..ensemble import EnsembleError


class Report(Protocol):
    """The result of a study: a table for the terminal, and figures and a JSON for a folder."""

    def print_table(self) -> None:
        """Print the measured values."""

    def write(self, output: Path, configuration: Mapping[str, Any], seconds: float) -> list[Path]:
        """Write figures and JSON into a folder, and return the paths of the figures."""


Study = Callable[[argparse.Namespace], tuple[Report, Mapping[str, Any]]]


def run_study(study: Study, doc: str | None, *, least_seeds: int = 1, **options: Mapping[str, Any]) -> None:
    """The command line of a study: measure, print the table, write figures and JSON, print the time.

    An expected error ends the program with one sentence; so does Ctrl-C, after which another run resumes.

    Parameters
    ----------
    study : function
        Takes the parsed options, measures what its store lacks, and returns the report and the configuration that the
        JSON shall show.
    doc : str
        The docstring of the study; its first line is the description.
    least_seeds : int
        The least value of `--seeds`, where that is an option.
    **options : mappings
        Arguments of `argparse.add_argument` by name of the option. `--output`, a folder, is always there; it is
        results/ by default.
    """
    import matplotlib

    matplotlib.use("Agg")
    parser = argparse.ArgumentParser(description=(doc or "").split("\n")[0])
    for name, how in options.items():
        parser.add_argument(f"--{name}", **how)
    parser.add_argument("--output", type=Path, default=Path("results"))
    given = parser.parse_args()
    seeds = getattr(given, "seeds", None)
    if seeds is not None and seeds < least_seeds:
        parser.error(f"--seeds = {seeds} is not valid: it must be at least {least_seeds}.")
    begin = time.perf_counter()
    try:
        report, configuration = study(given)
        report.print_table()
        given.output.mkdir(parents=True, exist_ok=True)
        figures = report.write(given.output, configuration, time.perf_counter() - begin)
    except (ValueError, OSError, EnsembleError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted: what was done is kept; run again to go on")
    print(*figures, f"({time.perf_counter() - begin:.0f} s)", sep="\n")


def quick(what: str) -> dict[str, Any]:
    """The option `--quick`, a flag, for `run_study`; `what` is its help text."""
    return {"action": "store_true", "help": what}


def seeds(what: str, default: int | None = None) -> dict[str, Any]:
    """The option `--seeds`, an int, for `run_study`; `what` is its help text."""
    return {"type": int, "default": default, "help": what}

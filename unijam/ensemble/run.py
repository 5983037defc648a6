"""`run_ensemble`: measures samples of several recipes on all cores, each once, and stores them by their identity."""

import dataclasses
import os
import re
import sys
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

import numpy as np

from ..support.naming import MAIN, module_name
from ..support.progress import Progress
from ..support.validation import is_whole, require
from .provenance import source_digest
from .recipe import Recipe
from .sample import Measurement, Sample, taken_apart
from .workers import Failure, Key, apart, failure, here

Name = TypeVar("Name", bound=Hashable)
Seeds = int | Sequence[int]
NAMED = 5  # failures that an error lists; of the others it says how many there are
# Names of files that an earlier version wrote, without provenance: they are shorter.
BEFORE = re.compile(r"[0-9a-f]{16}\.npz")


class EnsembleError(RuntimeError):
    """Some systems could not be measured; the samples of all other systems are in the store.

    Attributes
    ----------
    failures : tuple of Failure

    Examples
    --------
    >>> import tempfile
    >>> import unijam as uj
    >>> from unijam.measurements import measure_jammed
    >>> free = uj.Recipe("FullyConnected", {"weights": "free"})  # has no scale, so that `jam` refuses it
    >>> try:
    ...     _ = uj.run_ensemble(free, measure_jammed, 2, store=tempfile.mkdtemp(), n_workers=1, progress=False)
    ... except uj.EnsembleError as error:
    ...     [failure.seed for failure in error.failures]
    [0, 1]
    """

    def __init__(self, failures: Sequence[Failure], n_tasks: int, store: Path) -> None:
        self.failures = tuple(failures)
        shown = "; ".join(str(failure).rstrip(".") for failure in failures[:NAMED])
        more = f"; and {len(failures) - NAMED} more" if len(failures) > NAMED else ""
        kept = n_tasks - len(failures)
        super().__init__(
            f"{len(failures)} of {n_tasks} systems could not be measured ({kept} samples are in {store}): "
            f"{shown}{more}."
        )
        self.add_note(failures[0].traceback)


@overload
def run_ensemble(
    recipes: Recipe,
    measurement: Measurement,
    seeds: Seeds | None = None,
    *,
    store: Path | str,
    n_workers: int | None = None,
    stale: Literal["recompute", "keep"] = "recompute",
    progress: bool = True,
) -> list[Any]: ...


@overload
def run_ensemble(
    recipes: Mapping[Name, Recipe | tuple[Recipe, Seeds]],
    measurement: Measurement,
    seeds: Seeds | None = None,
    *,
    store: Path | str,
    n_workers: int | None = None,
    stale: Literal["recompute", "keep"] = "recompute",
    progress: bool = True,
) -> dict[Name, list[Any]]: ...


def run_ensemble(
    recipes: Recipe | Mapping[Name, Recipe | tuple[Recipe, Seeds]],
    measurement: Measurement,
    seeds: Seeds | None = None,
    *,
    store: Path | str,
    n_workers: int | None = None,
    stale: Literal["recompute", "keep"] = "recompute",
    progress: bool = True,
) -> list[Any] | dict[Name, list[Any]]:
    """Measure many systems. Samples that are in the store already are not measured again.

    Parameters
    ----------
    recipes : Recipe, or mapping of name -> Recipe or (Recipe, seeds)
        The systems to draw. Put the slowest ones first, so that all cores are busy until the end.
    measurement : function of a system that returns a Sample
        A function that a module defines (processes import it by its name), with the class of its sample as return
        annotation; or a `functools.partial` of such a function, whose keywords are its options.
    seeds : int or sequence of int
        The number of seeds, which then begin at 0, or the seeds; for every recipe that has none of its own.
    store : Path or str
        A folder. Each sample is written there as soon as it is measured.
    n_workers : int, optional
        The number of processes; one for each core by default; with 1, this process measures. Several processes read
        the script again, so that the call must stand under ``if __name__ == "__main__":``.
    stale : "recompute" or "keep"
        The treatment of samples in the store that were measured with other source code. It counts every line of code
        in the modules of the user and of unijam that the class or the measurement imports, directly or indirectly,
        but not comments and docstrings. The number of such samples is printed.
    progress : bool
        Show a bar.

    Returns
    -------
    list of samples, or dict of name -> list of samples
        In the order of the seeds; a dict if `recipes` is a mapping.

    Raises
    ------
    ValueError
        The measurement is not of this kind, a recipe is incomplete, a number is out of range, or processes cannot
        import the class or the measurement.
    EnsembleError
        Some systems could not be measured: it names recipe, seed and error of each. It is raised after all other
        systems have been measured and stored.
    RuntimeError
        Several processes read a script without that line, or a process was killed.
    KeyboardInterrupt
        At Ctrl-C. Finished samples are in the store, unfinished ones are not; the same call continues from there.

    Examples
    --------
    >>> import tempfile
    >>> import unijam as uj
    >>> from unijam.measurements import measure_jammed
    >>> discs = uj.Recipe(uj.SoftSpheres, {"n": 16, "radii": "uniform", "packing_fraction": 1.0})
    >>> folder = tempfile.mkdtemp()
    >>> samples = uj.run_ensemble(discs, measure_jammed, 2, store=folder, n_workers=1, progress=False)
    >>> [sample.status for sample in samples]
    ['converged', 'converged']
    """
    function, _, kind = taken_apart(measurement)
    tasks = _tasks(recipes, seeds)
    some = n_workers is None or (is_whole(n_workers) and n_workers >= 1)
    require(some, "n_workers", n_workers, "a whole number of at least 1, or None: one a core")
    require(stale in ("recompute", "keep"), "stale", stale, "'recompute' or 'keep'")
    store = Path(store)
    store.mkdir(parents=True, exist_ok=True)
    sources: dict[tuple[Any, ...], str] = {}
    digests: dict[Key, str] = {}
    for key, recipe in tasks.items():
        things = _things(recipe, measurement)
        digests[key] = sources.get(things) or sources.setdefault(things, source_digest(things))
    contents = {key: recipe.content(key[1], measurement) for key, recipe in tasks.items()}
    paths = {key: store / f"{recipe.identity(key[1], measurement)}.npz" for key, recipe in tasks.items()}
    done: dict[Key, Any] = {}
    old: set[Key] = set()
    for key, path in paths.items():
        sample, provenance = kind.read(path)
        same = digests[key] and provenance.get("source") == digests[key]
        if sample is not None and not same:
            old.add(key)
        if sample is not None and (key not in old or stale == "keep"):
            done[key] = sample
    missing = {key: recipe for key, recipe in tasks.items() if key not in done}
    _say_what_is_old(store, len(old), len(tasks), bool(missing), stale)
    workers = min(n_workers or _n_cores(), len(missing))
    if workers > 1:
        _require_importable([function, *(recipe.drawn_class for recipe in missing.values())])
    failures: list[Failure] = []
    try:
        with Progress(progress, "measuring", len(tasks), len(done)) as bar:

            def keep(key: Key, found: Sample | Failure) -> None:
                if isinstance(found, Sample):
                    try:
                        found.save(paths[key], {"source": digests[key], **contents[key]} | MADE_BY)
                        done[key] = found
                    except TypeError as error:
                        found = failure(tasks[key], key, error)
                if isinstance(found, Failure):
                    failures.append(found)
                bar.advance(f"{_named(key)} last")

            run = partial(apart, n_workers=workers) if workers > 1 else here
            run(missing, measurement, keep)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted: {len(done)} of {len(tasks)} samples are in {store}; the same call goes on from there."
        ) from None
    if failures:
        raise EnsembleError(failures, len(tasks), store)
    found: dict[Any, list[Any]] = {}
    for name, seed in tasks:
        found.setdefault(name, []).append(done[name, seed])
    return found[None] if isinstance(recipes, Recipe) else found


MADE_BY = {"python": sys.version.split()[0], "numpy": np.__version__}


def _tasks(recipes: Any, seeds: Any) -> dict[Key, Recipe]:
    """The recipe of each sample, by (name, seed)."""
    given = {None: recipes} if isinstance(recipes, Recipe) else recipes
    require(
        isinstance(given, Mapping) and given, "recipes", recipes, "a Recipe, or a mapping of names to Recipes"
    )
    tasks: dict[Key, Recipe] = {}
    recipe: Any
    for name, entry in given.items():
        recipe, own = entry if isinstance(entry, tuple) and len(entry) == 2 else (entry, seeds)
        require(isinstance(recipe, Recipe), "a recipe", recipe, "a Recipe, or (Recipe, seeds)")
        recipe.require_complete()
        several = isinstance(own, Iterable) and not isinstance(own, str)
        numbers = list(own) if several else list(range(own)) if is_whole(own) and own >= 0 else [-1]
        valid = all(is_whole(seed) and seed >= 0 for seed in numbers) and len(set(numbers)) == len(numbers)
        require(valid, "seeds", own, "how many, or a sequence of different whole numbers from 0 on")
        tasks |= {(name, int(seed)): recipe for seed in numbers}
        if not numbers:
            raise ValueError(f"seeds = {own!r} is not valid: it must be at least one.")
    return tasks


def _things(recipe: Recipe, measurement: Measurement) -> tuple[Any, ...]:
    """The classes and functions whose source code a sample depends on."""
    function, options, _ = taken_apart(measurement)
    given = [*recipe.parameters.values(), *options.values()]
    objects = [type(value) for value in given if dataclasses.is_dataclass(value)]
    called = [value for value in given if isinstance(value, type) or hasattr(value, "__code__")]
    return (recipe.drawn_class, function, *objects, *called)


def _say_what_is_old(store: Path, n_old: int, n_tasks: int, missing: bool, stale: str) -> None:
    """Print how many samples of the store were measured with other source code, or by an earlier version."""
    if n_old:
        what = "they are kept" if stale == "keep" else "they are measured again"
        print(f"{n_old} of {n_tasks} samples in {store} were measured by other source: {what}.")
    before = [entry.name for entry in os.scandir(store) if BEFORE.fullmatch(entry.name)] if missing else []
    if before:
        print(
            f"{len(before)} files in {store} ({before[0]} …) are samples of an earlier version, which do not say "
            "what they were measured on: what is asked for is measured again."
        )


def _n_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _require_importable(things: list[Any]) -> None:
    """Raise a `ValueError` for a class or function of an interactive session: other processes cannot import it."""
    for thing in things:
        here = thing.__module__ == MAIN and module_name(MAIN) == MAIN
        wanted = "defined in a module or a script, where processes find it; or give n_workers=1"
        require(not here, thing.__qualname__, "defined in an interactive session", wanted)


def _named(key: Key) -> str:
    return f"seed {key[1]}" if key[0] is None else f"{key[0]}, seed {key[1]}"

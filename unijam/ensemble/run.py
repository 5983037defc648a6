"""Samples of several recipes on all cores: shown, interruptible, each computed once and kept under its identity."""

import multiprocessing
import os
import sys
from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from ..support.interrupts import deferred, left_to_the_parent, uncut
from ..support.validation import is_whole, require
from .recipe import Recipe
from .sample import Measurement, Sample, taken_apart

Name = TypeVar("Name", bound=Hashable)
Key = tuple[Any, int]  # a recipe's name and a seed
UNGUARDED = 79  # exit status of a process that, while it reads the script again, is asked to start others


def ensemble(
    recipes: Mapping[Name, tuple[Recipe, int]],
    measurement: Measurement,
    store: Path | str,
    *,
    n_workers: int | None = None,
    progress: bool = True,
) -> dict[Name, list[Any]]:
    """Measure systems of several recipes.

    Parameters
    ----------
    recipes : mapping of name -> (recipe, number of seeds)
        The slowest first, if the cores are to be busy to the end.
    measurement : function of a system that returns a Sample
        Of a module (processes import it by its name), with the class of its sample as return annotation; or a
        `functools.partial` of one, whose keywords are its options. Name, options and source are part of the identity.
    store : Path or str
        A folder; samples found there are not computed again, new ones are written as soon as they are done.
    n_workers : int, optional
        Processes, one a core by default; 1 measures in this one. Several read the script again, so that its call must
        stand under ``if __name__ == "__main__":``.
    progress : bool
        Show a bar.

    Returns
    -------
    dict of name -> list of samples, in the order of the seeds.

    Raises
    ------
    ValueError
        Where the measurement is not one, or `n_workers` is below 1.
    RuntimeError
        Where several processes read a script without that line.
    KeyboardInterrupt
        What was done is kept, what was under way is not.
    """
    _, _, kind = taken_apart(measurement)
    some = n_workers is None or (is_whole(n_workers) and n_workers >= 1)
    require(some, "n_workers", n_workers, "a whole number of at least 1, or None: one a core")
    store = Path(store)
    store.mkdir(parents=True, exist_ok=True)
    tasks = {(name, seed): recipe for name, (recipe, n) in recipes.items() for seed in range(n)}
    paths = {key: store / f"{r.identity(key[1], measurement)}.npz" for key, r in tasks.items()}
    done = {key: sample for key, path in paths.items() if (sample := kind.load(path))}
    missing = {key: recipe for key, recipe in tasks.items() if key not in done}
    workers = min(n_workers or len(os.sched_getaffinity(0)), len(missing))
    with _Bar(progress, len(tasks), len(done)) as bar:

        def keep(key: Key, sample: Sample) -> None:
            sample.save(paths[key])
            done[key] = sample
            bar.advance(key[0])

        if workers > 1:
            _apart(missing, measurement, workers, keep)
        else:
            _here(missing, measurement, keep)
    return {name: [done[name, seed] for seed in range(n)] for name, (_, n) in recipes.items()}


def _here(tasks: Mapping[Key, Recipe], measurement: Measurement, keep: Callable[[Key, Sample], None]) -> None:
    """One after the other in this process; what Ctrl-C cuts short is not kept."""
    with deferred():
        for key, recipe in tasks.items():
            keep(key, uncut(partial(_sample, recipe, key, measurement)))


def _apart(
    tasks: Mapping[Key, Recipe],
    measurement: Measurement,
    n_workers: int,
    keep: Callable[[Key, Sample], None],
) -> None:
    """In processes of their own: they end with the first error or interrupt here, which no solver sees."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SystemExit(UNGUARDED)
    others, workers = set(multiprocessing.active_children()), set()
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(n_workers, mp_context=context, initializer=left_to_the_parent)
    try:
        futures: dict[Future, Key] = {}
        for key, recipe in tasks.items():
            futures[pool.submit(_sample, recipe, key, measurement)] = key
            workers |= set(multiprocessing.active_children()) - others
        for future in as_completed(futures):
            with deferred():  # a sample that is done is written whole
                keep(futures[future], future.result())
    except BaseException as error:
        broken = isinstance(error, BrokenProcessPool)  # then none is left: how each ended can be waited for
        pool.shutdown(wait=broken, cancel_futures=True)
        for worker in workers:
            worker.terminate()
        if broken and any(w.exitcode == UNGUARDED for w in workers):
            raise RuntimeError(
                "The script calls for several processes, each of which reads it again: "
                'put the call under `if __name__ == "__main__":`, or give n_workers=1.'
            ) from None
        raise
    pool.shutdown()


def _sample(recipe: Recipe, key: Key, measurement: Measurement) -> Sample:
    # on one thread: the cores have other systems, and a sum must not depend on how it is split
    with threadpool_limits(1):
        try:
            system = recipe.system(key[1])
            with _torch_on_one_thread():
                return measurement(system)
        except Exception as error:
            error.add_note(f"in {key[0]}, seed {key[1]}")
            raise


@contextmanager
def _torch_on_one_thread() -> Iterator[None]:
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 1
    try:
        if torch:
            torch.set_num_threads(1)
        yield
    finally:
        if torch:
            torch.set_num_threads(before)


class _Bar:
    def __init__(self, shown: bool, total: int, completed: int) -> None:
        self.bar = None
        if shown:
            from rich.console import Console
            from rich.progress import Progress

            self.bar = Progress(console=Console(stderr=True), transient=True)
            self.task = self.bar.add_task("measuring", total=total, completed=completed)

    def __enter__(self):
        if self.bar:
            self.bar.start()
        return self

    def __exit__(self, *_):
        if self.bar:
            self.bar.stop()

    def advance(self, name: Any) -> None:
        if self.bar:
            self.bar.update(self.task, advance=1, description=f"measuring, {name} last")

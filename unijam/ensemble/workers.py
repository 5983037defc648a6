"""How systems are drawn and measured, in this process or in several: of each a sample, or a failure."""

import multiprocessing
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from threadpoolctl import threadpool_limits

from ..support.interrupts import deferred, left_to_the_parent, uncut
from ..support.printing import brief
from ..support.validation import require
from .recipe import Recipe
from .sample import Measurement, Sample, taken_apart

Key = tuple[Any, int]  # a recipe's name and a seed
UNGUARDED = 79  # exit status of a process that, while it reads the script again, is asked to start others


@dataclass(frozen=True)
class Failure:
    """A system that could not be measured.

    Attributes
    ----------
    name : object
        Of its recipe.
    recipe : Recipe
    seed : int
    sentence : str
        The error.
    traceback : str
    """

    name: Any
    recipe: Recipe
    seed: int
    sentence: str
    traceback: str

    def __str__(self) -> str:
        name = "" if self.name is None else f"{self.name}, "
        return f"{name}{brief(self.recipe)}, seed {self.seed}: {self.sentence}"


Keep = Callable[[Key, Sample | Failure], None]


def here(tasks: Mapping[Key, Recipe], measurement: Measurement, keep: Keep) -> None:
    """One after the other in this process; what Ctrl-C cuts short is not kept."""
    with deferred():
        for key, recipe in tasks.items():
            keep(key, uncut(partial(_sample, recipe, key, measurement)))


def apart(
    tasks: Mapping[Key, Recipe],
    measurement: Measurement,
    keep: Keep,
    n_workers: int,
) -> None:
    """In processes of their own: they end with the first interrupt here, which no solver sees."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SystemExit(UNGUARDED)
    others, workers = set(multiprocessing.active_children()), set()
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(n_workers, mp_context=context, initializer=left_to_the_parent)
    futures: dict[Future, Key] = {}
    try:
        for key, recipe in tasks.items():
            with deferred():  # a process that is begun is known, so that it can be ended
                futures[pool.submit(_sample, recipe, key, measurement)] = key
                workers |= set(multiprocessing.active_children()) - others
        for future in as_completed(list(futures)):
            with deferred():  # a sample that is done is written whole
                _kept(future, futures.pop(future), tasks, keep)
    except BaseException as error:
        for future in [f for f in futures if f.done() and not f.cancelled() and f.exception() is None]:
            _kept(future, futures.pop(future), tasks, keep)  # finished, and not kept yet
        broken = isinstance(error, BrokenProcessPool)  # then none is left: how each ended can be waited for
        pool.shutdown(wait=broken, cancel_futures=True)
        for worker in workers:
            worker.terminate()
        if broken and any(w.exitcode == UNGUARDED for w in workers):
            raise RuntimeError(
                "The script calls for several processes, each of which reads it again: "
                'put the call under `if __name__ == "__main__":`, or give n_workers=1.'
            ) from None
        if broken:
            raise RuntimeError(
                f"A process was killed (by the system, where memory is short) with {len(futures)} systems left; "
                "what was measured is in the store. Try fewer with n_workers."
            ) from None
        raise
    pool.shutdown()


def _kept(future: Future, key: Key, tasks: Mapping[Key, Recipe], keep: Keep) -> None:
    """Keep what a process measured, or why it could not hand it over."""
    try:
        found = future.result()
    except BrokenProcessPool:
        raise
    except Exception as error:  # arguments or a sample that cannot be pickled
        found = failure(tasks[key], key, error)
    keep(key, found)


def _sample(recipe: Recipe, key: Key, measurement: Measurement) -> Sample | Failure:
    """A sample, or why there is none: an error of a user's class may not survive the way out of a process."""
    # on one thread: the cores have other systems, and a sum must not depend on how it is split
    with threadpool_limits(1):
        try:
            system = recipe.system(key[1])
            with _torch_on_one_thread():
                found = measurement(system)
            kind = taken_apart(measurement)[2]
            require(isinstance(found, kind), "what the measurement returns", found, f"a {kind.__name__}")
            return found
        except Exception as error:
            return failure(recipe, key, error)


def failure(recipe: Recipe, key: Key, error: Exception) -> Failure:
    """What became of a sample that could not be measured: the error in one sentence, and its traceback."""
    said = " ".join(str(error).split())
    sentence = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return Failure(key[0], recipe, key[1], sentence, "".join(traceback.format_exception(error)))


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

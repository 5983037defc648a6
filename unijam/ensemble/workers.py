"""Drawing and measuring systems, in this process or in several: each gives a sample or a failure."""

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
# Exit status of a process that would start other processes while it reads the script again: the script lacks
# `if __name__ == "__main__":`.
UNGUARDED = 79


@dataclass(frozen=True)
class Failure:
    """A system that could not be measured.

    Attributes
    ----------
    name : object
        The name of its recipe; None if there is only one recipe.
    recipe : Recipe
    seed : int
    sentence : str
        The error in one sentence.
    traceback : str
        The traceback of the error, as Python prints it.
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
    """Measure systems one after the other in this process, and call `keep` with each sample or failure.

    A sample during which Ctrl-C was pressed is not kept; a KeyboardInterrupt ends the loop.
    """
    with deferred():
        for key, recipe in tasks.items():
            keep(key, uncut(partial(_sample, recipe, key, measurement)))


def apart(
    tasks: Mapping[Key, Recipe],
    measurement: Measurement,
    keep: Keep,
    n_workers: int,
) -> None:
    """Measure systems in `n_workers` processes, and call `keep` in this process with each sample or failure.

    At the first Ctrl-C here the processes are ended; solvers in them do not hear it.

    Raises
    ------
    KeyboardInterrupt
        At Ctrl-C, after finished samples have been kept.
    RuntimeError
        The script lacks ``if __name__ == "__main__":``, or a process was killed.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SystemExit(UNGUARDED)
    others, workers = set(multiprocessing.active_children()), set()
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(n_workers, mp_context=context, initializer=left_to_the_parent)
    futures: dict[Future[Sample | Failure], Key] = {}
    try:
        for key, recipe in tasks.items():
            with deferred():  # a process that is begun is known, so that it can be ended
                futures[pool.submit(_sample, recipe, key, measurement)] = key
                workers |= set(multiprocessing.active_children()) - others
        for future in as_completed(list(futures)):
            with deferred():  # Ctrl-C does not strike while a sample is stored
                _kept(future, futures.pop(future), tasks, keep)
    except BaseException as error:
        for future in [f for f in futures if f.done() and not f.cancelled() and f.exception() is None]:
            _kept(future, futures.pop(future), tasks, keep)  # finished, and not kept yet
        # A broken pool has no process left: its processes can be waited for, and their exit statuses asked.
        broken = isinstance(error, BrokenProcessPool)
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


def _kept(future: Future[Sample | Failure], key: Key, tasks: Mapping[Key, Recipe], keep: Keep) -> None:
    """Call `keep` with the sample of a process, or with the failure if the sample could not be sent here."""
    try:
        found = future.result()
    except BrokenProcessPool:
        raise
    except Exception as error:  # arguments or a sample that cannot be pickled
        found = failure(tasks[key], key, error)
    keep(key, found)


def _sample(recipe: Recipe, key: Key, measurement: Measurement) -> Sample | Failure:
    """A sample, or the failure. Errors are not raised: one of a user's class may not survive the way to the parent."""
    # One thread: the other cores have other systems, and a sum must not depend on how it is divided among threads.
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
    """The failure of a sample whose measurement raised an error, with its sentence and traceback."""
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

"""Samples of several recipes on all cores: shown, interruptible, each computed once and kept under its identity."""

import multiprocessing
import os
from collections.abc import Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path

from threadpoolctl import threadpool_limits

from .recipe import Recipe
from .sample import JammedSample, measure


def jammed_ensemble(
    recipes: Mapping[str, tuple[Recipe, int]],
    store: Path,
    *,
    n_workers: int | None = None,
    progress: bool = True,
) -> dict[str, list[JammedSample]]:
    """Jam and measure systems of several recipes.

    Parameters
    ----------
    recipes : mapping of name -> (recipe, number of seeds)
        The slowest first, if the cores are to be busy to the end.
    store : Path
        A folder; samples found there are not computed again, new ones are written as soon as they are done.
    n_workers : int, optional
        Processes; one a core by default.
    progress : bool
        Show a bar.

    Returns
    -------
    dict of name -> list of JammedSample, in the order of the seeds.

    Raises
    ------
    KeyboardInterrupt
        Passed on; what was done is kept.
    """
    store.mkdir(parents=True, exist_ok=True)
    tasks = {(name, seed): recipe for name, (recipe, n) in recipes.items() for seed in range(n)}
    paths = {key: store / f"{recipe.identity(key[1])}.npz" for key, recipe in tasks.items()}
    done = {key: sample for key, path in paths.items() if (sample := JammedSample.load(path))}
    missing = [key for key in tasks if key not in done]
    workers = min(n_workers or len(os.sched_getaffinity(0)), max(len(missing), 1))
    with _Bar(progress, len(tasks), len(done)) as bar:
        for key, sample in _computed({k: tasks[k] for k in missing}, workers):
            sample.save(paths[key])
            done[key] = sample
            bar.advance(key[0])
    return {name: [done[name, seed] for seed in range(n)] for name, (_, n) in recipes.items()}


def _computed(tasks: Mapping[tuple[str, int], Recipe], n_workers: int):
    """Pairs (key, sample) as they are done."""
    if not tasks:
        return
    if n_workers == 1:
        for key, recipe in tasks.items():
            yield key, _sample(recipe, key[1])
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(n_workers, mp_context=context)
    try:
        futures: dict[Future, tuple[str, int]] = {
            pool.submit(_sample, recipe, key[1]): key for key, recipe in tasks.items()
        }
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _sample(recipe: Recipe, seed: int) -> JammedSample:
    # one system a process: threads of the linear algebra would only get in each other's way
    with threadpool_limits(1):
        if recipe.kind in ("FullyConnected", "Perceptron"):
            import torch

            torch.set_num_threads(1)
        return measure(recipe.system(seed))


class _Bar:
    def __init__(self, shown: bool, total: int, completed: int) -> None:
        self.bar = None
        if shown:
            from rich.console import Console
            from rich.progress import Progress

            self.bar = Progress(console=Console(stderr=True), transient=True)
            self.task = self.bar.add_task("jamming", total=total, completed=completed)

    def __enter__(self):
        if self.bar:
            self.bar.start()
        return self

    def __exit__(self, *_):
        if self.bar:
            self.bar.stop()

    def advance(self, name: str) -> None:
        if self.bar:
            self.bar.update(self.task, advance=1, description=f"jamming, {name} last")

"""Wall times: the shortest of several, for what is quick; medians are taken by those who need them."""

import time
from collections.abc import Callable


def shortest(call: Callable[[], object], repeats: int) -> float:
    """The shortest of several wall times, s."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best

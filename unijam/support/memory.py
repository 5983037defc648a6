"""How much memory there is, and one sentence, before anything begins, about what would need more."""

import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

SMALL = 2**26  # bytes, 64 MiB, that are always asked for: to look costs more than it saves
DOUBLE = 8  # bytes of a float64, which an array has where nothing else is said
UNLIMITED = 2**60  # the old control groups write a number near 2⁶³ where there is no limit


def available_memory(like: Any = None) -> int | None:
    """Bytes that this process may still take, an int; None where the system does not say.

    Where `like` is a tensor on a CUDA device, the bytes of that device.

    The least of the memory that is free (`MemAvailable` of Linux; else all pages of the machine), of the limits of its
    control groups less what they use, and of its own limit of addresses (`ulimit -v`) less what it has.

    Examples
    --------
    >>> from unijam.support.memory import available_memory
    >>> (available_memory() or 1) > 0
    True
    """
    device = getattr(like, "device", None)
    if getattr(device, "type", None) == "cuda":
        import torch

        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + kept
    found = [n for n in (_free(), *_of_control_groups(), _of_addresses()) if n is not None]
    return max(min(found), 0) if found else None


def require_memory(n_bytes: float, what: str, instead: str = "", like: Any = None) -> None:
    """Raise a `MemoryError` of one sentence if something needs more memory than there is.

    Parameters
    ----------
    n_bytes : float
        Bytes that are needed.
    what : str
        The name of what needs them, at the beginning of the sentence.
    instead : str
        Advice, at its end.
    like : array or tensor, optional
        Whose device is asked.

    Examples
    --------
    >>> from unijam.support.memory import require_memory
    >>> require_memory(8e18, "eigenvalues of H", "ask for extreme_eigenvalues()")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    MemoryError: eigenvalues of H needs 8000000000000000000 bytes (8e+09 GB) of memory, and there are ...
    """
    if n_bytes <= SMALL:
        return
    free = available_memory(like)
    if free is not None and n_bytes > free:
        advice = f": {instead}" if instead else ""
        raise MemoryError(
            f"{what} needs {math.ceil(n_bytes)} bytes ({n_bytes / 1e9:.3g} GB) of memory, and there are {free} "
            f"({free / 1e9:.3g} GB){advice}."
        )


def require_matrices(
    shapes: Iterable[tuple[int, ...]], what: str, instead: str = "", like: Any = None
) -> None:
    """`require_memory` for dense matrices of these shapes, held at the same time, with the numbers of `like`."""
    entries = 0.0
    for shape in shapes:  # loops: this is asked before each small product too
        product = 1.0
        for side in shape:
            product *= side
        entries += product
    require_memory(entries * (DOUBLE if like is None else like.dtype.itemsize), what, instead, like)


def _free() -> int | None:
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return 1024 * int(line.split()[1])
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" in names and "SC_PAGE_SIZE" in names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _of_control_groups() -> Iterator[int]:
    """What each control group of this process, and each above it, leaves: version 2, then version 1."""
    files = (
        ("", "memory.max", "memory.current", "inactive_file"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    )
    for line in _read("/proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        for controller, most, used, cached in files:
            if controller not in controllers.split(","):
                continue
            top = Path("/sys/fs/cgroup") / controller
            folder = top / path.lstrip("/")
            # within a container the path may be that of the host: its own group then is the top
            for group in (top, *(g for g in (folder, *folder.parents) if top in g.parents)):
                limit, taken = _read(group / most).strip(), _read(group / used).strip()
                if limit.isdigit() and taken.isdigit() and int(limit) < UNLIMITED:
                    yield int(limit) - int(taken) + _cache(_read(group / "memory.stat"), cached)


def _cache(statistics: str, name: str) -> int:
    """Bytes of files read long ago, which the kernel gives up first."""
    for line in statistics.splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0


def _of_addresses() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    taken = _read("/proc/self/statm").split()
    if limit == resource.RLIM_INFINITY or not taken:
        return None
    return limit - int(taken[0]) * resource.getpagesize()


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""

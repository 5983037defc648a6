"""Graphs of torch even inside the caller's `torch.no_grad` or `torch.inference_mode`."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def recording() -> Iterator[None]:
    """A context in which torch records the graphs that derivatives need.

    It overrides `torch.no_grad` and `torch.inference_mode` of the caller: a tensor made in inference mode could never
    take part in a derivative.
    """
    with torch.inference_mode(False), torch.enable_grad():
        yield

"""Graphs of torch whatever the caller has switched off: `torch.no_grad`, `torch.inference_mode`."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def recording() -> Iterator[None]:
    """Within it torch records what derivatives need, and tensors made in it may be used by any later derivative."""
    with torch.inference_mode(False), torch.enable_grad():
        yield

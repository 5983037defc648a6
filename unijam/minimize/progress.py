"""One line in the terminal that says where long work stands."""

import time
from typing import Any, Self

from .objective import Point


class Progress:
    """A context manager whose call shows step, energy, relative gradient and N_Δ, at most ten times a second."""

    def __init__(self, shown: bool, title: str) -> None:
        self.title, self.last, self.status = title, 0.0, None
        if shown:
            from rich.console import Console

            self.status = Console(stderr=True).status(title)

    def __enter__(self) -> Self:
        if self.status:
            self.status.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self.status:
            self.status.stop()

    def __call__(self, steps: int, point: Point) -> None:
        if self.status and time.monotonic() - self.last > 0.1:
            self.last = time.monotonic()
            self.say(
                f"step {steps}, U = {point.energy:.3e}, relative gradient {point.residual:.1e}, "
                f"{point.n_overlaps} overlaps"
            )

    def say(self, text: str) -> None:
        """Show a text of one's own."""
        if self.status:
            self.status.update(f"{self.title}: {text}")

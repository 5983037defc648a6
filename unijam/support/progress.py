"""One line in the terminal that says where long work stands."""

import time
from typing import Any, Self


class Progress:
    """A context manager that shows one line, replaced by each `say`."""

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

    @property
    def due(self) -> bool:
        """Whether the line is shown, and is a tenth of a second old."""
        return self.status is not None and time.monotonic() - self.last > 0.1

    def say(self, text: str) -> None:
        """Show a text after the title."""
        self.last = time.monotonic()
        if self.status:
            self.status.update(f"{self.title}: {text}")

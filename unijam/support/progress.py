"""One line in the terminal that shows the progress of long work."""

import time
from typing import Any, Self


class Progress:
    """A context manager that shows one line in the terminal; each `say` replaces it.

    Parameters
    ----------
    shown : bool
        False: nothing is printed, and every method does nothing.
    title : str
    total : int, optional
        The number of parts of the work, which `advance` counts. If given, a bar is shown.
    done : int
        The number of parts that are done already.
    """

    def __init__(self, shown: bool, title: str, total: int | None = None, done: int = 0) -> None:
        self.title, self.last = title, 0.0
        self.line: Any = None  # rich's Status or Progress
        self.task: Any = None
        if not shown:
            return
        from rich.console import Console

        console = Console(stderr=True)
        if total is None:
            self.line = console.status(title)
            return
        from rich.progress import Progress as Bar

        self.line = Bar(console=console, transient=True)
        self.task = self.line.add_task(title, total=total, completed=done)

    def __enter__(self) -> Self:
        if self.line:
            self.line.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self.line:
            self.line.stop()

    @property
    def due(self) -> bool:
        """Whether the line is shown and older than a tenth of a second: more changes could not be read."""
        return self.line is not None and time.monotonic() - self.last > 0.1

    def say(self, text: str) -> None:
        """Replace the line by the title and a text."""
        self.last = time.monotonic()
        self._show(f"{self.title}: {text}", 0)

    def advance(self, text: str) -> None:
        """Count one more part as done, and show a text after the title."""
        self._show(f"{self.title}: {text}", 1)

    def _show(self, text: str, parts: int) -> None:
        if self.line is None:
            return
        if self.task is None:
            self.line.update(text)
        else:
            self.line.update(self.task, advance=parts, description=text)

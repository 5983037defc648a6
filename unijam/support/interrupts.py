"""Ctrl-C: heard between iterations, where everything reached can be handed back."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

T = TypeVar("T")


class _Inbox:
    """Whether Ctrl-C was pressed since the outermost `deferred` began, and whether anybody asked since."""

    pressed = heard = False


def pressed() -> bool:
    """Whether Ctrl-C waits to be answered: whoever asks ends, and says that it was interrupted."""
    _Inbox.heard |= _Inbox.pressed
    return _Inbox.pressed


@contextmanager
def deferred() -> Iterator[None]:
    """Ctrl-C inside does not raise, but waits for `pressed`; one that nobody asked for is raised at the end.

    Raised anywhere, it could hit the moment between a result and its being kept. A second Ctrl-C is not deferred.
    Outside the main thread, or where Ctrl-C is handled already, as in an outer such block, this does nothing.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def keep(number: int, frame: FrameType | None) -> None:
        if _Inbox.pressed:
            signal.default_int_handler(number, frame)
        _Inbox.pressed = True

    _Inbox.pressed = _Inbox.heard = False
    signal.signal(signal.SIGINT, keep)
    try:
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # a second one may strike here
    finally:
        lost = _Inbox.pressed and not _Inbox.heard
        _Inbox.pressed = False
    if lost:
        raise KeyboardInterrupt


def uncut(call: Callable[[], T]) -> T:
    """What a call returns; a KeyboardInterrupt where Ctrl-C came meanwhile, as its solvers then ended early."""
    with deferred():
        try:
            found = call()
        except Exception:
            if pressed():
                raise KeyboardInterrupt from None
            raise
        if pressed():
            raise KeyboardInterrupt
        return found


def is_interrupt(error: BaseException | None) -> bool:
    """Whether an error is Ctrl-C, or stands for it: compiled code that it hits raises SystemError from it."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False

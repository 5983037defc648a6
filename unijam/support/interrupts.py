"""The one place for Ctrl-C: it waits until what was reached can be handed back, and no press is lost.

A block that is `deferred` hears Ctrl-C without an error. Loops in it ask `pressed` and end; the outermost block either
returns a result that says `interrupted`, or raises the KeyboardInterrupt at its end.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

T = TypeVar("T")


class Press:
    """Whether Ctrl-C was pressed within one outermost `deferred` block.

    Attributes
    ----------
    pressed : bool
        Also after the block has ended.
    """

    def __init__(self) -> None:
        self.pressed = False

    def keep(self, number: int, frame: FrameType | None) -> None:
        """The handler of SIGINT within the block: the first press is kept, a second one raises."""
        if self.pressed:
            signal.default_int_handler(number, frame)
        self.pressed = True


class _Now:
    """The press of the block that is open, or one that nobody presses."""

    press = Press()


def pressed() -> bool:
    """Whether Ctrl-C waits to be answered: a loop that asks ends, and says that it was interrupted."""
    return _Now.press.pressed


@contextmanager
def deferred(*, told: bool = False) -> Iterator[Press]:
    """Defer Ctrl-C: inside the block it does not raise, but waits for `pressed`.

    Raised anywhere, it could hit the moment between a result and its being kept. A second Ctrl-C is not deferred.
    Outside the main thread, or where somebody else handles Ctrl-C (an outer such block does), the block changes
    nothing, and yields the press of the outer block.

    Parameters
    ----------
    told : bool
        Whether the caller hands on what the block yields: it reads `.pressed` once the block has ended, and returns a
        result that says `interrupted`.

    Raises
    ------
    KeyboardInterrupt
        At the end of the outermost block, where Ctrl-C was pressed and the caller does not tell it; or in place of an
        error, which then may only be what the interruption left.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield _Now.press
        return
    press, quiet = Press(), _Now.press
    _Now.press = press
    signal.signal(signal.SIGINT, press.keep)
    try:
        try:
            yield press
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # from here on a press raises
    except Exception as error:
        if press.pressed:
            raise KeyboardInterrupt from error
        raise
    finally:
        _Now.press = quiet
    if press.pressed and not told:
        raise KeyboardInterrupt


def uncut(call: Callable[[], T]) -> T:
    """What a call returns; a KeyboardInterrupt where Ctrl-C came meanwhile.

    The methods within then ended early, or a loop of the user did, so that what the call returns may be cut short.
    """
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


def left_to_the_parent() -> None:
    """Ignore Ctrl-C in this process from now on: the terminal sends it to all, and the parent ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def is_interrupt(error: BaseException | None) -> bool:
    """Whether an error is Ctrl-C, or stands for it: compiled code that it hits raises SystemError from it."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False

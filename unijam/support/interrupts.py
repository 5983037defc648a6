"""Ctrl-C: it waits until the result reached so far can be returned, and no press is lost (docs/decisions/025).

Inside a `deferred` block Ctrl-C raises no error. Loops inside it ask `pressed` and end. The caller of the outermost
block either returns a result that says `interrupted`, or the block raises the KeyboardInterrupt at its end.
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
        It keeps its value after the block has ended.
    """

    def __init__(self) -> None:
        self.pressed = False

    def keep(self, number: int, frame: FrameType | None) -> None:
        """Handle SIGINT within the block: the first press is noted, a second one raises KeyboardInterrupt."""
        if self.pressed:
            signal.default_int_handler(number, frame)
        self.pressed = True


class _Now:
    """Holds the `Press` of the open block; outside of blocks one whose `pressed` stays False."""

    press = Press()


def pressed() -> bool:
    """Whether Ctrl-C was pressed and waits: a loop that asks this must end, and say that it was interrupted."""
    return _Now.press.pressed


@contextmanager
def deferred(*, told: bool = False) -> Iterator[Press]:
    """Defer Ctrl-C: inside the block it raises nothing, but `pressed` becomes true.

    If it were raised at once, it could strike between the moment a result is computed and the moment it is stored. A
    second Ctrl-C is not deferred. Outside the main thread, or if SIGINT has another handler (that of an outer block or
    of the user), the block changes nothing, and yields the press of the outer block.

    Parameters
    ----------
    told : bool
        Whether the caller reports the press itself: it reads `.pressed` of what the block yields after the block has
        ended, and returns a result that says `interrupted`.

    Raises
    ------
    KeyboardInterrupt
        At the end of the outermost block, if Ctrl-C was pressed and `told` is False. Also in place of any other error
        after a press, since the interruption may have caused it.
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
            signal.signal(signal.SIGINT, signal.default_int_handler)  # from here on a press raises at once
    except Exception as error:
        if press.pressed:
            raise KeyboardInterrupt from error
        raise
    finally:
        _Now.press = quiet
    if press.pressed and not told:
        raise KeyboardInterrupt


def uncut(call: Callable[[], T]) -> T:
    """The result of calling a function without arguments; a KeyboardInterrupt if Ctrl-C was pressed meanwhile.

    After a press a solver or a loop inside the call has ended early, so that the result may be incomplete.
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
    """Ignore Ctrl-C in this process from now on.

    The terminal sends Ctrl-C to all processes; the parent process hears it too, and ends its workers.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def is_interrupt(error: BaseException | None) -> bool:
    """Whether an error is a KeyboardInterrupt, or was caused by one.

    If Ctrl-C strikes inside compiled code, numba raises a SystemError from the KeyboardInterrupt.
    """
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False

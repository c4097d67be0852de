"""Foreign code that may hang, run in this very thread under a limit.

Knows: the alarm signal, and the watchdog that ends a process whose threads are all stuck.
Does not know: what is run.

A thread of its own could be left behind, but it would keep the import locks that it holds, and
might still register things long after everybody has given it up.
"""

from __future__ import annotations

import faulthandler
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

REPEAT_S: Final = 0.5
"""The alarm rings again and again: some code catches everything."""

GRACE_S: Final = 30.0
"""What no alarm can stop (code that never gives the interpreter back) ends the process."""


class Overdue(BaseException):
    """The time is over. Not an ``Exception``, which much foreign code catches."""


def limited(work: Callable[[], None], seconds: float, grace_s: float = GRACE_S) -> None:
    """Run *work*; raises `Overdue` inside it after *seconds*, and whatever it raises.

    If it goes on for *grace_s* more, the process ends with status 1 and a traceback on stderr.
    That is also all there is on systems without alarms (Windows), and in any thread but the main.
    """
    # a native thread: it needs no turn of the interpreter, which a loop in C never gives back
    told = sys.__stderr__ or sys.stderr
    faulthandler.dump_traceback_later(seconds + grace_s, exit=True, file=told)
    try:
        if hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():
            _with_alarm(work, seconds)
        else:
            work()
    finally:
        faulthandler.cancel_dump_traceback_later()


def _with_alarm(work: Callable[[], None], seconds: float) -> None:
    def ring(_signal: int, _frame: Any) -> None:
        raise Overdue

    before = signal.signal(signal.SIGALRM, ring)
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds, REPEAT_S)
            work()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except Overdue:
        # it may have rung just there, before it was silenced; the next ring is half a second away
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise
    finally:
        signal.signal(signal.SIGALRM, before)

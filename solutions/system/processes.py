"""Processes that the project starts: how they end, and whether they hang.

Belongs here: what such a process does first, and how far it is, whatever its work is.
Does not belong here: starting it and handing it work (`dispatch`, `sandbox`).
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator

import psutil

POLL_SECONDS = 0.5
ASLEEP = (psutil.STATUS_SLEEPING, psutil.STATUS_IDLE)


def work_for(parent: int) -> None:
    """Let this process end soon after the one that started it, and not before.

    A process that is killed cannot end its workers, which would compute on for nobody.
    So each worker looks for itself; that works on Linux and macOS alike. Ctrl-C reaches
    every process in a terminal: one that ignores it does not fail before it is ended.

    Args:
        parent: the process id of the one that started this process. It is handed
            over, because it may have ended before this process can ask.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with(parent)


def end_with(parent: int) -> None:
    """Let this process end soon after the one that started it, whatever ended that.

    Args:
        parent: as for `work_for`.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="end_with", daemon=True).start()


class Progress:
    """How long a process and those below it have worked, and have rested.

    No clock decides that a process hangs, because a slow or busy machine is no fault.
    What counts is the time that processors spent on it, or time in which each of its
    processes waits. One that is stopped, or that could run but is not given a
    processor, does not rest. One that has ended does.

    Args:
        pid: the process id.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._spent: dict[psutil.Process, float] = {}
        self._time = time.monotonic()
        self._rested = False
        self.work = self.rest = 0.0
        self.look(0.0)
        self.work = 0.0  # that was before

    def _processes(self) -> Iterator[psutil.Process]:
        """Yield the process and all that it has started; nothing once it has ended."""
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self._pid)
            yield from [process, *process.children(recursive=True)]

    def look(self, at_most: float) -> None:
        """Add what has happened since the last look.

        Args:
            at_most: seconds; more between two looks means that the process that looks
                was itself stopped, or was not given a processor.
        """
        now, rests, work = time.monotonic(), True, 0.0
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                spent = _spent(process)
                work += spent - self._spent.get(process, 0.0)
                self._spent[process] = spent
                rests = rests and _rests(process)
        passed = min(now - self._time, at_most)
        self.work += work
        self.rest += max(0.0, passed - work) if rests and self._rested else 0.0
        self._time, self._rested = now, rests

    def exceeded(self, limit: float) -> str:
        """Say of what there was more than `limit` seconds, "" if there was not."""
        if self.work > limit:
            return "of work"
        return "of rest" if self.rest > limit else ""


def _spent(process: psutil.Process) -> float:
    """Return the processor time of a process, in seconds."""
    times = process.cpu_times()
    return float(times.user + times.system)


def _rests(process: psutil.Process) -> bool:
    """Say whether every thread of a process waits: none could run, or is stopped."""
    if not psutil.LINUX:  # elsewhere a process that waits is said to run, too
        return bool(process.status() != psutil.STATUS_STOPPED)
    threads = [psutil.Process(thread.id) for thread in process.threads()]
    return all(thread.status() in ASLEEP for thread in threads)

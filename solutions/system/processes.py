"""Processes that the project starts: they must not outlive the one that started them.

Belongs here: what such a process does first, whatever its work is.
Does not belong here: starting it and handing it work (`dispatch`, `sandbox`).
"""

import os
import signal
import threading
import time

POLL_SECONDS = 0.5


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

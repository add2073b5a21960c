"""Processes that the project starts: they must not outlive the one that started them.

Belongs here: what such a process does first, whatever its work is.
Does not belong here: starting it and handing it work (`dispatch`, `sandbox`).
"""

import os
import threading
import time

POLL_SECONDS = 0.5


def end_with(parent: int) -> None:
    """End this process soon after the one that started it has ended.

    A process that is killed cannot end its workers, which would compute on for nobody.
    So each worker looks for itself; that works on Linux and macOS alike.

    Args:
        parent: the process id of the one that started this process. It is handed
            over, because it may have ended before this process can ask.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="end_with", daemon=True).start()

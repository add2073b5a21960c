"""What a kernel of this project is: IPython's, but without anybody's settings.

``python -m tools.regression.kernel -f FILE``; `execution` starts it. Belongs here: what
has to be changed inside the process. Does not belong here: its environment
(`execution`).
"""

from typing import Any

import zmq
from ipykernel.kernelapp import IPKernelApp
from IPython.core.application import ENV_CONFIG_DIRS, SYSTEM_CONFIG_DIRS


class App(IPKernelApp):
    """The application that runs as the kernel."""

    def init_iopub(self, context: Any) -> None:
        """Open the channel of the outputs; it keeps all that nobody has read yet.

        By itself it would drop messages while more than a thousand wait.
        """
        context.setsockopt(zmq.SNDHWM, 0)
        super().init_iopub(context)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    for folders in (ENV_CONFIG_DIRS, SYSTEM_CONFIG_DIRS):
        folders.clear()
    App.launch_instance()

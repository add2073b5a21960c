"""Execute the cells of notebooks: the only code that starts a kernel.

Belongs here: a kernel and its environment, running a cell, and when a cell counts as
hung. Does not belong here: comparing outputs (`nbtol`, `agreement`), storing them
(`refresh`).

A kernel is the Python that runs this, whatever kernels are installed. Of the user's
environment it gets only what `PASSED_ON` names, so that no setting of theirs can change
an output: no start-up file, no profile of IPython, no matplotlibrc, no locale.

A cell is stopped after ``CELL_LIMIT`` seconds (a variable of the environment; 900
without it, or more on a slow machine) of work or of rest, as `Progress` counts them.
"""

import asyncio
import contextlib
import copy
import functools
import importlib.util
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Coroutine, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import psutil
import zmq
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbval.plugin import coalesce_streams, find_comment_markers, find_metadata_tags

from solutions.system.processes import Progress
from tools.notebooks import ROOT, label

CELL_LIMIT = "900"
REFERENCE = 0.035  # seconds in which the machine of reference does the work of `_slow`
PACE = 1.0  # seconds between two looks at what a kernel does
GRACE = 20  # seconds in which a cell that was interrupted can say where it was
FOREVER = 10**8  # seconds; nbclient's own clocks are not to decide anything

# The project's own variables, where things are, how the network is reached, and which
# devices, how many threads and which instructions may be used.
PASSED_ON = re.compile(
    r"D2L_\w+|PATH|HOME|USER|LOGNAME|TMPDIR|TEMP|TMP|XDG_CACHE_HOME|PYTHONHASHSEED|"
    r"LD_\w+|DYLD_\w+|(?i:(?:http|https|all|no)_proxy)|SSL_CERT_(?:FILE|DIR)|"
    r"REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|(?:CUDA|NVIDIA|CUBLAS|PYTORCH|DASK)_\w+|"
    r"(?:OMP|MKL|OPENBLAS)_NUM_THREADS|LOKY_MAX_CPU_COUNT|JOBLIB_TEMP_FOLDER|"
    r"ATEN_CPU_CAPABILITY|ONEDNN_MAX_CPU_ISA"
)
FONTS = ROOT / "_build" / "matplotlib"  # no settings, but its list of fonts

T = TypeVar("T")


class CellFailedError(RuntimeError):
    """A cell did not end as it should; the message names it and says why.

    Attributes:
        traceback: of the cell, "" if there is none.
        is_hung: whether it was stopped at a limit.
    """

    def __init__(self, message: str, traceback: str = "", is_hung: bool = False):
        super().__init__(message)
        self.traceback = traceback
        self.is_hung = is_hung


def cell_limit() -> float:
    """Return after how many seconds of work, or of rest, a cell is stopped.

    Raises:
        ValueError: if ``CELL_LIMIT`` is no number of seconds.
    """
    text = os.environ.get("CELL_LIMIT", "")
    if not text:
        return float(CELL_LIMIT) * max(1.0, _slow())
    if not re.fullmatch(r"\d+(\.\d+)?", text) or not float(text):
        raise ValueError(
            f"CELL_LIMIT is {text!r}, but must be seconds, as in {CELL_LIMIT}"
        )
    return float(text)


@functools.cache
def _slow() -> float:
    """Return how many times longer this machine computes than the one of reference.

    Processor time is measured, so that a machine which is busy does not count as slow.
    """
    import torch  # here, because the lint imports this module and needs no torch

    X, K = torch.ones(64, 16, 28, 28), torch.ones(16, 16, 5, 5)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    times = []
    for _ in range(5):
        start = time.process_time()
        for _ in range(4):
            torch.nn.functional.conv2d(X, K)
        times.append(time.process_time() - start)
    torch.set_num_threads(threads)
    return min(times) / REFERENCE


def environment(scratch: Path) -> dict[str, str]:
    """Return the environment of a kernel.

    Args:
        scratch: an empty folder, for what IPython wants to write.
    """
    # Threads burn time while they wait for one another. Where another process keeps
    # one of their cores, that would be all that a cell does.
    passed_on = {"OMP_NUM_THREADS": "1"}
    passed_on |= {k: v for k, v in os.environ.items() if PASSED_ON.fullmatch(k)}
    is_variant = "D2L_VARIANT" in passed_on  # its `sitecustomize` stands on the path
    return passed_on | {
        "PYTHONPATH": os.environ["PYTHONPATH"] if is_variant else str(ROOT),
        "PYTHONNOUSERSITE": "1",
        "PYTHONUTF8": "1",
        "TZ": "UTC",
        "IPYTHONDIR": str(scratch),
        "MATPLOTLIBRC": str(_matplotlibrc()),
        "MPLCONFIGDIR": str(FONTS),
        "TQDM_DISABLE": "1",  # a progress bar is no output
    }


def _matplotlibrc() -> Path:
    """Return the settings with which matplotlib comes."""
    found = importlib.util.find_spec("matplotlib")
    assert found is not None and found.origin is not None
    return Path(found.origin).parent / "mpl-data" / "matplotlibrc"


def find_fonts(variables: Mapping[str, str]) -> None:
    """Let matplotlib list the fonts, unless it has: a kernel would say so on stderr."""
    if not any(FONTS.glob("fontlist*")):
        command = [sys.executable, "-c", "import matplotlib.font_manager"]
        subprocess.run(command, env=variables, capture_output=True)


class _ThisPython(KernelSpecManager):
    """Knows one kernel, this Python; files that describe others are not looked for."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Return how this Python is started as a kernel."""
        command = [sys.executable, "-m", "tools.regression.kernel", "-f"]
        local = {"kernel_provisioner": {"provisioner_name": "local-provisioner"}}
        return KernelSpec(
            argv=[*command, "{connection_file}"],
            display_name=kernel_name,
            language="python",
            metadata=local,
        )


class _Manager(AsyncKernelManager):
    """Starts the kernel, and connects to it so that no message is lost."""

    def client(self, **options: Any) -> Any:
        """Return the connection; it takes in all messages, however many wait."""
        client = super().client(**options)
        client.context.setsockopt(zmq.RCVHWM, 0)
        return client


class Kernel:
    """A running kernel, which executes the cells of one notebook in their order."""

    def __init__(
        self, notebook: Any, folder: Path, settings: Mapping[str, str] | None = None
    ):
        """Start the kernel.

        Args:
            notebook: the notebook; it is not changed.
            folder: the working directory of the kernel.
            settings: variables that its environment has besides.

        Raises:
            CellFailedError: if it does not start.
        """
        self._limit = cell_limit()
        self._runner = asyncio.Runner(loop_factory=asyncio.SelectorEventLoop)
        self._scratch = TemporaryDirectory(prefix="kernel-")
        scratch = Path(self._scratch.name)
        self._manager = _Manager(
            kernel_spec_manager=_ThisPython(),
            connection_file=str(scratch / "kernel.json"),
            # A port is free only when it is looked for: until the kernel is there,
            # another process may take it. These names nobody else has.
            transport="ipc",
            ip=f"@{uuid.uuid4()}" if psutil.LINUX else str(scratch / "channel"),
        )
        self._client = NotebookClient(
            copy.deepcopy(notebook),
            self._manager,
            timeout=None,
            startup_timeout=FOREVER,
            iopub_timeout=FOREVER,
            allow_errors=True,
            skip_cells_with_tag="",
            record_timing=False,
            store_widget_state=False,
        )
        self._client.on_cell_executed = self._note_reply
        self._reply: Mapping[str, Any] = {}
        self._ended = ""  # why the kernel runs no more cells
        variables = environment(scratch) | dict(settings or {})
        try:
            find_fonts(variables)
            self._run(self._start(folder, variables))
        except BaseException:
            self.close()
            raise

    async def _start(self, folder: Path, variables: Mapping[str, str]) -> None:
        """Start the process, and wait until it answers."""
        nothing = subprocess.DEVNULL
        await self._client.async_start_new_kernel(
            env=variables, cwd=str(folder), stdout=nothing, stderr=nothing
        )
        try:
            limit = max(self._limit, float(CELL_LIMIT))  # no cell, so not a short one
            started = self._client.async_start_new_kernel_client()
            await self._attended(started, limit)
        except RuntimeError as error:
            self._ended = "it did not start"
            raise CellFailedError(f"the kernel did not start: {error}") from None

    def _note_reply(self, *, execute_reply: Any, **_: Any) -> None:
        """Keep what the kernel said when it had executed a cell."""
        self._reply = execute_reply["content"]

    def execute(self, number: int) -> Any:
        """Execute a cell.

        Args:
            number: which, counted from 1.

        Returns:
            A copy of the cell, with the outputs that it had when it ended, one stream
            of each kind.

        Raises:
            CellFailedError: if it raises an error without saying so, ends the kernel,
                or is stopped at the limit.
        """
        cell = self._client.nb.cells[number - 1]
        cell.outputs, cell.execution_count = [], None
        name = label(number, cell.source)
        if self._ended:
            raise CellFailedError(f"{name}: not run, for {self._ended}")
        self._reply = {"status": "ok"}
        try:
            executed = self._client.async_execute_cell(cell, number - 1)
            self._run(self._attended(executed, self._limit))
            self._check_reply(cell)
        except DeadKernelError:
            self._ended = f"the kernel died in {name}"
            raise CellFailedError(f"{name}: the kernel died") from None
        except CellFailedError as error:
            error.args = (f"{name}: {error}",)
            raise
        finally:
            if self._ended:
                self._run(self._end())
        copied = copy.deepcopy(cell)
        copied.outputs = coalesce_streams(copied.outputs)
        return copied

    def _check_reply(self, cell: Any) -> None:
        """Refuse a cell that raised an error without saying so, or that ends Python."""
        if any(p.get("source") == "ask_exit" for p in self._reply.get("payload", [])):
            self._ended = "a cell before it ended Python"
            raise CellFailedError("it ends Python: leave out exit() and quit()")
        if self._reply["status"] == "error" and not announces_error(cell):
            reason = f"{self._reply['ename']}: {self._reply['evalue']}"
            raise CellFailedError(reason, "\n".join(self._reply["traceback"]))

    async def _attended(self, work: Coroutine[Any, Any, Any], limit: float) -> None:
        """Await what the kernel does, but interrupt it at the limit.

        Raises:
            CellFailedError: if it was interrupted; the kernel is to be closed then.
        """
        task = asyncio.ensure_future(work)
        progress = Progress(self._manager.provisioner.pid)  # type: ignore[union-attr]
        pace = min(PACE, limit / 10)
        try:
            while not task.done():
                await asyncio.wait([task], timeout=pace)
                progress.look(2 * pace)
                if not task.done() and (spent := progress.exceeded(limit)):
                    self._ended = "a cell before it was stopped"
                    await self._manager.interrupt_kernel()
                    await asyncio.wait([task], timeout=GRACE)
                    text = f"stopped after {limit:g} seconds {spent}"
                    traceback = "\n".join(self._reply.get("traceback", []))
                    raise CellFailedError(text, traceback, is_hung=True)
            task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end; Ctrl-C cancels it."""
        loop = self._runner.get_loop()
        task = loop.create_task(coroutine)
        try:
            return loop.run_until_complete(task)
        except KeyboardInterrupt:
            self._ended = "it was interrupted"
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, DeadKernelError):
                loop.run_until_complete(task)
            raise

    async def _end(self) -> None:
        """End the process; one that has only executed cells may tidy up before."""
        if self._client.kc is not None:
            self._client.kc.stop_channels()
        if self._manager.has_kernel:
            await self._manager.shutdown_kernel(now=bool(self._ended))

    def close(self) -> None:
        """End the kernel."""
        self._run(self._end())
        self._runner.close()
        self._scratch.cleanup()


def announces_error(cell: Any) -> bool:
    """Say whether a cell is marked as one that raises an error."""
    marks = [*find_metadata_tags(cell.metadata), *find_comment_markers(cell.source)]
    return ("check_exception", True) in marks

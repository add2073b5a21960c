"""Run a reader's function in a process of its own, where it can do no harm.

Belongs here: sending a function there, stopping it, reporting what happened. Does not
belong here: which inputs it gets, whether its result is right (`check`). This module
imports little, because the process imports it.

Why a process: only a process can be stopped for certain. A thread cannot be stopped at
all, and a signal neither interrupts C code nor works on Windows. loky, which comes with
joblib, starts the process without running the reader's main module again, and sends
functions by value, also those that were defined in a notebook. The process is kept for
the next call, since starting one means importing PyTorch; it is replaced after a
function that hung or ended it, and ends by itself when it was idle for a minute.
"""

import atexit
import contextlib
import copy
import importlib.util
import io
import os
import sys
import sysconfig
import time
import traceback
import warnings
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import cloudpickle
import torch
from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import TerminatedWorkerError
from torch import Tensor

from solutions.check.forms import Call, portable
from solutions.check.operations import recorded
from solutions.system.processes import Progress, work_for

IDLE_SECONDS = 60
PACE = 0.2  # seconds between two looks at what a call does

Load: TypeAlias = Callable[[], Any]
How: TypeAlias = Literal["returned", "raised", "hung", "died", "missing"]


@dataclass(frozen=True)
class Outcome:
    """What happened when a function was called once.

    Attributes:
        how: whether it returned, raised, hung, ended its process, or is not in its
            file.
        value: what it returned; a tensor is a copy.
        message: for all but "returned", what went wrong, in a few words.
        printed: what it printed.
        changed: the indices of the arguments that it changed in place.
        shared: the indices of the arguments whose memory the result uses.
        operations: the operations on the arguments, if recorded.
        origin: the kinds of operations that lead to the result.
    """

    how: How
    value: Any = None
    message: str = ""
    printed: str = ""
    changed: tuple[int, ...] = ()
    shared: tuple[int, ...] = ()
    operations: frozenset[str] = frozenset()
    origin: frozenset[str] = frozenset()


def apply(function: Call, *arguments: object) -> object:
    """Call a function: what the sandbox does with it unless told otherwise."""
    return function(*arguments)


class NotThereError(Exception):
    """A file does not define the name that was asked for."""


class Sandbox:
    """One process that runs functions, started when it is first needed."""

    def __init__(self) -> None:
        self._executor: ProcessPoolExecutor | None = None
        self._pid = 0
        self._last_used = 0.0

    def run(
        self,
        load: Load,
        arguments: tuple[object, ...],
        time_limit: float,
        call: Call = apply,
        record: bool = False,
    ) -> Outcome:
        """Call a function in the process, and stop it if it hangs.

        Args:
            load: returns the function, in the process; see `sent` and `in_file`.
            arguments: what the function is called with. They are copied.
            time_limit: seconds of work, or of rest, after which it counts as hung.
            call: is called there with the function and the arguments.
            record: whether to report the operations.
        """
        executor = self._started()
        try:
            future = executor.submit(_run, load, arguments, call, record)
            if not self._ends(future, time_limit):
                self.stop()
                return Outcome("hung", message=f"takes longer than {time_limit:g} s")
            self._last_used = time.monotonic()
            return future.result()
        except TerminatedWorkerError:
            self.stop()
            return Outcome("died", message="ends the process that runs it")
        except KeyboardInterrupt:
            self.stop()
            raise

    def _ends(self, future: Future[Outcome], time_limit: float) -> bool:
        """Wait for a call; say whether it ended before it counts as hung."""
        if wait([future], PACE).done:  # most calls, and to look costs more than they do
            return True
        progress = Progress(self._pid)
        while not wait([future], PACE).done:
            progress.look(2 * PACE)
            if progress.exceeded(time_limit):
                return False
        return True

    def _started(self) -> ProcessPoolExecutor:
        """Return the executor, with a process that is ready."""
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                max_workers=1,
                timeout=IDLE_SECONDS,
                initializer=_settle,
                initargs=(os.getpid(),),
                env={"OMP_NUM_THREADS": "1"},
            )
            atexit.register(self.stop)
        elif time.monotonic() - self._last_used < IDLE_SECONDS / 2:
            return self._executor
        try:
            # After a while the process has ended, and another one starts here.
            self._pid = self._executor.submit(os.getpid).result()
        except TerminatedWorkerError:
            self.stop()
            return self._started()
        self._last_used = time.monotonic()
        return self._executor

    def stop(self) -> None:
        """End the process at once, whatever it does."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, kill_workers=True)
            self._executor = None
            atexit.unregister(self.stop)


def _settle(parent: int) -> None:
    """Prepare the process: one thread, nothing to read, nothing on the terminal."""
    work_for(parent)
    torch.set_num_threads(1)
    sys.dont_write_bytecode = True  # where the reader works, nothing is left behind
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)


def sent(function: Call) -> Load:
    """Return how to load a function that exists in this process.

    What a reader's own module defines is sent as it is now, not by its name: the
    process may know an older version of the module, or none.

    Raises:
        TypeError: if it cannot be sent, because of something that it uses.
    """
    inner = getattr(function, "func", function)  # of a functools.partial
    module = sys.modules.get(getattr(inner, "__module__", None) or "")
    file = getattr(module, "__file__", None) or __file__
    is_own = getattr(inner, "__module__", "") != "__main__" and not _is_library(file)
    try:
        if is_own:
            cloudpickle.register_pickle_by_value(module)
        return partial(cloudpickle.loads, cloudpickle.dumps(function))
    except Exception as error:
        raise TypeError(f"{type(error).__name__}: {error}") from None
    finally:
        if is_own:
            cloudpickle.unregister_pickle_by_value(module)


def in_file(path: Path, name: str) -> Load:
    """Return how to load what a file defines; the file runs in the process only."""
    return partial(_from_file, path.resolve(), name)


def _from_file(path: Path, name: str) -> Any:
    """Run a file, unless this process ran it already, and return what it defines."""
    key = f"{path}?{path.stat().st_mtime_ns}"
    if key not in sys.modules:
        sys.path.insert(0, str(path.parent))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[key] = module
    try:
        return getattr(sys.modules[key], name)
    except AttributeError:
        raise NotThereError(f"{path.name} does not define {name}") from None


def _run(
    load: Load, arguments: tuple[object, ...], call: Call, record: bool
) -> Outcome:
    """Call the function; this runs in the process."""
    torch.manual_seed(0)
    printed = io.StringIO()
    before = copy.deepcopy(arguments)
    try:
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            function = load()
            with recorded(arguments) if record else contextlib.nullcontext() as seen:
                value = call(function, *arguments)
            found = portable(value)
    except NotThereError as error:
        return Outcome("missing", message=str(error))
    except BaseException as error:  # SystemExit and KeyboardInterrupt are answers too
        return Outcome("raised", message=_described(error), printed=printed.getvalue())
    return Outcome(
        "returned",
        value=found,
        printed=printed.getvalue(),
        changed=tuple(
            i
            for i, pair in enumerate(zip(before, arguments, strict=True))
            if not _same(*pair)
        ),
        shared=tuple(i for i, a in enumerate(arguments) if _shares(value, a)),
        operations=seen.operations(found) if seen else frozenset(),
        origin=seen.origin(value) if seen else frozenset(),
    )


def _described(error: BaseException) -> str:
    """Say which exception it was, and in which line of the reader's code."""
    text = str(error).strip().splitlines()
    what = f"raises {type(error).__name__}" + (f": {text[0]}" if text else "")
    frames = [*traceback.walk_tb(error.__traceback__)]
    for code, line in [(frame.f_code, line) for frame, line in reversed(frames)]:
        path = Path(code.co_filename)
        if code.co_filename.startswith("<frozen ") or _is_library(path):
            continue
        if path.is_file():
            return f"{what} ({path.name}, line {line})"
        # In a notebook, lines are counted from the head of the function.
        return f"{what} (line {line - code.co_firstlineno + 1} of {code.co_name})"
    return what


def _is_library(path: str | Path) -> bool:
    """Say whether a file belongs to this project, to Python or to what is installed."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = [Path(__file__).parents[1], Path(torch.__file__).parents[1]]
    folders += [Path(sysconfig.get_path(name)) for name in names]
    return any(Path(path).is_relative_to(folder) for folder in folders)


def _same(before: object, after: object) -> bool:
    """Say whether an argument is as it was; only tensors and lists can change."""
    if isinstance(before, Tensor) and isinstance(after, Tensor):
        return torch.equal(before.detach(), after.detach())
    return not isinstance(before, list) or before == after


def _shares(value: object, argument: object) -> bool:
    """Say whether a result lies in the memory of an argument."""
    places = [
        tensor.untyped_storage().data_ptr()
        for tensor in (value, argument)
        if isinstance(tensor, Tensor) and tensor.layout == torch.strided
    ]
    return len(places) == 2 and places[0] == places[1] != 0

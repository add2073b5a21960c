"""Run notebooks and compare them with their stored outputs.

A pytest plugin on top of nbval, loaded by `conftest.py`. Belongs here: running the
cells, limits, reports. Does not belong here: deciding when two outputs agree
(`agreement`), writing outputs (`refresh`), the form of a notebook (`lint_notebooks`).

nbval runs the cells and compares strings. Before it compares, `agreement` rewrites each
fresh number that agrees with the stored one, so nbval's own report shows only what
really changed. Stderr, errors and the order of the outputs must be equal.

A notebook with a cell that was not run is refused: nbval would pass it unseen.
Cells are counted from 1, Markdown cells included. A cell that does not end is stopped
after ``CELL_LIMIT`` seconds, a variable of the environment, or after 900.

``--deviations FILE`` writes, in JSON, how far each cell's numbers were from the stored
ones, and the kind of device that the notebooks were told to train on.
"""

import contextlib
import json
import os
import re
import signal
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from queue import Empty
from typing import Any, NoReturn

import pytest
from nbval.plugin import IPyNbCell, IPyNbFile, NbCellError

from solutions.files import write_whole
from tools.agreement import (
    SVG,
    Tolerance,
    deviation,
    kinds,
    snap_outputs,
    svg_deviation,
    tolerance_of,
)

CELL_LIMIT = "900"
GRACE = 5  # seconds in which a cell that was interrupted can say where it was


def label(number: int, source: str) -> str:
    """Name a cell by its number, counted from 1, and the first line of its source."""
    first = source.strip().splitlines()[0] if source.strip() else "(empty)"
    return f"cell {number} `{first}`"


def run_faults(cells: Sequence[Any]) -> Iterator[tuple[int, str]]:
    """Find the code cells that were not run once each, from the first to the last.

    Args:
        cells: the cells of the notebook.

    Yields:
        The number of the cell, and what is wrong with it.
    """
    expected = 1
    for number, cell in enumerate(cells, start=1):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        count = cell.execution_count
        if count is None:
            yield number, "was never run: it has no execution count"
        elif count != expected:
            yield (
                number,
                f"was run out of order: count {count}, but expected {expected}",
            )
        expected += 1


def cell_limit() -> float:
    """Return after how many seconds a cell is stopped: ``CELL_LIMIT``, else 900.

    Raises:
        ValueError: if ``CELL_LIMIT`` is no number of seconds.
    """
    text = os.environ.get("CELL_LIMIT") or CELL_LIMIT
    if not re.fullmatch(r"\d+(\.\d+)?", text) or not float(text):
        raise ValueError(
            f"CELL_LIMIT is {text!r}, but must be seconds, as in {CELL_LIMIT}"
        )
    return float(text)


def is_redrawn(metadata: Mapping[str, Any]) -> bool:
    """Say whether another matplotlib than here drew a notebook's stored figures.

    Args:
        metadata: the metadata of the notebook; without ``checked`` it was this one.
    """
    drawn_by = metadata.get("checked", {}).get("versions", {}).get("matplotlib")
    return drawn_by not in (None, version("matplotlib"))


class TolerantCell(IPyNbCell):  # type: ignore[misc]
    """A cell whose fresh numbers are snapped to the stored ones before nbval compares.

    Attributes:
        tolerance: the tolerance its metadata asks for.
        redrawn: whether another matplotlib than here drew its stored figures.
        device: the kind of device that trains: `cpu`, `cuda` or `mps`.
        measured: what the summary and ``--deviations`` say about it.
    """

    tolerance: Tolerance
    redrawn: bool
    device: str
    measured: dict[str, Any]

    def compare_outputs(self, test: Any, ref: Any, skip_compare: Any = None) -> bool:
        """Note how far the numbers are apart, then snap, and compare as nbval does."""
        self.measured["deviation"] = deviation(test, ref)
        if not self.redrawn:
            self.measured["svg_deviation"] = svg_deviation(test, ref)
        snapped = snap_outputs(test, ref, self.tolerance, redrawn=self.redrawn)
        agrees = bool(super().compare_outputs(snapped, ref, skip_compare))
        if agrees and (new := kinds(test)) != (old := kinds(ref)):
            self.comparison_traceback.append(f"The outputs' order was {old}, is {new}.")
            return False
        return agrees

    def runtest(self) -> None:
        """Run the cell; if the kernel dies say so at once, if it hangs stop it."""
        self.measured = self.counted()
        if not self.options["skip"]:
            self.user_properties.append(("nbtol", self.measured))
        try:
            super().runtest()
        except KernelDiedError:
            self.give_up("the kernel died")
        except CellHungError as error:
            self.parent.timed_out = True  # what follows is then expected to fail
            limit = self.config.option.nbval_cell_timeout
            self.give_up(f"stopped after {limit:g} seconds", str(error))

    def give_up(self, reason: str, *traceback: str) -> NoReturn:
        """Stop the kernel, and say in which cell of which notebook it was, and why."""
        self.parent.kernel.stop()
        where = label(self.cell_num, self.cell.source)
        message = f"{self.path.name}: {where}: {reason}"
        raise NbCellError(self.cell_num, message, self.cell.source, *traceback)

    def counted(self) -> dict[str, Any]:
        """Return what the summary counts of this cell."""
        compared = bool(self.cell.outputs) and bool(self.options["check"])
        return {
            "notebook": os.path.relpath(self.path, self.config.rootpath),
            "cell": self.cell.get("id", self.name),
            "compared": compared,
            "wider": self.tolerance != Tolerance(),
            "redrawn": sum(SVG in o.get("data", {}) for o in self.cell.outputs)
            if self.redrawn
            else 0,
            "device": self.device,
            "atol": self.tolerance.atol,
            "deviation": None,
            "svg_atol": self.tolerance.svg_atol,
            "svg_deviation": None,
        }

    def repr_failure(self, excinfo: Any) -> str:
        """Add to nbval's report how to store a change that is meant."""
        report = super().repr_failure(excinfo)
        if "Cell outputs differ" not in str(excinfo.value):
            return report
        notebook = os.path.relpath(self.path)
        return f"{report}\nIf the change is meant: python -m tools.refresh {notebook}\n"


class KernelDiedError(RuntimeError):
    """The kernel ended while a message from it was awaited."""


class CellHungError(RuntimeError):
    """A cell did not end within the limit; the message is its traceback, if any."""


class TolerantFile(IPyNbFile):  # type: ignore[misc]
    """A notebook that must have been run, and is compared with tolerance."""

    def collect(self) -> Iterator[TolerantCell]:
        """Yield the code cells, numbered by their place in the notebook from 1.

        Raises:
            CollectError: if a cell was not run, or its tolerance is not valid.
        """
        # Here, because the lint imports this module and needs no torch.
        from solutions.reproducibility import choose_device

        self.device = device = choose_device().type
        found = list(super().collect())
        cells = self.nb.cells
        for number, fault in run_faults(cells):
            self.refuse(number, fault)
        numbers = [n for n, c in enumerate(cells, start=1) if c.cell_type == "code"]
        for number, cell in zip(numbers, found, strict=True):
            tolerant = TolerantCell.from_parent(
                self,
                name=f"Cell {number}",
                cell_num=number,
                cell=cell.cell,
                options=cell.options,
            )
            tolerant.redrawn = is_redrawn(self.nb.metadata)
            tolerant.device = device
            try:
                tolerant.tolerance = tolerance_of(cell.cell.metadata, device)
            except ValueError as error:
                self.refuse(number, str(error))
            yield tolerant

    def refuse(self, number: int, fault: str) -> None:
        """Refuse the notebook for a fault of one cell."""
        where = f"{self.path.name}: {label(number, self.nb.cells[number - 1].source)}"
        raise self.CollectError(f"{where} {fault}")

    def setup(self) -> None:
        """Start the kernel, and from then on notice when it dies or hangs.

        Raises:
            RuntimeError: if a test before has changed the device: then the kernel would
                not compute where the tolerances, and the table, say that it does.
        """
        from solutions.reproducibility import choose_device

        if (now := choose_device().type) != self.device:
            raise RuntimeError(
                f"{self.path.name} was collected for {self.device}, but would run on "
                f"{now}: something has changed D2L_DEVICE"
            )
        super().setup()
        self.kernel.get_message = watched(self.kernel)
        self.kernel.interrupt = partial(stop_hung, self.kernel, self.kernel.interrupt)


def watched(kernel: Any) -> Any:
    """Return nbval's `kernel.get_message`, but asking each second if the kernel lives.

    Args:
        kernel: the running kernel.

    Returns:
        The function; it raises `KernelDiedError` instead of waiting for the time limit.
    """
    get_message = kernel.get_message

    def get_message_while_alive(stream: str, timeout: float) -> Any:
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            try:
                return get_message(stream, timeout=max(0.0, min(1.0, left)))
            except Empty:
                if not kernel.is_alive():
                    raise KernelDiedError from None
                if left <= 0:
                    raise

    return get_message_while_alive


def stop_hung(kernel: Any, interrupt: Callable[[], None]) -> NoReturn:
    """Interrupt a cell that ran too long: nbval calls this in place of `interrupt`.

    Args:
        kernel: the running kernel.
        interrupt: interrupts it.

    Raises:
        CellHungError: always; with the cell's traceback, unless the interruption does
            not get through to it.
    """
    interrupt()
    deadline = time.monotonic() + GRACE
    traceback: list[str] = []
    with contextlib.suppress(Empty, KernelDiedError):
        while not traceback and (left := deadline - time.monotonic()) > 0:
            message = kernel.get_message("iopub", timeout=left)
            traceback = message["content"].get("traceback", [])
    raise CellHungError("\n".join(traceback))


def pytest_configure(config: pytest.Config) -> None:
    """Prepare for notebooks: refuse an absent device, and stop in order if killed."""
    os.environ["TQDM_DISABLE"] = "1"  # kernels inherit it: a progress bar is no output
    if not config.getoption("nbval"):
        return
    from solutions.reproducibility import choose_device

    try:
        choose_device()
        limit = cell_limit()
    except (RuntimeError, ValueError) as error:
        raise pytest.UsageError(str(error)) from None
    if not any("--nbval-cell-timeout" in a for a in config.invocation_params.args):
        config.option.nbval_cell_timeout = limit

    def stop(*_: object) -> NoReturn:
        pytest.exit("stopped by SIGTERM", returncode=128 + signal.SIGTERM)

    def restore() -> None:
        signal.signal(signal.SIGTERM, before)

    before = signal.signal(signal.SIGTERM, stop)  # by itself it would leave the kernels
    config.add_cleanup(restore)


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(
    file_path: Path, parent: pytest.Collector
) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Put a `TolerantFile` in the place of each notebook that nbval collected."""
    nodes = yield
    return [
        TolerantFile.from_parent(parent, path=file_path)
        if type(node) is IPyNbFile
        else node
        for node in nodes
    ]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer ``--deviations``."""
    text = "write how far numbers are from the stored ones, in JSON"
    parser.addoption("--deviations", metavar="FILE", type=Path, help=text)


def pytest_terminal_summary(
    terminalreporter: Any, exitstatus: int, config: pytest.Config
) -> None:
    """Report in one line how much was compared, so that nothing passes unseen."""
    counts = [
        {**value, "passed": report.passed}
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, value in report.user_properties
        if name == "nbtol"
    ]
    if counts:
        terminalreporter.write_line(
            f"nbtol: {len({c['notebook'] for c in counts})} notebooks, "
            f"{len(counts)} cells run, "
            f"{sum(c['compared'] for c in counts)} compared with stored outputs, "
            f"{sum(c['wider'] for c in counts)} with a wider tolerance"
        )
    if redrawn := sum(c["redrawn"] for c in counts):
        terminalreporter.write_line(
            f"nbtol: {redrawn} figures compared by their words alone, because another "
            f"matplotlib than {version('matplotlib')} drew the stored ones"
        )
    if path := config.getoption("deviations"):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(counts, indent=1, default=str) + "\n")

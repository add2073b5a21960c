"""Run notebooks and compare them with their stored outputs.

A pytest plugin on top of nbval, loaded by `conftest.py`. Belongs here: collecting
notebooks, comparing each cell, reports. Does not belong here: running a cell
(`execution`), deciding when two outputs agree (`agreement`), writing outputs
(`refresh`), the form of a notebook (`lint_notebooks`).

`execution` runs a cell, and nbval compares strings. Before it compares, `agreement`
rewrites each fresh number that agrees with the stored one, so nbval's own report shows
only what really changed. Stderr, errors and the order of the outputs must be equal.

A notebook with a cell that was not run is refused: nbval would pass it unseen. Cells
are counted from 1, Markdown cells included. In `chapters/` only what `_toc.yml` names
is collected.

``--deviations FILE`` writes, in JSON, how far each cell's numbers were from the stored
ones, a hash of its outputs as they came, and the kind of device that the notebooks were
told to train on.
"""

import copy
import hashlib
import json
import os
import signal
import sys
from collections.abc import Generator, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

import pytest
from nbval.plugin import IPyNbCell, IPyNbFile, coalesce_streams

from solutions.system.files import write_whole
from tools.notebooks import CHAPTERS, NotebookError, chapters, label, read, run_faults
from tools.regression.agreement import (
    Tolerance,
    deviation,
    kinds,
    snap_outputs,
    tolerance_of,
)
from tools.regression.execution import CellFailedError, Kernel, cell_limit

LINES = 10  # of what stands on stderr, in a report
# Options of nbval that would compare less, or that nothing here reads.
NO_USE = {
    "nbval_lax": False,
    "nbval_sanitize_with": None,
    "nbval_kernel_name": None,
    "nbval_cell_timeout": 2000,
}


class TolerantCell(IPyNbCell):  # type: ignore[misc]
    """A cell whose fresh numbers are snapped to the stored ones before nbval compares.

    Attributes:
        tolerance: the tolerance its metadata asks for.
        device: the kind of device that trains: `cpu`, `cuda` or `mps`.
        measured: what the summary and ``--deviations`` say about it.
    """

    tolerance: Tolerance
    device: str
    measured: dict[str, Any]

    def compare_outputs(self, test: Any, ref: Any, skip_compare: Any = None) -> bool:
        """Note how far the numbers are apart, then snap, and compare as nbval does."""
        self.measured["deviation"] = _text(deviation(test, ref))
        snapped = snap_outputs(test, ref, self.tolerance)
        agrees = bool(super().compare_outputs(snapped, ref, skip_compare))
        if agrees and (new := kinds(test)) != (old := kinds(ref)):
            self.comparison_traceback.append(f"The outputs' order was {old}, is {new}.")
            return False
        if not agrees and "stderr" not in kinds(ref):
            self.comparison_traceback += said_on_stderr(test)
        return agrees

    def runtest(self) -> None:
        """Run the cell as `refresh` does, and compare as nbval does."""
        if self.options["skip"]:
            pytest.skip()
        self.measured = self.counted()
        self.user_properties.append(("nbtol", self.measured))
        try:
            outputs = self.parent.kernel.execute(self.cell_num).outputs
        except CellFailedError as error:
            self.parent.timed_out |= error.is_hung  # what follows is expected to fail
            self.raise_cell_error(f"{self.path.name}: {error}", error.traceback)
        self.measured["outputs"] = fingerprint(outputs)
        stored = coalesce_streams(copy.deepcopy(self.cell.outputs))
        if self.options["check"] and not self.compare_outputs(outputs, stored):
            text = "\n".join(self.comparison_traceback)
            self.raise_cell_error("Cell outputs differ", text)

    def counted(self) -> dict[str, Any]:
        """Return what the summary counts of this cell."""
        compared = bool(self.cell.outputs) and bool(self.options["check"])
        return {
            "notebook": os.path.relpath(self.path, self.config.rootpath),
            "number": self.cell_num,
            "cell": self.cell.get("id", self.name),
            "compared": compared,
            "wider": self.tolerance != Tolerance(),
            "device": self.device,
            "atol": str(self.tolerance.atol),
            "deviation": None,
            "outputs": None,
        }

    def repr_failure(self, excinfo: Any) -> str:
        """Add to nbval's report how to store a change that is meant."""
        report = super().repr_failure(excinfo)
        if "Cell outputs differ" not in str(excinfo.value):
            return report
        notebook = os.path.relpath(self.path)
        command = f"python -m tools.regression.refresh {notebook}"
        return f"{report}\nIf the change is meant: {command}\n"


def said_on_stderr(outputs: Sequence[Any]) -> list[str]:
    """Return the first lines of what a cell wrote to stderr, below a heading."""
    text = "".join(o.text for o in outputs if o.get("name") == "stderr")
    return ["On stderr stands:", *text.splitlines()[:LINES]] if text else []


def _text(distance: Decimal | None) -> str | None:
    """Return a distance as what JSON, and so pytest-xdist, can carry."""
    return None if distance is None else str(distance)


def fingerprint(outputs: Sequence[Any]) -> str:
    """Return a hash of outputs as they came, by which two runs can be compared.

    Args:
        outputs: the outputs of a cell. Its number, and the traceback of an error, which
            names files of that run, are left out.
    """
    left_out = ("execution_count", "traceback")
    kept = [{k: v for k, v in o.items() if k not in left_out} for o in outputs]
    text = json.dumps(kept, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class TolerantFile(IPyNbFile):  # type: ignore[misc]
    """A notebook that must have been run, and is compared with tolerance."""

    def collect(self) -> Iterator[TolerantCell]:
        """Yield the code cells, numbered by their place in the notebook from 1.

        Raises:
            CollectError: if it is no notebook, a cell was not run, or its tolerance is
                not valid.
        """
        # Here, because the lint imports this module and needs no torch.
        from solutions.notebook.reproducibility import choose_device

        self.device = device = choose_device().type
        try:
            read(self.path)
        except NotebookError as error:
            raise self.CollectError(str(error)) from None
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
        """Start the kernel.

        Raises:
            RuntimeError: if a test before has changed the device: then the kernel would
                not compute where the tolerances, and the table, say that it does.
        """
        from solutions.notebook.reproducibility import choose_device

        if (now := choose_device().type) != self.device:
            raise RuntimeError(
                f"{self.path.name} was collected for {self.device}, but would run on "
                f"{now}: something has changed D2L_DEVICE"
            )
        self.kernel = Kernel(self.nb, self.path.parent)

    def teardown(self) -> None:
        """End the kernel."""
        if self.kernel is not None:
            self.kernel.close()


class TerminatedError(pytest.exit.Exception, KeyboardInterrupt):  # type: ignore
    """SIGTERM has come. It is an interrupt too, so no event loop holds it back."""


def pytest_configure(config: pytest.Config) -> None:
    """Prepare for notebooks: refuse what cannot work, and stop in order if killed."""
    if sys.flags.optimize:
        raise pytest.UsageError("-O and PYTHONOPTIMIZE remove the asserts: do without")
    if not config.getoption("nbval"):
        return
    from solutions.notebook.reproducibility import choose_device

    try:
        choose_device()
        cell_limit()
    except (RuntimeError, ValueError) as error:
        raise pytest.UsageError(str(error)) from None
    for name, unset in NO_USE.items():
        if config.getoption(name) != unset:
            option = name.replace("_", "-")
            raise pytest.UsageError(
                f"--{option} has no use here: see tools/regression/nbtol.py"
            )
    # A file that is no notebook fails, and the others are run.
    config.option.continue_on_collection_errors = True

    def stop(*_: object) -> NoReturn:
        raise TerminatedError("stopped by SIGTERM", 128 + signal.SIGTERM)

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
    is_asked_for = parent.session.isinitpath(file_path)
    if file_path.parent == CHAPTERS and not is_asked_for:
        nodes = nodes if file_path in chapters() else []
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
    if path := config.getoption("deviations"):
        path.parent.mkdir(parents=True, exist_ok=True)
        counts.sort(key=lambda count: (count["notebook"], count["number"]))
        write_whole(path, json.dumps(counts, indent=1) + "\n")

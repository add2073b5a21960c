"""Compare notebooks with their stored outputs, numbers within a stated tolerance.

A pytest plugin on top of nbval, loaded by `conftest.py`. Belongs here: deciding when
two outputs agree. Does not belong here: writing outputs (`refresh`), the form of a
notebook (`lint_notebooks`).

nbval runs the cells and compares strings. Before it compares, each fresh number that
agrees with the stored one is rewritten as the stored one ("snapped"), so nbval's own
report shows only what really changed. What agrees:

1. Only literals with a fraction or an exponent are numbers here. An integer, a shape,
   a word and a ``19.`` without fraction digits must be equal.
2. The slack is one unit in the last printed place, if that unit is at most 0.001, or
   0.001 of a reference larger than 1. So ``0.1234`` has slack, ``0.89`` has none.
3. More slack needs cell metadata with a reason:
   ``"nbval": {"atol": 0.02, "why": "..."}``, and if CUDA needs still more
   ``"cuda": {"atol": 0.04, "why": "..."}`` inside it, used where the device is `cuda`.
4. White space, and the length of the rule below a table's heading, may change with the
   width of a number. Nothing else may.
5. In an SVG every coordinate has the slack 0.02 points (``svg_atol``, in points, allows
   more), and matplotlib's ids, which are hashes of coordinates, may be renamed.
   Another version of matplotlib than the one in the notebook's ``checked`` draws the
   same figure with other outlines: then only the words and numbers in it are compared.
6. Source code (Markdown that is one code block), stderr, errors and the order of the
   outputs must be equal.

A notebook with a cell that was not run is refused: nbval would pass it unseen.
Cells are counted from 1, Markdown cells included. A cell that does not end is stopped
after ``CELL_LIMIT`` seconds, a variable of the environment, or after 900.

``--deviations FILE`` writes, in JSON, how far each cell's numbers were from the stored
ones, and the kind of device that the notebooks were told to train on.
"""

import contextlib
import copy
import json
import math
import os
import re
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from importlib.metadata import version
from pathlib import Path
from queue import Empty
from typing import Any, NoReturn, TypeAlias

import pytest
from nbval.plugin import IPyNbCell, IPyNbFile, NbCellError

from solutions.files import write_whole

CELL_LIMIT = "900"
GRACE = 5  # seconds in which a cell that was interrupted can say where it was
MAX_ATOL = Decimal("0.05")
MAX_SVG_ATOL = Decimal(10)
SVG_ATOL = Decimal("0.02")
TEXTS = ("text/plain", "text/markdown", "text/html")
SVG = "image/svg+xml"

FLOAT = re.compile(
    r"(?<![\w.])[-+]?(?:\d+\.\d+(?:[eE][-+]?\d{1,3})?|\d+\.?[eE][-+]?\d{1,3})"
    r"(?!\w|\.\d)"
)
SVG_NUMBER = re.compile(r"(?<![\w#.-])-?\d+(?:\.\d+)?(?![\d.])")
# An embedded image is left alone; an id is a letter or `_` and ten digits of a hash.
SVG_ID = re.compile(r'base64,[^"]*|(?<=[hmp_])([0-9a-f]{10})\b')
# matplotlib draws words as outlines, and writes before each what it says.
SVG_WORDS = re.compile(r"<!-- (.*?) -->", re.DOTALL)

Output: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Tolerance:
    """How far a number may be from the stored one, beyond one unit in its last place.

    Attributes:
        atol: for numbers in text.
        svg_atol: for the coordinates of an SVG, in points.
    """

    atol: Decimal = Decimal(0)
    svg_atol: Decimal = SVG_ATOL


def tolerance_of(metadata: Mapping[str, Any], device: str = "cpu") -> Tolerance:
    """Read and check the tolerance that a cell's metadata asks for.

    Args:
        metadata: the metadata of the cell.
        device: where the cell runs; for `cuda` the entry ``cuda`` comes first.

    Returns:
        The tolerance, the default one without an entry ``nbval``.

    Raises:
        ValueError: if a key is unknown, a reason is missing or a number out of range.

    >>> tolerance_of({"nbval": {"atol": 0.02, "why": "trained"}}).atol
    Decimal('0.02')
    >>> tolerance_of({"nbval": {"atol": 0.02}})
    Traceback (most recent call last):
    ValueError: metadata nbval has no "why": give the reason for the tolerance
    """
    if "nbval" not in metadata:
        return Tolerance()
    entry = metadata["nbval"]
    caps = {"atol": MAX_ATOL, "svg_atol": MAX_SVG_ATOL}
    found = _checked("nbval", entry, caps, ("cuda",))
    if "cuda" in entry:
        cuda = _checked("nbval.cuda", entry["cuda"], caps)
        found |= cuda if device == "cuda" else {}
    return Tolerance(**found)


def _checked(
    name: str, entry: Any, caps: Mapping[str, Decimal], other: Sequence[str] = ()
) -> dict[str, Decimal]:
    """Return the tolerances in one metadata entry after checking all of its keys."""
    allowed = sorted({*caps, *other, "why"})
    if not isinstance(entry, Mapping) or not set(entry) & (set(allowed) - {"why"}):
        raise ValueError(
            f"metadata {name} is {entry!r}, but must set some of {allowed}"
        )
    if unknown := sorted(set(entry) - set(allowed)):
        raise ValueError(
            f"metadata {name} has unknown keys {unknown}, not in {allowed}"
        )
    if not isinstance(entry.get("why"), str) or not entry["why"].strip():
        raise ValueError(
            f'metadata {name} has no "why": give the reason for the tolerance'
        )
    return {
        key: _within(f"{name}.{key}", entry[key], cap)
        for key, cap in caps.items()
        if key in entry
    }


def _within(name: str, value: Any, cap: Decimal) -> Decimal:
    """Return a tolerance as a Decimal after checking its type and size."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # As it is written: 0.05 as a binary fraction is a little more than that.
    if not is_number or math.isnan(value) or not 0 < Decimal(str(value)) <= cap:
        raise ValueError(
            f"metadata {name} is {value!r}, but must be above 0 and at most {cap}"
        )
    return Decimal(str(value))


def slack(reference: str, atol: Decimal) -> Decimal:
    """Return how far a fresh number may be from a stored literal.

    Args:
        reference: the stored literal, as printed.
        atol: the tolerance of the cell, 0 without metadata.

    Returns:
        One unit in the last printed place if that is fine enough, or `atol` if larger.

    >>> slack("0.1234", Decimal(0)), slack("0.89", Decimal(0))
    (Decimal('0.0001'), Decimal('0'))
    """
    number = Decimal(reference)
    unit = Decimal(1).scaleb(int(number.as_tuple().exponent))
    is_fine = unit <= max(Decimal(1), abs(number)) / 1000
    return max(unit if is_fine else Decimal(0), atol)


def snap(fresh: str, reference: str, atol: Decimal = Decimal(0)) -> str:
    """Rewrite the numbers of a text as the stored ones where they agree.

    Args:
        fresh: the text just computed.
        reference: the stored text.
        atol: the tolerance of the cell.

    Returns:
        `reference` if the texts agree, else `fresh` with the numbers that agree
        rewritten; `fresh` as it is if the texts have not equally many numbers.

    >>> snap("loss 0.1235, shape (3, 19)", "loss 0.1234, shape (3, 20)")
    'loss 0.1234, shape (3, 19)'
    """
    numbers = FLOAT.findall(fresh), FLOAT.findall(reference)
    if len(numbers[0]) != len(numbers[1]):
        return fresh
    pairs = iter(zip(*numbers, strict=True))

    def snapped(_: re.Match[str]) -> str:
        new, old = next(pairs)
        return old if abs(Decimal(new) - Decimal(old)) <= slack(old, atol) else new

    result = FLOAT.sub(snapped, fresh)
    return reference if _squeeze(result) == _squeeze(reference) else result


def _squeeze(text: str) -> str:
    """Return a text without the white space and rules that only align its columns.

    A blank between two words or integers stays: ``1 2`` is not ``12``. A number is no
    word here, so that a sign which comes or goes can take a blank with it.
    """
    numbers = FLOAT.findall(text)
    text = re.sub(r"\s+", " ", re.sub(r"-{2,}", "--", FLOAT.sub("\0", text)))
    return re.sub(r"(?<!\w) | (?!\w)", "", text) + " ".join(numbers)


def snap_svg(fresh: str, reference: str, atol: Decimal = SVG_ATOL) -> str:
    """Rewrite the coordinates and ids of an SVG as the stored ones where they agree.

    Args:
        fresh: the SVG just drawn.
        reference: the stored SVG.
        atol: how far a coordinate may be from the stored one, in points. Two integers
            must be equal: they are glyphs and their outlines.

    Returns:
        `reference` if the pictures agree, else `fresh` with what agrees rewritten.
    """
    renamed = _rename_ids(fresh, reference)
    coordinates = _coordinates(renamed, reference)
    if coordinates is None:
        return renamed
    pairs = iter(coordinates)

    def snapped(_: re.Match[str]) -> str:
        new, old = next(pairs)
        is_near = abs(Decimal(new) - Decimal(old)) <= atol
        return old if "." in new + old and is_near else new

    return SVG_NUMBER.sub(snapped, renamed)


def _coordinates(fresh: str, reference: str) -> list[tuple[str, str]] | None:
    """Pair the numbers of two SVGs; None if they have not equally many."""
    numbers = SVG_NUMBER.findall(fresh), SVG_NUMBER.findall(reference)
    if len(numbers[0]) != len(numbers[1]):
        return None
    return list(zip(*numbers, strict=True))


def _rename_ids(fresh: str, reference: str) -> str:
    """Give the n-th new id in one SVG the name of the n-th new id in the other."""
    ids = [
        list(dict.fromkeys(m[1] for m in SVG_ID.finditer(svg) if m[1]))
        for svg in (fresh, reference)
    ]
    names = dict(zip(*ids, strict=False))
    return SVG_ID.sub(lambda m: names.get(m[1], m[0]), fresh)


def snap_redrawn(fresh: str, reference: str) -> str:
    """Return the stored SVG for one of another matplotlib that says the same.

    Args:
        fresh: the SVG just drawn.
        reference: the stored SVG, drawn by another version of matplotlib.

    Returns:
        `reference` if the same words and numbers stand in both, else `fresh`.
    """
    same = SVG_WORDS.findall(fresh) == SVG_WORDS.findall(reference)
    return reference if same else fresh


def snap_outputs(
    fresh: Sequence[Output],
    reference: Sequence[Output],
    tolerance: Tolerance,
    *,
    redrawn: bool = False,
) -> list[Any]:
    """Snap the outputs of a cell, paired as nbval pairs them: by kind, then in order.

    Args:
        fresh: the outputs just computed; they are not changed.
        reference: the stored outputs.
        tolerance: the tolerance of the cell.
        redrawn: whether another matplotlib than here drew the stored figures.

    Returns:
        A copy of `fresh`, snapped.
    """
    snapped = copy.deepcopy(list(fresh))
    for kind, holder, old in _pairs(snapped, reference):
        key = "text" if kind == "stdout" else kind
        if kind == SVG and redrawn:
            holder[key] = snap_redrawn(holder[key], old)
        elif kind == SVG:
            holder[key] = snap_svg(holder[key], old, tolerance.svg_atol)
        else:
            holder[key] = snap(holder[key], old, tolerance.atol)
    return snapped


def deviation(fresh: Sequence[Output], reference: Sequence[Output]) -> Decimal | None:
    """Return how far a cell's numbers in text are from the stored ones, at most.

    Args:
        fresh: the outputs just computed.
        reference: the stored outputs.

    Returns:
        The largest distance; None without numbers, or if their count changed.
    """
    distances = []
    for kind, holder, old in _pairs(fresh, reference):
        if kind == SVG:
            continue
        new = holder["text" if kind == "stdout" else kind]
        numbers = FLOAT.findall(new), FLOAT.findall(old)
        if len(numbers[0]) != len(numbers[1]):
            return None
        pairs = zip(*numbers, strict=True)
        distances += [abs(Decimal(a) - Decimal(b)) for a, b in pairs]
    return max(distances, default=None)


def svg_deviation(
    fresh: Sequence[Output], reference: Sequence[Output]
) -> Decimal | None:
    """Return how far a cell's figures are from the stored ones, at most, in points.

    Args:
        fresh: the outputs just computed.
        reference: the stored outputs, drawn by the same version of matplotlib.

    Returns:
        The largest distance of a coordinate; None without SVGs, or if their numbers do
        not pair.
    """
    distances = []
    for kind, holder, old in _pairs(fresh, reference):
        if kind != SVG:
            continue
        coordinates = _coordinates(_rename_ids(holder[kind], old), old)
        if coordinates is None:
            return None
        distances += [abs(Decimal(a) - Decimal(b)) for a, b in coordinates]
    return max(distances, default=None)


def _pairs(
    fresh: Sequence[Output], reference: Sequence[Output]
) -> Iterator[tuple[str, Any, str]]:
    """Yield the kind of each fresh text, the dict it is in, and the stored text."""
    stored = defaultdict(list)
    for kind, holder, key in _slots(reference):
        stored[kind].append(holder[key])
    for kind, holder, _ in _slots(fresh):
        if stored[kind]:
            yield kind, holder, stored[kind].pop(0)


def _slots(outputs: Sequence[Output]) -> Iterator[tuple[str, Any, str]]:
    """Yield the kind of each text that may be snapped, the dict it is in, its key."""
    for output in outputs:
        if output["output_type"] == "stream" and output["name"] == "stdout":
            yield "stdout", output, "text"
        data = output.get("data", {})
        if not data.get("text/markdown", "").startswith("```"):
            for kind in {*TEXTS, SVG} & set(data):
                yield kind, data, kind


def kinds(outputs: Sequence[Output]) -> list[str]:
    """Return the kind of each output: nbval compares those of one kind at a time."""
    return [o.get("name") or ", ".join(sorted(o.get("data", {}))) for o in outputs]


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

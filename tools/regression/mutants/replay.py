"""Run the comparison of `make test` over mutants of notebooks.

Belongs here: the run of pytest with nbval, and the kernel that it uses. Does not belong
here: making mutants (`outputs`), deciding when two outputs agree (`agreement`).

A kernel for each mutant would take hours, and would print the same each time. So the
kernel is replaced by one that repeats what the notebook without the mistake has stored;
all the rest is the code that `make test` runs.
"""

import contextlib
import io
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
import pytest

from tools.regression import nbtol
from tools.regression.mutants import ROOT, Mutant, Verdict, outputs, rank

# It was imported before pytest could prepare its assertions; it has none.
QUIET = ["-W", "ignore:Module already imported", "-p", "no:cacheprovider"]


class ReplayedKernel:
    """Answers each cell with the outputs that a notebook has stored for it."""

    def __init__(self, originals: Mapping[str, Any], notebook: Any, folder: Path):
        self.cells = originals[folder.name].cells

    def execute(self, number: int) -> Any:
        """Return the cell as the notebook without the mistake has stored it."""
        return self.cells[number - 1]

    def close(self) -> None:
        """End nothing: there is no process."""


class Reports:
    """Collects what pytest says about each folder that it ran."""

    def __init__(self) -> None:
        self.red: dict[str, list[str]] = {}
        self.green: dict[str, int] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a cell that failed, or passed."""
        folder, _, cell = report.nodeid.partition("/")
        if report.failed:
            self.red.setdefault(folder, []).append(cell.partition("::")[2])
        elif report.when == "call":
            self.green[folder] = self.green.get(folder, 0) + 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a notebook that was refused."""
        if report.failed:
            folder = report.nodeid.partition("/")[0]
            self.red.setdefault(folder, []).append(f"refused: {report.longrepr}")


def judge(tried: Sequence[Mutant], real: bool = False) -> list[Verdict]:
    """Run the regression over mutants of notebooks, all in one run of pytest.

    Args:
        tried: the mutants.
        real: whether a kernel runs the cells, instead of a replay.

    Returns:
        The verdicts. A mutant is found only if it is red where the mistake stands.

    Raises:
        RuntimeError: if a notebook without a mistake is not green.
    """
    paths = sorted({mutant.path for mutant in tried})
    texts = {f"original{i}": (ROOT / p).read_text("utf-8") for i, p in enumerate(paths)}
    places = dict(zip(texts, paths, strict=True))
    for number, mutant in enumerate(tried):
        texts[f"mutant{number}"] = mutant.text
        places[f"mutant{number}"] = mutant.path
    with TemporaryDirectory() as folder:
        for name, text in texts.items():
            path = Path(folder, name, Path(places[name]).name)
            path.parent.mkdir()
            path.write_text(text, encoding="utf-8")
        reports, log = run_nbval(Path(folder), places, real)
    for i, path_ in enumerate(paths):
        if f"original{i}" in reports.red or not reports.green.get(f"original{i}"):
            raise RuntimeError(f"{path_} is not green without a mistake:\n{log}")
    return [
        Verdict(mutant, found(mutant, reports.red.get(f"mutant{number}", [])))
        for number, mutant in enumerate(tried)
    ]


def judge_notebook(name: str, again: int) -> list[Verdict]:
    """Make and judge the mutants of a notebook.

    Args:
        name: its name in `chapters/`.
        again: how many of them are judged once more, by a kernel that runs the cells.

    Returns:
        The verdicts.

    Raises:
        RuntimeError: if the kernel and its replay do not lead to the same verdict.
    """
    verdicts = judge(list(outputs.mutants(ROOT / "chapters" / name)))
    some = sorted(verdicts, key=lambda v: rank("again", v.mutant.name))[:again]
    repeated = judge([v.mutant for v in some], real=True) if some else []
    for replayed, real in zip(some, repeated, strict=True):
        if replayed != real:
            raise RuntimeError(f"{replayed.mutant}: {replayed.by!r}, now {real.by!r}")
    return verdicts


def found(mutant: Mutant, red: Sequence[str]) -> str:
    """Return which of the failures is that of the mutant's mistake, or ""."""
    refusal = f"{mutant.place.lower()} `"
    own = (r for r in red if r == mutant.place or refusal in r)
    return next(own, "").partition("\n")[0]


def run_nbval(
    folder: Path, places: Mapping[str, str], real: bool
) -> tuple[Reports, str]:
    """Run pytest with nbval over a folder of notebooks.

    Args:
        folder: has one folder for each notebook.
        places: the notebook of the project that each of these folders holds.
        real: whether a kernel runs the cells.

    Returns:
        The reports, and what pytest printed.
    """
    reports, log = Reports(), io.StringIO()
    read = {p: nbformat.read(ROOT / p, as_version=4) for p in set(places.values())}
    originals = {name: read[place] for name, place in places.items()}
    settings = ["-c", f"{ROOT}/pyproject.toml", f"--rootdir={folder}"]
    settings += ["-p", nbtol.__name__]
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(log):
        if not real:
            replay = partial(ReplayedKernel, originals)
            patch.setattr(nbtol, "Kernel", replay)
        pytest.main(["--nbval", *settings, *QUIET, str(folder)], [reports])
    return reports, log.getvalue()

"""What runs on other machines found: how far numbers are from the stored ones.

Belongs here: reducing, keeping and showing it, and comparing it with the tolerances.
Does not belong here: starting runs (`portability`), when outputs agree (`agreement`).
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tabulate import tabulate

from solutions.system.files import write_whole
from tools.notebooks import ROOT, chapters, read
from tools.regression.agreement import Tolerance, tolerance_of

RESULTS = ROOT / "chapters" / "portability.json"
TABLES = ROOT / "chapters" / "portability"


def summary(cells: Sequence[Mapping[str, Any]], runs: int = 1) -> dict[str, Any]:
    """Reduce what ``--deviations`` wrote to what the book shows.

    Args:
        cells: one entry per cell and run. Which of them are trained, the notebooks of
            today say, and not those of the day of the run.
        runs: how many runs there were.

    Returns:
        Today's date, the device and `runs`, how many cells were compared, the largest
        deviation of a plain number, that of the numbers of each trained cell and of the
        coordinates of each trained figure, and the cells that did not agree.
    """

    def name(cell: Mapping[str, Any]) -> str:
        return f"{cell['notebook']} {cell['cell']}"

    trained = list(trained_cells({}))
    [device] = {c["device"] for c in cells}
    numbers = {c.name for c in trained}
    compared = [c for c in cells if c["compared"]]
    measured = [c for c in compared if c["deviation"] is not None]
    return {
        "on": datetime.now(UTC).date().isoformat(),
        "device": device,
        "runs": runs,
        "cells": len({name(c) for c in compared}),
        "plain": max(
            (float(c["deviation"]) for c in measured if name(c) not in numbers),
            default=0.0,
        ),
        "trained": largest(
            (name(c), c["deviation"]) for c in measured if name(c) in numbers
        ),
        "failed": sorted({name(c) for c in cells if not c["passed"]}),
    }


def largest(distances: Iterable[tuple[str, str]]) -> dict[str, float]:
    """Return the largest of each cell's distances, by the cell's name.

    >>> largest([("a", "0.1"), ("b", "0"), ("a", "0.2")])
    {'a': 0.2, 'b': 0.0}
    """
    found: dict[str, float] = {}
    for name, distance in distances:
        found[name] = max(float(distance), found.get(name, 0.0))
    return found


def runs_table(runs: Mapping[str, Any]) -> str:
    """Write the table of all runs, in Markdown.

    >>> one = {"runs": 1, "cells": 9, "plain": 0.0, "trained": {"a b": 0.001}}
    >>> one["failed"] = []
    >>> print(runs_table({"a GPU": one}))
    | run   | runs   | cells   | plain numbers   | trained numbers   | outputs   |
    |-------|--------|---------|-----------------|-------------------|-----------|
    | a GPU | 1      | 9       | 0               | 0.001             | agree     |
    """
    rows = [
        [
            name,
            run.get("runs", 1),
            run["cells"],
            f"{run['plain']:g}",
            f"{max(run['trained'].values()):g}" if run["trained"] else "",
            f"{len(run['failed'])} differ" if run["failed"] else "agree",
        ]
        for name, run in runs.items()
    ]
    heads = ["run", "runs", "cells", "plain numbers", "trained numbers", "outputs"]
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True)


def proofs_table(runs: Mapping[str, Any]) -> str:
    """Write what the processes of each variant computed with, by their own account."""
    proofs = {name: run["proof"] for name, run in runs.items() if "proof" in run}
    rows = [[name, *found.values()] for name, found in proofs.items()]
    heads = ["run", *next(iter(proofs.values()))]
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True)


@dataclass(frozen=True)
class Trained:
    """The numbers of a trained cell.

    Attributes:
        name: the notebook's path and the cell's id.
        place: the section, and the number of the cell as failures name it.
        heading: the last heading above the cell, up to a colon.
        tolerance: how far they may be from the stored ones.
        distances: how far they were, by the name of the run.
        roundings: how many runs that were.
        is_seen_on_gpu: whether one of these runs was on a GPU.
    """

    name: str
    place: str
    heading: str
    tolerance: Decimal
    distances: Mapping[str, Decimal]
    roundings: int
    is_seen_on_gpu: bool


def trained_cells(runs: Mapping[str, Any]) -> Iterator[Trained]:
    """Yield what has a tolerance in a notebook, with how far it was off in each run.

    Args:
        runs: what `stored` returns.
    """
    for path in chapters():
        for number, heading, cell in headed(read(path).cells):
            name = f"{path.relative_to(ROOT)} {cell.id}"
            section = path.name[:3].replace("_", ".")
            where = name, f"{section}, cell {number}", heading
            for allowed, judged in judged_alike(cell.metadata, runs):
                if allowed.atol:
                    found = distances(judged, name)
                    yield Trained(*where, allowed.atol, *found)


def judged_alike(
    metadata: Mapping[str, Any], runs: Mapping[str, Any]
) -> Iterator[tuple[Tolerance, dict[str, Any]]]:
    """Yield each tolerance of a cell, with the runs that it is for.

    These are all runs, unless the cell has a tolerance of its own for CUDA.
    """
    on_gpu = {name: run for name, run in runs.items() if run["device"] == "cuda"}
    if "cuda" not in metadata.get("nbval", {}):
        yield tolerance_of(metadata), dict(runs)
    else:
        yield tolerance_of(metadata), {n: r for n, r in runs.items() if n not in on_gpu}
        yield tolerance_of(metadata, "cuda"), on_gpu


def headed(cells: Sequence[Any]) -> Iterator[tuple[int, str, Any]]:
    """Yield each code cell with its number, and the last heading above it."""
    heading = ""
    for number, cell in enumerate(cells, start=1):
        if cell.cell_type == "code":
            yield number, heading, cell
        elif found := re.findall(r"^#+ +(.*)$", cell.source, re.MULTILINE):
            heading = found[-1].partition(":")[0]


def distances(
    runs: Mapping[str, Any], name: str
) -> tuple[dict[str, Decimal], int, bool]:
    """Return how far one cell was off, in how many runs, whether one was on a GPU."""
    found = {run: result for run, result in runs.items() if name in result["trained"]}
    return (
        {run: Decimal(str(result["trained"][name])) for run, result in found.items()},
        sum(result.get("runs", 1) for result in found.values()),
        any(result["device"] == "cuda" for result in found.values()),
    )


def tolerances_table(cells: Sequence[Trained]) -> str:
    """Write each tolerance, and the largest distance, from which it follows.

    >>> found = {"a GPU": Decimal("0.0012"), "one thread": Decimal(0)}
    >>> place = ("a.ipynb b", "6.6, cell 3", "6.6.1")
    >>> print(tolerances_table([Trained(*place, Decimal("0.004"), found, 21, True)]))
    | cell        | exercise   | runs   | GPU   | largest   | tolerance   |
    |-------------|------------|--------|-------|-----------|-------------|
    | 6.6, cell 3 | 6.6.1      | 21     | yes   | 0.0012    | 0.004       |
    """
    rows = []
    for c in cells:
        most = f"{float(max(c.distances.values(), default=0)):.3g}"
        seen = [c.roundings, "yes" if c.is_seen_on_gpu else "no"]
        rows.append([c.place, c.heading, *seen, most, c.tolerance])
    heads = ["cell", "exercise", "runs", "GPU", "largest", "tolerance"]
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True)


def store(runs: Mapping[str, Any]) -> None:
    """Write the results, and the tables that the page on reproducibility includes."""
    texts = tables(runs)
    write_whole(RESULTS, json.dumps(runs, indent=1) + "\n")
    TABLES.mkdir(exist_ok=True)
    for name, text in texts.items():
        write_whole(TABLES / f"{name}.md", text + "\n")


def tables(runs: Mapping[str, Any]) -> dict[str, str]:
    """Return the text of each table of the page, by the name of its file."""
    return {
        "runs": runs_table(runs),
        "proofs": proofs_table(runs),
        "tolerances": tolerances_table(list(trained_cells(runs))),
    }


def stored() -> dict[str, Any]:
    """Read the results that are kept, those of other machines among them."""
    runs: dict[str, Any] = json.loads(RESULTS.read_text("utf-8"))
    return runs

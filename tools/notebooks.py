"""The notebooks of the book: which there are, reading one, naming its cells.

Belongs here: what every tool that reads notebooks needs, also the marks of exercises.
Does not belong here: executing them (`execution`), their form (`lint_notebooks`).
"""

import json
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
import yaml

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = ROOT / "chapters"
FILE = re.compile(r"6_([1-6])_[a-z0-9-]+\.ipynb")
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
EXERCISE = re.compile(r"^:{3,}\{exercise\}.*\n(?::(?!label).*\n)*:label: *(\S+)", re.M)
SOLUTION = re.compile(r":{3,}\{solution-start\} *(\S+)\n(?::\w.*\n)*:{3,}\s*")
SOLUTION_END = re.compile(r":{3,}\{solution-end\}\n:{3,}\s*")


class NotebookError(ValueError):
    """A file is no notebook; the message names it and says why, in one line.

    Attributes:
        fault: the message without the name of the file.
    """

    def __init__(self, path: Path, reason: str):
        self.fault = f"is no notebook: {reason}"
        super().__init__(f"{path.name}: {self.fault}")


def chapters() -> list[Path]:
    """Return the notebooks that are chapters, as `_toc.yml` orders them."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [entry["file"] for part in toc["parts"] for entry in part["chapters"]]
    paths = [ROOT / f"{file}.ipynb" for file in files]
    return [path for path in paths if path.exists()]


def read(path: Path) -> Any:
    """Read a notebook.

    Args:
        path: the file.

    Returns:
        The notebook, of format 4.5.

    Raises:
        NotebookError: if the file cannot be read, or is no valid notebook.
    """
    try:
        text = path.read_text(encoding="utf-8")
        _validate(text)
    except OSError as error:
        raise NotebookError(path, str(error.strerror)) from None
    except (ValueError, nbformat.ValidationError, Warning) as error:
        reason = str(error).strip().splitlines()[0].partition(". ")[0]
        raise NotebookError(path, reason) from None
    return nbformat.reads(text, as_version=4)


def _validate(text: str) -> None:
    """Raise an error that says why a text is no notebook, unless it is one."""
    if not text.strip():
        raise ValueError("it is empty")
    try:
        content = json.loads(text)
    except ValueError:
        if re.search("^<{7} ", text, re.MULTILINE):
            raise ValueError("it has a merge conflict") from None
        raise
    if not isinstance(content, dict):
        raise ValueError("it holds no object of JSON")
    form = content.get("nbformat"), content.get("nbformat_minor")
    if form != (4, 5):
        raise ValueError("its format is {}.{}, but must be 4.5".format(*form))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of cells without an id, or with the same
        nbformat.validate(content)


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

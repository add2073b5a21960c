"""Execute notebooks and store their outputs: the only way stored outputs change.

``python -m tools.regression.refresh [notebook ...]``, by default all in `chapters/`.
Belongs here: tidying and writing executed notebooks. Does not belong here: deciding
when two outputs agree (`agreement`), the form of a notebook (`lint_notebooks`).

Outputs that agree with the stored ones within tolerance stay as they are, so that a
refresh on another machine changes nothing that did not change. The notebook's metadata
``checked`` says when, with which versions and on which class of processor the outputs
were stored; it changes with them, or with the versions.
"""

import base64
import contextlib
import copy
import io
import platform
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
from matplotlib.image import imread
from nbval.plugin import coalesce_streams

from solutions.system.files import NotWrittenError, partial_of, write_whole
from tools.notebooks import KERNELSPEC, NotebookError, chapters, label, read
from tools.regression.agreement import FLOAT, SVG, TEXTS, snap_outputs, tolerance_of
from tools.regression.execution import CellFailedError, Kernel

IMAGES = (SVG, "image/png")
SETTINGS = {"D2L_DEVICE": "cpu"}  # the stored numbers are those of the CPU
VERSIONS = {"PyTorch": "torch", "NumPy": "numpy", "matplotlib": "matplotlib"}
NUMBER = re.compile(FLOAT.pattern + r"|(?<![\w.])[-+]?\d+(?![\w.])")


def execute(notebook: Any, folder: Path) -> Any:
    """Execute a notebook in a fresh kernel.

    Args:
        notebook: the notebook; it is not changed.
        folder: the working directory of the kernel.

    Returns:
        The executed copy.

    Raises:
        CellFailedError: if a cell fails that is not tagged ``raises-exception``, or
            does not end within the limit.
    """
    fresh = copy.deepcopy(notebook)
    with contextlib.closing(Kernel(notebook, folder, SETTINGS)) as kernel:
        for number, cell in enumerate(fresh.cells, start=1):
            if cell.cell_type == "code":
                executed = kernel.execute(number)
                cell.outputs = executed.outputs
                cell.execution_count = executed.execution_count
    return fresh


def versions() -> dict[str, str]:
    """Return the versions that decide what the notebooks print."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"Python": python} | {name: version(VERSIONS[name]) for name in VERSIONS}


def machine() -> str:
    """Describe the class of processor and the system, without any name of a host."""
    import torch  # here, because the lint imports this module and needs no torch

    vectors = torch.backends.cpu.get_cpu_capability()
    return f"{platform.machine()} CPU ({vectors}), {platform.system()}"


def tidy(notebook: Any) -> None:
    """Remove from an executed notebook what is no result.

    Args:
        notebook: the notebook, changed in place.
    """
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": KERNELSPEC, "language_info": {"name": "python"}}
    )
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)


def set_alt_text(cell: Any) -> None:
    """Copy the text of a cell's picture into the metadata that the site reads.

    Args:
        cell: the code cell, changed in place.
    """
    pictures = [o.data for o in cell.outputs if set(IMAGES) & set(o.get("data", {}))]
    described = cell.metadata.setdefault("mystnb", {})
    if pictures:
        alt = pictures[0].get("text/plain", "")
        described.setdefault("image", {})["alt"] = alt
    else:
        described.pop("image", None)
    if not described:
        del cell.metadata["mystnb"]


def agree(snapped: Sequence[Any], stored: Sequence[Any]) -> bool:
    """Say whether snapped outputs are the stored ones.

    Args:
        snapped: the outputs just computed, after `agreement.snap_outputs`.
        stored: the stored outputs.

    Returns:
        Whether they are; a PNG picture is if no pixel differs by more than 0.1.
    """
    if len(snapped) != len(stored):
        return False
    for new, old in zip(snapped, stored, strict=True):
        png = [o.get("data", {}).get("image/png") for o in (new, old)]
        if all(png) and pixels_agree(*png):
            new.data["image/png"] = png[1]
        if _content(new) != _content(old):
            return False
    return True


def _content(output: Any) -> dict[str, Any]:
    """Return what an output says, without its number and metadata."""
    return {k: v for k, v in output.items() if k not in ("execution_count", "metadata")}


def pixels_agree(fresh: str, stored: str) -> bool:
    """Say whether two PNG pictures, in base64, look the same.

    Args:
        fresh: the picture just drawn.
        stored: the stored picture.

    Returns:
        Whether they have one size and no value differs by more than 0.1 of its range.
    """
    new, old = (imread(io.BytesIO(base64.b64decode(png))) for png in (fresh, stored))
    return new.shape == old.shape and bool(np.abs(new - old).max() <= 0.1)


def largest_change(snapped: Sequence[Any], stored: Sequence[Any]) -> str:
    """Describe how outputs that do not agree differ.

    Args:
        snapped: the outputs just computed, after `agreement.snap_outputs`.
        stored: the stored outputs.

    Returns:
        The largest change of a number in text as ``old -> new``, or what else differs.
    """
    new, old = (list(_texts(outputs)) for outputs in (snapped, stored))
    numbers = [NUMBER.findall("\n".join(texts)) for texts in (new, old)]
    if new == old:
        return "a picture or the outputs' kind"
    if len(numbers[0]) != len(numbers[1]) or numbers[0] == numbers[1]:
        return "text"
    pairs = zip(*reversed(numbers), strict=True)
    was, now = max(pairs, key=lambda pair: abs(Decimal(pair[1]) - Decimal(pair[0])))
    return f"{was} -> {now}"


def _texts(outputs: Sequence[Any]) -> Iterator[str]:
    """Yield the texts of outputs: streams, then one text of each displayed result."""
    for output in outputs:
        data = output.get("data", {})
        found = [output.get("text"), *(data.get(kind) for kind in TEXTS)]
        yield next((text for text in found if text is not None), "")


def merge(fresh: Any, stored: Any) -> list[str]:
    """Put the stored outputs back where the fresh ones agree with them.

    Args:
        fresh: the executed notebook, changed in place.
        stored: the notebook before.

    Returns:
        One line per cell whose outputs changed.
    """
    changes = []
    cells = zip(fresh.cells, stored.cells, strict=True)
    for number, (new, old) in enumerate(cells, start=1):
        if new.cell_type != "code":
            continue
        before = coalesce_streams(old.outputs)
        snapped = snap_outputs(new.outputs, before, tolerance_of(new.metadata))
        if agree(snapped, before):
            new.outputs = renumbered(before, new.execution_count)
        else:
            change = largest_change(snapped, before)
            changes.append(f"{label(number, new.source)}: {change}")
        set_alt_text(new)
    return changes


def renumbered(outputs: Sequence[Any], count: int | None) -> list[Any]:
    """Return stored outputs with the number of their cell's new run.

    Args:
        outputs: the stored outputs, changed in place.
        count: the execution count of the cell.

    Returns:
        The outputs.
    """
    for output in outputs:
        if output.output_type == "execute_result":
            output.execution_count = count
    return list(outputs)


def refresh(path: Path) -> list[str]:
    """Execute one notebook and write it if anything changed.

    Args:
        path: the notebook. If a cell fails it is left as it was.

    Returns:
        One line per cell whose outputs changed.

    Raises:
        CellFailedError: if a cell fails.
        NotebookError: if the file is no notebook.
        ValueError: if a cell's tolerance is not valid.
        NotWrittenError: if the disk is full.
    """
    partial_of(path).unlink(missing_ok=True)  # a killed refresh may have left it
    stored = read(path)
    before = path.read_text(encoding="utf-8")
    fresh = execute(stored, path.parent)
    tidy(fresh)
    changes = merge(fresh, stored)
    write_atomically(path, before, stamped(fresh, stored, before))
    return changes


def stamped(fresh: Any, stored: Any, before: str) -> str:
    """Return the text of an executed notebook with the record of its check.

    Args:
        fresh: the notebook, after `tidy` and `merge`; it gets the record.
        stored: the notebook before.
        before: its text.

    Returns:
        The text; `before` itself if neither the notebook nor a version changed.
    """
    old = stored.metadata.get("checked", {})
    fresh.metadata["checked"] = old
    if nbformat.writes(fresh) + "\n" == before and old.get("versions") == versions():
        return before
    today = datetime.now(UTC).date().isoformat()
    fresh.metadata["checked"] = nbformat.from_dict(
        {"on": today, "machine": machine(), "versions": versions()}
    )
    return nbformat.writes(fresh) + "\n"


def write_atomically(path: Path, before: str, after: str) -> None:
    """Replace the text of a file in one step, if it changed.

    Args:
        path: the file.
        before: its text.
        after: its new text.
    """
    if after != before:
        write_whole(path, after)


def main(names: Sequence[str]) -> int:
    """Refresh the notebooks named, or all, until one fails; return the exit status."""
    for path in [Path(name) for name in names] or chapters():
        try:
            changes = refresh(path)
        except (NotebookError, NotWrittenError) as error:
            print(error, file=sys.stderr)
            return 1
        except (CellFailedError, ValueError) as error:
            print(f"{path.name}: {error}; the file is left as it was", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print(f"{path.name}: stopped; it is as it was, or new", file=sys.stderr)
            return 128 + signal.SIGINT
        print("\n".join(f"{path.name}: {c}" for c in changes or ["unchanged"]))
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops as Ctrl-C does
    sys.exit(main(sys.argv[1:]))

"""Set the notebooks up for Colab: ``python -m tools.site.colab`` (`make colab`).

Belongs here: the cell that installs the project there, made from the repository's
address in `_config.yml`. Does not belong here: the buttons (`_ext/launch.py`).

Colab opens one notebook and knows nothing of the package that it imports. So if there
is an address, each notebook begins with a cell that installs the package in Colab and
does nothing anywhere else; without an address there is no such cell. Its only effect on
the other cells is their number, so nothing has to be executed again.
"""

import copy
import sys
from pathlib import Path
from typing import Any

import nbformat
import nbformat.v4
import yaml

from tools.notebooks import ROOT, chapters
from tools.regression.refresh import write_atomically

CONFIG = ROOT / "_config.yml"
CELL = "colab"  # its id, and its tag; the tag remove-cell keeps it off the site
SETUP = """\
# In Colab alone: install the package that the cells below import.
import subprocess
import sys

if "google.colab" in sys.modules:
    project = "git+{url}@{branch}"
    # Colab has a newer Python, and its own PyTorch.
    pip = [sys.executable, "-m", "pip", "install", "--ignore-requires-python"]
    subprocess.run([*pip, "--quiet", project], check=True)"""


def setup_for(config: dict[str, Any]) -> str | None:
    """Return the source of the cell for the repository of a configuration.

    Args:
        config: the content of ``_config.yml``.

    Returns:
        The source, None if there is no address.
    """
    repository = config["repository"]
    if not repository["url"]:
        return None
    url = repository["url"].rstrip("/").removesuffix(".git")
    return SETUP.format(url=url, branch=repository["branch"])


def with_setup(notebook: Any, source: str | None) -> Any:
    """Return a notebook with the cell for Colab, or without it.

    Args:
        notebook: the notebook, executed; it is not changed.
        source: the source of the cell, None for none.

    Returns:
        A copy whose code cells are numbered as if it had been executed.
    """
    result = copy.deepcopy(notebook)
    result.cells = [cell for cell in result.cells if cell.id != CELL]
    if source:
        cell = nbformat.v4.new_code_cell(
            source, id=CELL, metadata={"tags": [CELL, "remove-cell"]}
        )
        result.cells.insert(1, cell)  # below the title
    code = [c for c in result.cells if c.cell_type == "code" and c.source.strip()]
    for count, cell in enumerate(code, start=1):
        cell.execution_count = count
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
    return result


def configured_setup() -> str | None:
    """Return the source of the cell for the repository of this project, if any."""
    return setup_for(yaml.safe_load(CONFIG.read_text(encoding="utf-8")))


def update(path: Path, source: str | None) -> bool:
    """Write a notebook with the cell, or without it; say whether that changed it."""
    before = path.read_text(encoding="utf-8")
    notebook = with_setup(nbformat.reads(before, as_version=4), source)
    after = nbformat.writes(notebook) + "\n"
    write_atomically(path, before, after)
    return after != before


def main() -> int:
    """Update every notebook, and say what was done."""
    source = configured_setup()
    changed = [p.name for p in chapters() if update(p, source)]
    print("\n".join(changed or ["no notebook changed"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The site is built quickly, in seconds of the processor: a busy machine is no fault."""

import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FULL, AGAIN = 30, 10  # seconds, for everything and after a change of one notebook
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "_build", "__pycache__", ".*cache*")


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Return a copy of the project that has not been built."""
    return shutil.copytree(
        ROOT, tmp_path_factory.mktemp("copy") / "book", ignore=LEFT_OUT
    )


def seconds_to_build(copy):
    command = [
        Path(sys.executable).with_name("jupyter-book"),
        "build",
        copy,
        "-W",
        "-n",
    ]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([jupyter_book, "build", copy, "-W", "-n", "--quiet"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def test_everything_and_then_one_notebook(copy):
    assert seconds_to_build(copy) <= FULL
    pages = {
        path: path.read_text() for path in copy.glob("_build/html/chapters/*.html")
    }
    notebook = copy / "chapters" / "6_2_conv-layer.ipynb"
    text = notebook.read_text()
    changed = text.replace("one small", "one very small", 1)
    assert changed != text
    notebook.write_text(changed)
    assert seconds_to_build(copy) <= AGAIN
    # Only what shows a part of this notebook was written anew, and it was.
    written = {path.name for path, old in pages.items() if path.read_text() != old}
    assert "6_2_conv-layer.html" in written
    assert written <= {"6_2_conv-layer.html", "index.html", "results.html"}
    assert "one very small" in (chapters / "6_2_conv-layer.html").read_text()

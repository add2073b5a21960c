"""The site is built quickly, in seconds of the processor: a busy machine is no fault.

What shares a core makes even these seconds longer, so the least of three counts.
Copies the project, so that what is built here does not change what is tested elsewhere.
"""

import resource
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FULL, AGAIN = 30, 10  # seconds, for everything and after a change of one notebook
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "_build", "__pycache__", ".*cache*")


def seconds_to_build(folder):
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([jupyter_book, "build", folder, "-W", "-n", "--quiet"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def test_everything_and_then_one_notebook(tmp_path):
    book = shutil.copytree(ROOT, tmp_path / "book", ignore=LEFT_OUT)
    chapters = book / "_build" / "html" / "chapters"
    assert seconds_to_build(book) <= FULL
    pages = {path: path.read_text(encoding="utf-8") for path in chapters.glob("*.html")}
    notebook = book / "chapters" / "6_2_conv-layer.ipynb"
    again = []
    for _ in range(3):
        text = notebook.read_text(encoding="utf-8")
        notebook.write_text(
            text.replace("**Why.**", "**Why.** Very much.", 1), encoding="utf-8"
        )
        again.append(seconds_to_build(book))
    assert min(again) <= AGAIN
    # Only what shows a part of this notebook was written anew, and it was.
    written = {
        path.name
        for path, old in pages.items()
        if path.read_text(encoding="utf-8") != old
    }
    assert "6_2_conv-layer.html" in written
    assert written <= {"6_2_conv-layer.html", "index.html", "results.html"}
    assert "Very much." in (chapters / "6_2_conv-layer.html").read_text(
        encoding="utf-8"
    )

"""What the pages show of stored outputs: nothing retyped, and nothing lost unseen."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import nbformat.v4 as v4
import pytest

from _ext.stored_facts import bibtex, results

ROOT = Path(__file__).parent.parent
CHAPTERS = ROOT / "chapters"
CONFIGURATION = f"""\
import sys
sys.path.insert(0, {str(ROOT)!r})
extensions = ["myst_parser", "_ext.stored_facts", "_ext.launch"]
myst_enable_extensions = ["colon_fence"]
root_doc = "chapters/results"
exclude_patterns = ["out"]
"""
TABLE = "| net | accuracy |\n|---|---|\n| LeNet | 0.875 |"
PICTURE = {"image/svg+xml": "<svg/>", "text/plain": "A picture."}


def output(**data):
    return v4.new_output("display_data", data)


def build(folder, page, cells):
    """Build a page of results beside a notebook; return the status, log and page."""
    (folder / "chapters").mkdir()
    (folder / "conf.py").write_text(CONFIGURATION, encoding="utf-8")
    (folder / "chapters" / "results.md").write_text(
        f"# Results\n\n{page}\n", encoding="utf-8"
    )
    nbformat.write(v4.new_notebook(cells=cells), folder / "chapters" / "a.ipynb")
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "text", ".", "out"]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )
    written = folder / "out" / "chapters" / "results.txt"
    return done, written.read_text(encoding="utf-8") if written.exists() else ""


def result(name, *outputs):
    return v4.new_code_cell("1", metadata={"result": name}, outputs=list(outputs))


def test_a_result_is_the_stored_output_and_names_its_exercise(tmp_path):
    exercise = v4.new_markdown_cell("::: {exercise}\n:label: ex-6-6-1\n:::")
    table = output(**{"text/markdown": TABLE, "text/plain": "unused"})
    printed = v4.new_output("stream", name="stdout", text="mean 0.123\n")
    cells = [exercise, result("accuracy", table), result("mean", printed)]
    page = "(ex-6-6-1)=\n## A\n\n:::{result} accuracy\n:::\n\n:::{result} mean\n:::"
    done, text = build(tmp_path, page, cells)
    assert done.returncode == 0, done.stderr
    assert re.search(r"LeNet +\|? *0\.875", text)
    assert "mean 0.123" in text
    assert "unused" not in text
    assert text.count("Computed in exercise 6.6.1.") == 2


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([], "0 cells have the metadata result: a"),
        ([result("a"), result("a")], "2 cells have the metadata result: a"),
        ([result("a")], "a.ipynb: the cell of result a prints nothing"),
        ([result("a", output(**PICTURE))], "this cell shows a picture"),
    ],
)
def test_the_build_fails_without_the_result(tmp_path, cells, message):
    done, _ = build(tmp_path, ":::{result} a\n:::", cells)
    assert done.returncode != 0
    assert message in done.stderr


def test_the_page_shows_every_cell_that_is_tagged():
    shown = re.findall(
        r"^:::\{result\} (\S+)$",
        (CHAPTERS / "results.md").read_text(encoding="utf-8"),
        re.M,
    )
    assert sorted(shown) == sorted(name for name, *_ in results(CHAPTERS))


def test_the_page_itself_has_no_number():
    """A number there would be a copy of a stored output."""
    text = re.sub(r":::.*", "", (CHAPTERS / "results.md").read_text(encoding="utf-8"))
    assert not re.search(r"\d", text)


def test_bibtex():
    someone = {"family-names": "One", "given-names": "Some"}
    other = {"family-names": "Two", "given-names": "Other"}
    book = {"authors": [someone, other], "title": "A Book", "year": 2023}
    assert bibtex(book, "book", "https://a.example") == (
        "@book{one2023,\n"
        "  author = {One, Some and Two, Other},\n"
        "  title = {{A Book}},\n"
        "  year = {2023},\n"
        "  url = {https://a.example},\n"
        "}"
    )
    work = {
        "authors": [{"name": "The authors"}],
        "title": "T",
        "date-released": "2026-1",
    }
    assert "author = {{The authors}}" in bibtex(work, "misc", "")
    assert "url" not in bibtex(work, "misc", "")

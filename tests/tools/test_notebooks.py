"""Which notebooks there are, and one clear line for a file that is none."""

import json
import os
import shutil
import subprocess
import sys

import nbformat.v4 as v4
import pytest

from tools import notebooks
from tools.notebooks import CHAPTERS, ROOT, NotebookError, chapters, read
from tools.regression import refresh

pytest_plugins = ["pytester"]

NOTEBOOK = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
CELL = {"cell_type": "markdown", "metadata": {}, "source": "text"}
BAD = {
    "conflict": (b'<<<<<<< HEAD\n{"cells": []}\n=======\n', "it has a merge conflict"),
    "empty": (b"", "it is empty"),
    "no ids": (
        json.dumps({**NOTEBOOK, "cells": [CELL]}).encode(),
        "Cell is missing an id field, this will become a hard error in future "
        "nbformat versions",
    ),
    "list": (b"[]", "it holds no object of JSON"),
    "old": (
        b'{"nbformat": 3, "nbformat_minor": 0, "worksheets": []}',
        "its format is 3.0, but must be 4.5",
    ),
    "other JSON": (b"{}", "its format is None.None, but must be 4.5"),
    "half": (
        b'{"cells": [',
        "Expecting value: line 1 column 12 (char 11)",
    ),
    "not UTF-8": (
        json.dumps(NOTEBOOK).encode("utf-16"),
        "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_no_notebook_is_one_line(tmp_path, name):
    content, reason = BAD[name]
    path = tmp_path / "book.ipynb"
    path.write_bytes(content)
    with pytest.raises(NotebookError) as caught:
        read(path)
    assert str(caught.value) == f"book.ipynb: is no notebook: {reason}"


def test_a_file_that_cannot_be_read_is_one_line(tmp_path):
    (tmp_path / "a.ipynb").mkdir()
    for name, reason in (("a", "Is a directory"), ("b", "No such file or directory")):
        with pytest.raises(NotebookError, match=f"^{name}.*: is no notebook: {reason}"):
            read(tmp_path / f"{name}.ipynb")


def test_refresh_says_it_in_one_line(tmp_path, capsys):
    path = tmp_path / "book.ipynb"
    path.write_text("", encoding="utf-8")
    assert refresh.main([str(path)]) == 1
    assert capsys.readouterr().err == "book.ipynb: is no notebook: it is empty\n"


def test_one_bad_notebook_fails_and_the_others_run(pytester):
    cell = v4.new_code_cell("x = 1", execution_count=1)
    good = v4.writes(v4.new_notebook(cells=[cell]))
    (pytester.path / "a.ipynb").write_bytes(BAD["conflict"][0])
    (pytester.path / "b.ipynb").write_text(good, encoding="utf-8")
    result = pytester.runpytest_inprocess("--nbval", "-p", "tools.regression.nbtol")
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines(["a.ipynb: is no notebook: it has a merge conflict"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_the_chapters_are_those_of_the_table_of_contents():
    assert [path.name[:3] for path in chapters()] == [f"6_{n}" for n in range(1, 7)]
    assert all(path.parent == CHAPTERS for path in chapters())


def test_another_notebook_beside_the_chapters_is_left_alone(tmp_path):
    for name in ("chapters", "solutions", "tools"):
        ignored = shutil.ignore_patterns("__pycache__", "*.svg")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    for name in ("_toc.yml", "conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "chapters" / "Untitled.ipynb").write_text(
        json.dumps(NOTEBOOK), encoding="utf-8"
    )
    (tmp_path / "chapters" / "Untitled1.ipynb").write_bytes(BAD["conflict"][0])
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def said(*command):
        command = [sys.executable, "-m", *command]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        return done.stdout + done.stderr

    assert said("tools.site.student", "made") == ""
    assert {p.name for p in (tmp_path / "made").iterdir()} == {
        path.name for path in notebooks.chapters()
    }
    collected = said("pytest", "-q", "--collect-only", "--nbval", "chapters")
    assert "6_1_why-conv.ipynb" in collected and "Untitled" not in collected

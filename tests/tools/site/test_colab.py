"""The set-up for Colab follows the address in `_config.yml`, and disturbs nothing."""

import ast
import subprocess
import sys

import nbformat
import nbformat.v4 as v4
import pytest

from tools.lint_notebooks import lint
from tools.notebooks import chapters, run_faults
from tools.site.colab import configured_setup, setup_for, update, with_setup

NOTEBOOKS = chapters()
ADDRESS = {"repository": {"url": "https://github.com/someone/book", "branch": "dev"}}


def notebook():
    return v4.new_notebook(
        cells=[
            v4.new_markdown_cell("# Title"),
            v4.new_code_cell("import torch", execution_count=1),
            v4.new_code_cell("make_deterministic()", execution_count=2),
            v4.new_code_cell(
                "1",
                execution_count=3,
                outputs=[
                    v4.new_output(
                        "execute_result", {"text/plain": "1"}, execution_count=3
                    )
                ],
            ),
        ]
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_set_up_for_the_configured_repository(path):
    stored = nbformat.read(path, as_version=4)
    assert with_setup(stored, configured_setup()) == stored, "run `make colab`"


def test_without_an_address_there_is_no_cell():
    assert setup_for({"repository": {"url": "", "branch": "main"}}) is None


def test_the_cell_comes_and_goes_and_keeps_the_counts():
    before = notebook()
    after = with_setup(before, setup_for(ADDRESS))
    nbformat.validate(after)
    assert [cell.cell_type for cell in after.cells] == ["markdown", *["code"] * 4]
    assert [cell.execution_count for cell in after.cells[1:]] == [1, 2, 3, 4]
    assert after.cells[-1].outputs[0].execution_count == 4
    assert not list(run_faults(after.cells))
    assert "remove-cell" in after.cells[1].metadata.tags
    assert with_setup(after, setup_for(ADDRESS)) == after
    assert with_setup(after, None) == before


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_cell_keeps_the_form_of_a_notebook(tmp_path, path):
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    found = lint(copy, set())
    update(copy, setup_for(ADDRESS))
    assert len(lint(copy, set())) == len(found)


def test_a_file_is_written_only_if_it_changes(tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_text(nbformat.writes(notebook()) + "\n", encoding="utf-8")
    assert update(path, "x = 1")
    assert not update(path, "x = 1")
    assert update(path, None)


@pytest.mark.parametrize("url", ["https://github.com/a/b", "https://github.com/a/b/"])
def test_outside_colab_the_cell_does_nothing(url):
    source = setup_for({"repository": {"url": url, "branch": "main"}})
    assert max(map(len, source.splitlines())) <= 88
    run = [sys.executable, "-c", source]
    done = subprocess.run(
        run, capture_output=True, text=True, check=True, encoding="utf-8"
    )
    assert done.stdout == done.stderr == ""


def test_in_colab_the_cell_installs_the_branch(monkeypatch):
    called = []
    monkeypatch.setitem(sys.modules, "google.colab", object())
    monkeypatch.setattr(subprocess, "run", lambda command, **_: called.append(command))
    exec(compile(ast.parse(setup_for(ADDRESS)), "cell", "exec"), {})
    [[python, *rest]] = called
    assert python == sys.executable
    assert rest[:3] == ["-m", "pip", "install"]
    assert rest[-1] == "git+https://github.com/someone/book@dev"

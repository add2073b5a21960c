"""The book says of each check what the program says: nothing there can go stale."""

import re

import nbformat
import pytest

from solutions.check import registry
from tools.notebooks import EXERCISE, SOLUTION, chapters
from tools.site import questions
from tools.site.check_notes import NOTE, PAGE, file_text, note, with_list, with_notes
from tools.site.questions import label_of

NOTEBOOKS = chapters()
TIDY = "run: python -m tools.site.check_notes"


def cells_of(path):
    return nbformat.read(path, as_version=4).cells


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notes_in_a_notebook_are_those_of_the_questions(path):
    notebook = nbformat.read(path, as_version=4)
    assert with_notes(notebook).cells == notebook.cells, TIDY


def test_each_exercise_that_can_be_checked_has_its_note_before_its_solution():
    found = {}
    for path in NOTEBOOKS:
        label = ""
        for cell in cells_of(path):
            label = next(iter(EXERCISE.findall(cell.source)), label)
            if cell.id.endswith(NOTE):
                assert cell.id == label + NOTE
                found[label] = cell.source
            if match := SOLUTION.fullmatch(cell.source + "\n"):
                label = f"after {match[1]}"
    assert found == {
        label_of(exercise): note(questions)
        for exercise, questions in registry.exercises().items()
    }


def test_the_list_on_the_page_is_that_of_the_questions():
    text = PAGE.read_text(encoding="utf-8")
    assert with_list(text) == text, TIDY
    calls = re.findall(r"^- `(check\(.*?\))`: ", text, re.M)
    assert calls == [registry.call(question) for question in registry.QUESTIONS]


def test_the_file_that_the_site_reads_is_that_of_the_questions():
    assert questions.FILE.read_text(encoding="utf-8") == file_text(), TIDY
    assert questions.text_of(questions.read()) == file_text()
    labels = [f"{q.exercise} {q.name}".strip() for q in questions.read()]
    assert labels == [question.label for question in registry.QUESTIONS]


def test_notes_are_put_in_replaced_and_taken_away():
    start = ":::{solution-start} ex-6-2-3\n:class: dropdown\n:::"
    cells = [
        nbformat.v4.new_markdown_cell("a question", id="a"),
        nbformat.v4.new_markdown_cell("an old note", id=f"ex-6-2-3{NOTE}"),
        nbformat.v4.new_markdown_cell(start, id="b"),
        nbformat.v4.new_markdown_cell("an old note", id=f"ex-6-9-9{NOTE}"),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    fresh = with_notes(notebook)
    assert [cell.id for cell in fresh.cells] == ["a", f"ex-6-2-3{NOTE}", "b"]
    assert "`f(X, K)` returns the cross-correlation" in fresh.cells[1].source
    assert with_notes(fresh).cells == fresh.cells
    assert notebook.cells == cells

"""The student notebooks: complete, without answers, in step with the chapters."""

import ast
import re

import nbformat
import pytest

from solutions.check import registry
from tools.notebooks import (
    EXERCISE,
    SOLUTION,
    SOLUTION_END,
    chapters,
    run_faults,
)
from tools.site import student
from tools.site.questions import label_of

NOTEBOOKS = {path.stem: path for path in chapters()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("student")
    assert student.main([str(folder)]) == 0
    return {
        name: nbformat.read(folder / f"{name}.ipynb", as_version=4)
        for name in NOTEBOOKS
    }


def chapter(name):
    return nbformat.read(NOTEBOOKS[name], as_version=4).cells


def text_of(notebook):
    return "\n".join(cell.source for cell in notebook.cells)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_exercise_is_there_with_its_heading_and_hint(made, name):
    labels = [x for cell in chapter(name) for x in EXERCISE.findall(cell.source)]
    found = {cell.id: cell.source for cell in made[name].cells if cell.id in labels}
    assert list(found) == labels
    for label, source in found.items():
        number = label.removeprefix("ex-").replace("-", ".")
        assert f"Exercise {number}:" in source
        assert "<summary>Hint</summary>" in source


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_no_answer_is_there(made, name):
    """No cell of a solution, and no code of the chapter but its imports."""
    inside, is_inside = set(), False
    for cell in chapter(name):
        is_inside |= bool(SOLUTION.fullmatch(cell.source + "\n"))
        if is_inside or cell.cell_type == "code":
            inside |= {line for line in cell.source.splitlines() if len(line) > 40}
        is_inside &= not SOLUTION_END.fullmatch(cell.source + "\n")
    assert inside
    assert not inside & set(text_of(made[name]).splitlines())


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_question_has_a_stub_and_a_check(made, name):
    cells = [cell for cell in made[name].cells if cell.cell_type == "code"]
    labels = {cell.id for cell in made[name].cells}
    questions = [q for q in registry.QUESTIONS if label_of(q.exercise) in labels]
    assert questions
    pairs = zip(cells[2::2], cells[3::2], strict=True)
    for question, (stub, check) in zip(questions, pairs, strict=True):
        (statement,) = ast.parse(stub.source).body
        if isinstance(statement, ast.FunctionDef):
            names = tuple(argument.arg for argument in statement.args.args)
            assert names == question.parameters
        assert check.source.startswith(f'check("{question.exercise}"')
        assert check.outputs[0].data == {
            "text/plain": f"{question.label}: no answer yet"
        }


def test_together_they_have_every_question(made):
    text = "\n".join(map(text_of, made.values()))
    assert text.count("\ncheck(") == len(registry.QUESTIONS)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_downloaded_notebook_needs_nothing_beside_it(made, name):
    notebook = made[name]
    text = text_of(notebook)
    assert "pip install" in notebook.cells[0].source
    assert not re.findall(r"\]\((?!https?:)", text)
    assert not re.findall(r"^:{3,}|\{(?:ref|doc|term|prf:ref)\}", text, re.M)
    assert not list(run_faults(notebook.cells))
    nbformat.validate(notebook)


def test_what_a_stub_returns_is_what_the_stored_output_says(made):
    """The rule by which outputs are stored is what `check` really does."""
    space = {}
    for cell in made["6_3_padding-and-strides"].cells:
        if cell.cell_type != "code" or not cell.outputs:
            exec(cell.source if cell.cell_type == "code" else "", space)
        elif cell.outputs[0].output_type == "execute_result":
            shown = repr(eval(cell.source, space))
            assert shown == cell.outputs[0].data["text/plain"]


def test_directives_become_plain_markdown():
    source = (
        "## Exercise 6.1.1: Title\n\n:::{exercise}\n:label: ex-6-1-1\n\nSee "
        "{ref}`ex-6-2-3` and {ref}`that <ex-6-1-2>`, a [word](glossary.md#w), a "
        "[page](https://d2l.ai).\n:::\n\n:::{admonition} Hint\n:class: hint dropdown\n"
        "\nThink of $x_{ij}$.\n:::"
    )
    assert student.readable(source) == (
        "## Exercise 6.1.1: Title\n\nSee exercise 6.2.3 and that, a word, a "
        "[page](https://d2l.ai).\n\n<details><summary>Hint</summary>\n\nThink of "
        "$x_{ij}$.\n\n</details>"
    )

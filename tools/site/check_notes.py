"""Write into the book how answers are checked: ``python -m tools.site.check_notes``.

Belongs here: the note beside each exercise, the list on the page about checks, and the
file that the notebooks without answers are made from, all made from the questions of
`solutions.check`. Does not belong here: the questions; those notebooks (`student`).
"""

import copy
import sys
from pathlib import Path
from typing import Any

import nbformat
import nbformat.v4

from solutions.check.forms import ACCEPTED
from solutions.check.parts import FunctionQuestion
from solutions.check.registry import QUESTIONS, AnyQuestion, call, entry, exercises
from tools.notebooks import CHAPTERS, SOLUTION
from tools.regression.refresh import write_atomically
from tools.site import questions
from tools.site.questions import Question, label_of

PAGE = CHAPTERS / "check.md"
NOTE = "-your-answer"  # how the id of a note's cell ends
BEGIN, END = "## What can be checked\n", "## How it works\n"


def item(question: AnyQuestion) -> str:
    """Return the line of a list that says how to check one answer."""
    function, returns, rest = question.signature.partition(" returns ")
    answer = f"`{function}` returns {rest}" if returns else question.signature
    return f"- `{call(question)}`: {answer}."


def note(found: list[AnyQuestion]) -> str:
    """Return the note that stands beside an exercise."""
    lines = "\n".join(map(item, found))
    return (
        ":::{admonition} Check your answer\n:class: tip check-note\n\n"
        f"{lines}\n\n{ACCEPTED} [How checks work](check.md)\n:::"
    )


def with_notes(notebook: Any) -> Any:
    """Return a notebook with the notes beside its exercises, before the solutions.

    Args:
        notebook: the notebook; it is not changed.

    Returns:
        The copy. Its code is untouched, so nothing has to be executed again.
    """
    known = {label_of(number): found for number, found in exercises().items()}
    fresh = copy.deepcopy(notebook)
    cells = []
    for cell in fresh.cells:
        if cell.id.endswith(NOTE):
            continue
        match = SOLUTION.fullmatch(cell.source + "\n")
        if match and match[1] in known:
            text = note(known[match[1]])
            cells.append(nbformat.v4.new_markdown_cell(text, id=match[1] + NOTE))
        cells.append(cell)
    fresh.cells = cells
    return fresh


def with_list(page: str) -> str:
    """Return the text of the page about checks with the list of all of them."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    parts = [before + BEGIN]
    for number, found in exercises().items():
        items = "\n".join(map(item, found))
        parts.append(f"{{ref}}`{number} <{label_of(number)}>`\n\n{items}\n")
    return "\n".join(parts) + f"\n{END}{after}"


def described(question: AnyQuestion) -> Question:
    """Return what the notebooks without answers need to know of a question."""
    return Question(
        exercise=question.exercise,
        name=question.name,
        wanted=question.wanted,
        parameters=(
            question.parameters if isinstance(question, FunctionQuestion) else None
        ),
        listed=entry(question),
        unanswered=str(question.unanswered()),
    )


def file_text() -> str:
    """Return the text of the file with all questions."""
    return questions.text_of(list(map(described, QUESTIONS)))


def main(folder: Path = CHAPTERS) -> int:
    """Write what changed: notes, list and file; return the exit status."""
    for path in sorted(folder.glob("*.ipynb")):
        before = path.read_text(encoding="utf-8")
        fresh = with_notes(nbformat.reads(before, as_version=4))
        write_atomically(path, before, nbformat.writes(fresh) + "\n")
    text = PAGE.read_text(encoding="utf-8")
    write_atomically(PAGE, text, with_list(text))
    text = questions.FILE.read_text(encoding="utf-8")
    write_atomically(questions.FILE, text, file_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())

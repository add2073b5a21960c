"""The questions as the site needs them, without PyTorch: `chapters/questions.json`.

Belongs here: reading that file, and what stands in it. Does not belong here: writing it
from the questions of `solutions.check` (`check_notes`).
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tools.notebooks import CHAPTERS

FILE = CHAPTERS / "questions.json"


@dataclass(frozen=True)
class Question:
    """What a notebook without answers needs to know of a question.

    Attributes:
        exercise: the number, such as "6.2.3".
        name: the keyword of `check` that takes the answer; "" if it needs none.
        wanted: what the answer is.
        parameters: the names of its parameters; None if it is no function.
        listed: the lines in which `check.list` shows the question.
        unanswered: what a check shows as long as there is no answer.
    """

    exercise: str
    name: str
    wanted: str
    parameters: tuple[str, ...] | None
    listed: str
    unanswered: str


def label_of(exercise: str) -> str:
    """Return the label of an exercise.

    >>> label_of("6.2.3")
    'ex-6-2-3'
    """
    return "ex-" + exercise.replace(".", "-")


def text_of(questions: Sequence[Question]) -> str:
    """Return the text of the file."""
    return json.dumps(list(map(asdict, questions)), ensure_ascii=False, indent=1) + "\n"


def read() -> list[Question]:
    """Read the file; return the questions in the order of the book."""
    return [_question(**entry) for entry in json.loads(FILE.read_text("utf-8"))]


def _question(parameters: list[str] | None, **others: Any) -> Question:
    """Return a question; JSON has no tuples."""
    names = None if parameters is None else tuple(parameters)
    return Question(parameters=names, **others)

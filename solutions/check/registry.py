"""All questions, by number and name, and how a reader is told about them.

Belongs here: finding a question, listing questions. Does not belong here: the questions
themselves (`section_1` to `section_6`).
"""

from itertools import groupby
from typing import TypeAlias

from solutions.check import (
    section_1,
    section_2,
    section_3,
    section_4,
    section_5,
    section_6,
)
from solutions.check.parts import FunctionQuestion, ValueQuestion

AnyQuestion: TypeAlias = FunctionQuestion | ValueQuestion

QUESTIONS: tuple[AnyQuestion, ...] = (
    *section_1.QUESTIONS,
    *section_2.QUESTIONS,
    *section_3.QUESTIONS,
    *section_4.QUESTIONS,
    *section_5.QUESTIONS,
    *section_6.QUESTIONS,
)


def exercises() -> dict[str, list[AnyQuestion]]:
    """Return the questions of each exercise, in the order of the book."""
    return {e: list(found) for e, found in groupby(QUESTIONS, lambda q: q.exercise)}


def question(exercise: str, name: str = "") -> AnyQuestion:
    """Find a question.

    Args:
        exercise: its number, such as "6.2.3".
        name: its keyword, "" for the answer without a keyword.

    Returns:
        The question.

    Raises:
        ValueError: if there is none; the message says what there is.
    """
    found = {q.name: q for q in of_exercise(exercise)}
    if name not in found:
        given = f"an answer named {name!r}" if name else "an answer without a name"
        calls = ", ".join(call(q) for q in found.values())
        raise ValueError(f"{exercise} takes no {given[3:]}, but: {calls}")
    return found[name]


def of_exercise(exercise: str) -> list[AnyQuestion]:
    """Return the questions of one exercise.

    Raises:
        ValueError: if there are none.
    """
    known = exercises()
    if exercise not in known:
        raise ValueError(
            f"{exercise!r} is no exercise that can be checked, but these are: "
            f"{', '.join(known)} (7.x are those that edition 1.0 adds; "
            "for its other ones see the table on the book's first page)"
        )
    return known[exercise]


def call(question: AnyQuestion) -> str:
    """Write the call that checks an answer.

    >>> call(question("6.2.3")), call(question("6.2.3", "matrix"))
    ('check("6.2.3", f)', 'check("6.2.3", matrix=f)')
    """
    name = f"{question.name}=" if question.name else ""
    return f'check("{question.exercise}", {name}{question.answer})'


def listing(prefix: str = "") -> str:
    """List the questions whose number begins so.

    Args:
        prefix: such as "6.2" or "6.2.3".

    Returns:
        The list, a call and what it takes.

    >>> print(listing("6.3.3"))
    check("6.3.3", f)
        f(hz, rate) returns the frequency in Hz at which a tone of `hz` Hz is heard \
after stride 2, when `rate` samples per second were taken before
    """
    found = [
        q
        for q in QUESTIONS
        if f"{q.exercise}.".startswith(f"{prefix.strip('.')}.".lstrip("."))
    ]
    return "\n".join(map(entry, found))


def entry(question: AnyQuestion) -> str:
    """Write the two lines of a question in a list: a call, and what it takes."""
    return f"{call(question)}\n    {question.signature}"

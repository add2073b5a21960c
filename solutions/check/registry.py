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

SECTIONS = (section_1, section_2, section_3, section_4, section_5, section_6)
QUESTIONS: tuple[AnyQuestion, ...] = sum((s.QUESTIONS for s in SECTIONS), ())

# The exercises of edition 1.0 that are, all or in part, those of an exercise of ours.
EDITION_1 = {
    "7.1.1": "6.1.1", "7.1.2": "6.1.4", "7.1.3": "6.1.2", "7.1.4": "6.1.5",
    "7.1.5": "6.1.3", "7.1.6": "6.1.6", "7.2.1": "6.2.1", "7.2.2": "6.2.4",
    "7.2.3": "6.2.2", "7.2.4": "6.2.3", "7.3.1": "6.3.1", "7.3.2": "6.3.3",
    "7.3.4": "6.3.4", "7.4.1": "6.4.1", "7.4.2": "6.4.2", "7.4.3": "6.4.3",
    "7.4.4": "6.4.5", "7.4.5": "6.4.6", "7.5.1": "6.5.1", "7.5.2": "6.5.2",
    "7.5.4": "6.5.3", "7.5.5": "6.5.4", "7.5.6": "6.5.5", "7.5.7": "6.5.6",
    "7.6.1": "6.6.1", "7.6.2": "6.6.2", "7.6.3": "6.6.3", "7.6.4": "6.6.4",
}  # fmt: skip


def exercises() -> dict[str, list[AnyQuestion]]:
    """Return the questions of each exercise, in the order of the book."""
    return {e: list(found) for e, found in groupby(QUESTIONS, lambda q: q.exercise)}


def question(exercise: str, name: str = "") -> AnyQuestion:
    """Find a question by its exercise and keyword, "" for that without a keyword.

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
    other = known.get(EDITION_1.get(exercise, ""), [])
    own = known.get(exercise, [])
    names = {question.name for question in own}
    if found := own + [question for question in other if question.name not in names]:
        return found
    raise ValueError(
        f"{exercise!r} is no exercise that can be checked, but these are: "
        f"{', '.join(known)}, and the numbers that edition 1.0 gives them"
    )


def call(question: AnyQuestion) -> str:
    """Write the call that checks an answer.

    >>> call(question("6.2.3")), call(question("6.2.3", "matrix"))
    ('check("6.2.3", f)', 'check("6.2.3", matrix=f)')
    """
    name = f"{question.name}=" if question.name else ""
    return f'check("{question.exercise}", {name}{question.answer})'


def listing(prefix: str = "") -> str:
    """List the questions whose number begins so, each with its call.

    >>> print(listing("6.3.3"))
    check("6.3.3", f)
        f(hz, rate) returns the frequency in Hz at which a tone of `hz` Hz is heard \
after stride 2, when `rate` samples per second were taken before
    """
    start = f"{prefix.strip('.')}.".lstrip(".")
    found = [q for q in QUESTIONS if f"{q.exercise}.".startswith(start)]
    return "\n".join(map(entry, found))


def entry(question: AnyQuestion) -> str:
    """Write the two lines of a question in a list: a call, and what it takes."""
    return f"{call(question)}\n    {question.signature}"

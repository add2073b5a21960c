"""Check your own answer to an exercise, without seeing ours.

``check("6.2.3", f)`` in a notebook, ``python -m solutions.check`` in a terminal.
Belongs here: what a reader calls. Does not belong here: anything else.
"""

from pathlib import Path

from solutions.check import registry, sandbox
from solutions.check.forms import kind_of, portable
from solutions.check.parts import FunctionQuestion, is_blank
from solutions.check.result import Report, Result

__all__ = ["Report", "Result", "check"]


class Checker:
    """Checks answers; `check` is the one that readers use.

    Attributes:
        time_limit: seconds that one call of a reader's function may work, or wait.
    """

    def __init__(self) -> None:
        self.time_limit = 10.0
        self._sandbox = sandbox.Sandbox()

    def __call__(self, exercise: str, *answer: object, **answers: object) -> Report:
        """Check one or more answers to an exercise, such as "6.2.3".

        `check.list` has the names of its questions. The report, which a notebook shows,
        is true if all answers are right.

        Raises:
            ValueError: if there is no such exercise or question.

        >>> check("6.4.3", ratio=2)
        6.4.3 ratio: not right yet
          The number of multiplications does not become 2 times as large.
          Hint: both c_i and c_o are doubled.
        """
        if len(answer) > 1:
            raise ValueError(
                f"{exercise} takes one answer without a name, but got {len(answer)}"
            )
        given = {**({"": answer[0]} if answer else {}), **answers}
        asked = registry.of_exercise(exercise)
        questions = [registry.question(exercise, name) for name in given]
        if not given:
            return Report(tuple(q.unanswered(registry.call(q)) for q in asked))
        pairs = zip(questions, given.values(), strict=True)
        return Report(tuple(self._checked(*pair) for pair in pairs))

    def _checked(self, question: registry.AnyQuestion, answer: object) -> Result:
        """Check one answer that exists in this process."""
        if answer is None or answer is Ellipsis or is_blank(answer):
            return question.unanswered()
        if not isinstance(question, FunctionQuestion):
            return question.check_value(portable(answer))
        if not callable(answer):
            what = kind_of(portable(answer))
            wanted = f"f({', '.join(question.parameters)})"
            return question.result(
                f"The answer is {what}, but should be a function {wanted}."
            )
        try:
            load = sandbox.sent(answer)
        except TypeError as error:
            return question.result(
                "The function cannot be sent to the process that runs it.",
                str(error),
                "Let it use only its arguments, modules and plain values.",
            )
        return question.check(load, self._sandbox, self.time_limit)

    def file(self, exercise: str, name: str, path: Path, variable: str) -> Report:
        """Check an answer that a file defines; the file never runs in this process.

        Raises:
            ValueError: if there is no such question, or no such name in the file.
        """
        question = registry.question(exercise, name)
        load = sandbox.in_file(path, variable)
        found = self._sandbox.run(load, (), self.time_limit, call=_looked_at)
        if found.how == "missing":
            raise ValueError(found.message)
        if found.how != "returned":
            return Report((question.result(f"The file {path.name} {found.message}."),))
        if isinstance(question, FunctionQuestion) and found.value == ("function",):
            return Report((question.check(load, self._sandbox, self.time_limit),))
        return Report((self._checked(question, found.value),))

    def list(self, prefix: str = "") -> None:
        """Print what can be checked in a section or an exercise, "" for all, and how.

        Raises:
            ValueError: if nothing has this number.
        """
        text = registry.listing(prefix)
        if not text:
            raise ValueError(f"nothing that can be checked has the number {prefix!r}")
        print(text)


def _looked_at(value: object) -> object:
    """Return a value, or say that it is a function; this runs in the sandbox."""
    if callable(value):
        return None if is_blank(value) else ("function",)
    return value


check = Checker()

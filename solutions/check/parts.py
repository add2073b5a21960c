"""What can be asked in an exercise, and how an answer to it is judged.

Belongs here: the kinds of questions, and the steps of a check. Does not belong here:
the questions themselves, with what is right and which mistakes are known (`section_1`
to `section_6`), nor any solution: the oracle is `torch.nn.functional`.
"""

import dis
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from types import FunctionType
from typing import Any, ClassVar

from hypothesis import strategies as st
from torch import Tensor

from solutions.check.forms import (
    SLACK,
    Call,
    adapted,
    difference,
    in_float64,
    kind_of,
    number,
    ways,
)
from solutions.check.inputs import Arguments, simpler
from solutions.check.mistakes import Mistakes, general
from solutions.check.operations import Rule
from solutions.check.result import Result, arguments_shown, comparison, shown
from solutions.check.sandbox import Load, Outcome, Sandbox, apply
from solutions.check.search import samples, smallest

SEARCH_CALLS = 2  # a search may take as long as so many calls may
EXAMPLES = 25  # inputs that are always tried


class WrongError(Exception):
    """Says to a reader what is wrong with an answer, and never what is right."""


def demand(condition: object, text: str, hint: str | None = None) -> None:
    """Refuse an answer for which a condition does not hold.

    Raises:
        WrongError: then, with the text.
    """
    if not condition:
        raise WrongError(f"{text}\nHint: {hint}" if hint else text)


@dataclass(frozen=True)
class Question:
    """One thing that a reader can have checked.

    Attributes:
        label: the number of the exercise, such as "6.2.3", and, if there is one, the
            keyword of `check` that takes the answer.
        asks: what the answer is, continuing "the answer is ...". It may begin with the
            part of the exercise and a colon.
    """

    label: str
    asks: str

    @property
    def exercise(self) -> str:
        """The number."""
        return self.label.partition(" ")[0]

    @property
    def name(self) -> str:
        """The keyword, "" for the main question of an exercise."""
        return self.label.partition(" ")[2]

    @property
    def wanted(self) -> str:
        """What the answer is; which part of the exercise it answers comes last."""
        part, colon, rest = self.asks.partition(": ")
        if colon and part.startswith("part"):
            return f"{rest} ({part})"
        return self.asks

    def result(self, *details: str | None, right: bool = False) -> Result:
        """Return the result of this check; each line of the details is one entry."""
        lines = "\n".join(detail for detail in details if detail).splitlines()
        return Result(self.label, "right" if right else "wrong", tuple(lines))

    def unanswered(self, *details: str) -> Result:
        """Return the result for an answer that is not there yet."""
        return Result(self.label, "unanswered", details)


@dataclass(frozen=True)
class FunctionQuestion(Question):
    """A question whose answer is a function.

    Attributes:
        inputs: generates inputs, and smaller ones.
        oracle: what is right, from the same arguments, in float64.
        mistakes: the known mistakes, the most particular first.
        rule: which operations it must, and must not, run; None for any.
        is_exact: whether even rounding counts as a mistake.
        slack: how much rounding is allowed, as a share of the largest number.
        keeps_values: whether the numbers in a tensor must stay what `inputs` makes.
        judge: in place of `oracle`, demands what must hold for a result and its
            arguments; a wrong form is a `TypeError` with what is expected.
        may_refuse: for which inputs there is nothing: an error is right too.
        call: how the function is called, inside the sandbox.
        named: the names of its parameters, if they are not those of the oracle.
        given: the names of the inputs, if they are not those of the parameters.
        answer: how the answer is written in a call.
    """

    answer: ClassVar[str] = "f"
    inputs: st.SearchStrategy[Arguments]
    oracle: Call | None = None
    mistakes: Mistakes = field(default_factory=dict)
    rule: Rule | None = None
    is_exact: bool = False
    slack: float = SLACK
    keeps_values: bool = False
    judge: Call | None = None
    may_refuse: Callable[..., bool] = lambda *_: False
    call: Call = apply
    named: tuple[str, ...] | None = None
    given: tuple[str, ...] | None = None

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of its parameters; they are given by position."""
        if self.named is not None:
            return self.named
        taken = inspect.signature(self.oracle or self.judge or apply).parameters
        names = [name for name, one in taken.items() if one.default is one.empty]
        return tuple(names if self.oracle else names[1:])

    @cached_property
    def examples(self) -> list[Arguments]:
        """Inputs that are always tried; together they tell the known mistakes apart."""
        return samples(self.inputs, EXAMPLES)

    @property
    def signature(self) -> str:
        """What the answer is, with its signature."""
        return f"f({', '.join(self.parameters)}) returns {self.wanted}"

    def fault(self, arguments: Arguments, value: object) -> str | None:
        """Say what is wrong with a result; None if nothing is."""
        try:
            if self.judge is not None:
                self.judge(value, *arguments)
                return None
            if self.may_refuse(*arguments):
                is_none = value is None or number(value) <= 0
                return None if is_none else "No window fits: no output."
        except WrongError as error:
            return str(error)
        except TypeError as error:
            return f"The result is {kind_of(value)}, but {error}."
        right = in_float64(self.oracle or apply, arguments)
        return difference(right, value, self.is_exact, self.slack)

    def check(self, load: Load, sandbox: Sandbox, time_limit: float) -> Result:
        """Check the function that `load` returns in the sandbox."""
        calls = _Calls(self, load, sandbox, time_limit)
        first = calls.outcome(self.examples[0])
        if first.how == "missing":
            return self.result(f"The function {first.message}.")
        if first.how == "returned" and first.value is None and not first.printed:
            return self.unanswered()
        calls.choose_way()
        if complaint := calls.repeated_fault():
            return self.result(complaint)
        failing = calls.failing(SEARCH_CALLS * time_limit)
        if failing is not None:
            return self._failed(calls, failing)
        if complaint := calls.operation_fault():
            return self.result("Its results are right.", complaint)
        return self.result(*calls.notes(), right=True)

    def _failed(self, calls: "_Calls", arguments: Arguments) -> Result:
        """Describe a failure, with a hint if the mistake is known."""
        outcome = calls.outcome(arguments)
        names = self.parameters if self.given is None else self.given
        where = arguments_shown(names, arguments)
        how = "Input" if calls.is_over else "Smallest input found"
        lines = [f"{how}: {where}"] if where else []
        if outcome.how != "returned":
            lines.append(f"The function {outcome.message}.")
            hint = calls.hint() if outcome.how == "raised" else None
            return self.result(*lines, hint)
        if outcome.changed:
            changed = " and ".join(names[i] for i in outcome.changed)
            lines.append(f"The function changes its argument {changed} in place.")
            return self.result(*lines, "Hint: compute with a copy, such as X.clone().")
        if self.oracle is not None and not self.may_refuse(*arguments):
            right = in_float64(self.oracle, arguments)
            lines += comparison(right, outcome.value)
        lines.append(self.fault(arguments, outcome.value) or "")
        if outcome.value is None and outcome.printed:
            hint = "Hint: it prints the result; end it with return instead."
            return self.result(*lines, hint)
        operation = calls.operation_fault()
        also = f"Also: {operation}" if operation else None
        return self.result(*lines, calls.hint() or also)

    def known_mistakes(self) -> Iterator[tuple[str, Call]]:
        """Yield the hints with what the mistakes compute."""
        yield from self.mistakes.items()
        if (oracle := self.oracle) is not None:
            yield from general(oracle, self.parameters)


@dataclass
class _Calls:
    """The calls of one function in one check, each made once.

    Attributes:
        accident: the first input on which the function hung or ended its process.
        way: how the function takes its arguments.
    """

    question: FunctionQuestion
    load: Load
    sandbox: Sandbox
    time_limit: float
    accident: Arguments | None = None
    way: str = "as asked"
    _made: dict[str, dict[str, tuple[Arguments, Outcome]]] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether there was an accident: to have it again would only take time."""
        return self.accident is not None

    @property
    def made(self) -> dict[str, tuple[Arguments, Outcome]]:
        """The calls that were made in this way."""
        return self._made.setdefault(self.way, {})

    def _run(self, arguments: Arguments) -> Outcome:
        """Call the function in the sandbox."""
        question = self.question
        load = partial(adapted, self.load, self.way, question.parameters)
        record = question.rule is not None
        outcome = self.sandbox.run(
            load, arguments, self.time_limit, question.call, record
        )
        if outcome.how in ("hung", "died") and self.accident is None:
            self.accident = arguments
        return outcome

    def outcome(self, arguments: Arguments) -> Outcome:
        """Return what happened on an input; call the function if need be."""
        key = _key(arguments)
        if key not in self.made:
            self.made[key] = arguments, self._run(arguments)
        return self.made[key][1]

    def choose_way(self) -> None:
        """Keep the first way that is right for all examples, or else gives a result."""
        examples = self.question.examples
        gives = []
        for way in ways(examples[0]):
            if way == "double" and self.question.is_exact:
                continue  # where rounding counts, float32 is the point
            self.way = way
            if not any(map(self.fails, examples)) or self.is_over:
                return
            if any(outcome.changed for _, outcome in self.made.values()):
                return
            if self.outcome(examples[0]).how == "returned":
                gives.append(self.way)
        self.way = (gives or ["as asked"])[0]

    def fails(self, arguments: Arguments) -> bool:
        """Say whether the function fails on an input."""
        if self.is_over:
            return False
        outcome = self.outcome(arguments)
        if outcome.how == "raised" and self.question.may_refuse(*arguments):
            return False
        if outcome.how != "returned" or outcome.changed:
            return True
        return self.question.fault(arguments, outcome.value) is not None

    def failing(self, seconds: float) -> Arguments | None:
        """Return the smallest input found on which the function fails."""
        question = self.question
        found = next((a for a in question.examples if self.fails(a)), None)
        if not self.is_over:
            how = None if question.keeps_values else simpler
            found = smallest(question.inputs, self.fails, seconds, how) or found
        return found if self.accident is None else self.accident

    def repeated_fault(self) -> str | None:
        """Say whether a second call with the same input gives another result."""
        arguments = self.question.examples[0]
        first = self.outcome(arguments)
        if first.how != "returned" or self.is_over:
            return None
        again = self._run(arguments)
        if again.how == "returned" and _key(again.value) != _key(first.value):
            return "Called twice with the same input, it returns different results."
        return None

    def operation_fault(self) -> str | None:
        """Say which rule about operations was broken, on any input."""
        rule = self.question.rule
        returned = [o for _, o in self.made.values() if o.how == "returned"]
        if rule is None:
            return None
        faults = (rule.fault(o.operations, o.origin) for o in returned)
        return next((fault for fault in faults if fault), None)

    def hint(self) -> str | None:
        """Return the hint of the mistake that explains all results seen."""
        for arguments in self.question.examples:
            if not self.is_over:
                self.outcome(arguments)
        for hint, compute in self.question.known_mistakes():
            if not self.is_over and self._are_explained_by(compute):
                return f"Hint: {hint}"
        return None

    def _are_explained_by(self, compute: Call) -> bool:
        """Say whether a mistake gives the reader's result on every input tried."""
        explained = 0
        for arguments, outcome in self.made.values():
            if outcome.how != "returned" or self.question.may_refuse(*arguments):
                continue
            try:
                wrong = in_float64(compute, arguments)
            except Exception:  # the mistake has no sense for this input
                continue
            if difference(wrong, outcome.value) is not None:
                return False
            explained += self.question.fault(arguments, outcome.value) is not None
        return explained > 0

    def notes(self) -> list[str]:
        """Return what a reader should know of a function that is right."""
        outcomes = [outcome for _, outcome in self.made.values()]
        found = []
        if any(outcome.printed for outcome in outcomes):
            found.append("Note: it also prints.")
        shared = sorted({i for outcome in outcomes for i in outcome.shared})
        if shared:
            name = self.question.parameters[shared[0]]
            found.append(
                f"Note: its result can share its memory with {name}: "
                "to change one is to change the other."
            )
        return found


def _key(value: object) -> str:
    """Return a text that tells inputs, or results, apart."""
    if isinstance(value, (tuple, list)):
        return f"{type(value).__name__}({', '.join(map(_key, value))})"
    if isinstance(value, Tensor):
        content = "" if value.is_meta else value.tolist()
        return f"{value.dtype} {tuple(value.shape)} {content}"
    return repr(value)


@dataclass(frozen=True)
class ValueQuestion(Question):
    """A question whose answer is a value: a number, a shape, a kernel, an example.

    Attributes:
        judge: demands what must hold for a value, and returns what there is to say of
            one that is right; a wrong form is a `TypeError` with what is expected.
        answer: how the answer is written in a call, such as ``[...]``.
    """

    judge: Callable[[Any], str | None]
    answer: str = "..."

    @property
    def signature(self) -> str:
        """What the answer is."""
        return self.wanted

    def check_value(self, value: object) -> Result:
        """Check a value that has passed `forms.portable`."""
        if value is None:
            return self.unanswered()
        try:
            return self.result(self.judge(value), right=True)
        except WrongError as error:
            return self.result(str(error))
        except TypeError as error:
            return self.result(f"The answer is {kind_of(value)}, but {error}.")


def compared(
    text: str, oracle: Call, mistakes: Mistakes, read: Call = number
) -> Callable[[Any], None]:
    """Return a judge that compares a value with the right one.

    Args:
        text: what is to be said of a wrong value, which stands in place of ``{}``.
        oracle: returns the right value.
        mistakes: return wrong ones.
        read: reads the value.
    """

    def judge(value: Any) -> None:
        found = read(value)
        wrong = (
            hint
            for hint, compute in mistakes.items()
            if difference(compute(), found) is None
        )
        is_right = difference(oracle(), found) is None
        demand(is_right, text.format(shown(found)), next(wrong, None))

    return judge


def is_blank(function: object) -> bool:
    """Say whether a function has nothing in it but ``...``, ``pass`` or a docstring.

    >>> is_blank(lambda: None), is_blank(lambda: 2)
    (True, False)
    """
    if not isinstance(function, FunctionType):
        return False
    return _steps(function) == _steps(lambda: None)  # they differ between Pythons


def _steps(function: Callable[..., object]) -> set[tuple[str, object]]:
    """Return what the bytecode of a function does."""
    return {
        (step.opname, step.argval)
        for step in dis.get_instructions(function)
        if step.opname not in ("RESUME", "NOP")
    }

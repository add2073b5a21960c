"""What can be asked in an exercise, and how an answer to it is judged.

Belongs here: the kinds of questions, and the steps of a check. Does not belong here:
the questions themselves, with what is right and which mistakes are known (`section_1`
to `section_6`), nor any solution: the oracle is `torch.nn.functional`.
"""

import dis
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from types import FunctionType
from typing import Any, TypeAlias

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from solutions.check.inputs import Arguments, simpler
from solutions.check.result import Result, arguments_shown, kind_of, shown
from solutions.check.sandbox import Call, Foreign, Load, Outcome, Sandbox, apply
from solutions.check.search import smallest

Judge: TypeAlias = Callable[[Arguments, Any], str | None]

TOLERANCE = 1e-4  # of float32 sums of a few small numbers
SEARCH_CALLS = 2  # a search may take as long as so many calls may


@dataclass(frozen=True)
class Mistake:
    """A mistake that can be recognised by what it computes.

    Attributes:
        hint: what to think about.
        compute: what an answer with this mistake returns, from the same arguments. It
            may raise any exception for arguments for which the mistake has no sense.
    """

    hint: str
    compute: Callable[..., object]


@dataclass(frozen=True)
class Question:
    """One thing that a reader can have checked.

    Attributes:
        exercise: the number, such as "6.2.3".
        name: the keyword of `check` that takes the answer; "" for the main question of
            an exercise, whose answer needs no keyword.
        asks: what the answer is, continuing "the answer is ...". It may begin with the
            part of the exercise and a colon.
    """

    exercise: str
    name: str
    asks: str

    @property
    def label(self) -> str:
        """The number and the name."""
        return f"{self.exercise} {self.name}".strip()

    @property
    def wanted(self) -> str:
        """What the answer is; which part of the exercise it answers comes last."""
        part, colon, rest = self.asks.partition(": ")
        if colon and part.startswith("part"):
            return f"{rest} ({part})"
        return self.asks

    def result(self, *details: str, right: bool = False) -> Result:
        """Return the result of this check."""
        return Result(self.label, "right" if right else "wrong", details)

    def unanswered(self, *details: str) -> Result:
        """Return the result for an answer that is not there yet."""
        return Result(self.label, "unanswered", details)


@dataclass(frozen=True)
class FunctionQuestion(Question):
    """A question whose answer is a function.

    Attributes:
        parameters: the names of its parameters; they are given by position.
        examples: inputs that are always tried, the simplest first. Together they tell
            the known mistakes apart.
        inputs: generates more inputs, and smaller ones; None for no more.
        oracle: what is right, from the same arguments.
        mistakes: the known mistakes, the most particular first.
        forbidden: functions of PyTorch that must not be called, with the reason.
        required: if not empty, some of these functions must be called.
        why_required: the reason.
        is_exact: whether even rounding counts as a mistake.
        keeps_values: whether the numbers in a tensor must stay what `inputs` makes.
        judge: instead of comparing with `oracle`, says what is wrong with a result.
        call: how the function is called, inside the sandbox.
        given: the names of the inputs, if they are not those of the parameters.
    """

    parameters: tuple[str, ...]
    examples: Sequence[Arguments]
    inputs: st.SearchStrategy[Arguments] | None = None
    oracle: Callable[..., Any] | None = None
    mistakes: tuple[Mistake, ...] = ()
    forbidden: Mapping[str, str] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    why_required: str = ""
    is_exact: bool = False
    keeps_values: bool = False
    judge: Judge | None = None
    call: Call = apply
    given: tuple[str, ...] | None = None

    @property
    def answer(self) -> str:
        """How the answer is written in a call."""
        return "f"

    @property
    def signature(self) -> str:
        """What the answer is, with its signature."""
        return f"f({', '.join(self.parameters)}) returns {self.wanted}"

    def fault(self, arguments: Arguments, value: object) -> str | None:
        """Say what is wrong with a result; None if nothing is."""
        if self.judge is not None:
            return self.judge(arguments, value)
        assert self.oracle is not None
        return difference(self.oracle(*arguments), value, exact=self.is_exact)

    def check(self, load: Load, sandbox: Sandbox, time_limit: float) -> Result:
        """Check a function.

        Args:
            load: returns the function, in the sandbox.
            sandbox: runs it.
            time_limit: seconds that one call may take.

        Returns:
            The result.
        """
        calls = _Calls(self, load, sandbox, time_limit)
        first = calls.run(self.examples[0], record=True)
        if first.how in ("missing", "unsendable"):
            return self.result(f"The function {first.message}.")
        if first.how == "returned" and first.value is None and not first.printed:
            return self.unanswered()
        if complaint := calls.repeated_fault(first):
            return self.result(complaint)
        failing = next((a for a in self.examples if calls.fails(a)), None)
        if self.inputs is not None and not calls.is_over:
            seconds = SEARCH_CALLS * time_limit
            how = None if self.keeps_values else simpler
            found = smallest(self.inputs, calls.fails, seconds, how)
            failing = failing if found is None else found
        if calls.accident is not None:
            failing = calls.accident
        if failing is not None:
            return self._failed(calls, failing)
        if complaint := self._operation_fault(first.operations):
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
            hint = self._hint(calls) if outcome.how == "raised" else None
            return self.result(*lines, *([f"Hint: {hint}"] if hint else []))
        if outcome.changed:
            changed = " and ".join(names[i] for i in outcome.changed)
            lines.append(f"The function changes its argument {changed} in place.")
            lines.append("Hint: compute with a copy, such as X.clone().")
            return self.result(*lines)
        fault = self.fault(arguments, outcome.value)
        if self.judge is None and self.oracle is not None:
            lines.append(f"Expected: {shown(self.oracle(*arguments))}")
            lines.append(f"Got:      {shown(outcome.value)}")
        lines += [fault] if fault else []
        if outcome.value is None and outcome.printed:
            lines.append("Hint: it prints the result; end it with return instead.")
        elif hint := self._hint(calls):
            lines.append(f"Hint: {hint}")
        elif operation := self._operation_fault(calls.operations):
            lines.append(f"Also: {operation}")
        return self.result(*lines)

    def _hint(self, calls: "_Calls") -> str | None:
        """Return the hint of the mistake that explains all results seen."""
        for arguments in self.examples:
            if not calls.is_over:
                calls.outcome(arguments)
        for mistake in (*self.mistakes, *self._general_mistakes()):
            if not calls.is_over and calls.are_explained_by(mistake):
                return mistake.hint
        return None

    def _general_mistakes(self) -> Iterable[Mistake]:
        """Yield the mistakes that every computation can have."""
        if (oracle := self.oracle) is not None:
            yield Mistake("the sign is the wrong way round.", lambda *a: -oracle(*a))
            yield Mistake("the result is transposed.", lambda *a: _turned(oracle(*a)))

    def _operation_fault(self, used: frozenset[str]) -> str | None:
        """Say which function must not, or must, be called."""
        for name in sorted(used & set(self.forbidden)):
            return f"It calls {name}: {self.forbidden[name]}."
        if self.required and not used & self.required:
            return self.why_required
        return None


class _Calls:
    """The calls of one function in one check, each made once.

    Attributes:
        accident: the first input on which the function hung or ended its process.
        operations: the functions of PyTorch that the first call called.
    """

    def __init__(
        self,
        question: FunctionQuestion,
        load: Load,
        sandbox: Sandbox,
        time_limit: float,
    ) -> None:
        self.question, self.load = question, load
        self.sandbox, self.time_limit = sandbox, time_limit
        self.accident: Arguments | None = None
        self.operations: frozenset[str] = frozenset()
        self._made: dict[str, tuple[Arguments, Outcome]] = {}

    @property
    def is_over(self) -> bool:
        """Whether there was an accident: to have it again would only take time."""
        return self.accident is not None

    def run(self, arguments: Arguments, record: bool = False) -> Outcome:
        """Call the function in the sandbox."""
        question = self.question
        outcome = self.sandbox.run(
            self.load, arguments, self.time_limit, question.call, record
        )
        if outcome.how in ("hung", "died") and self.accident is None:
            self.accident = arguments
        if record:
            self.operations = outcome.operations
        self._made[_key(arguments)] = arguments, outcome
        return outcome

    def outcome(self, arguments: Arguments) -> Outcome:
        """Return what happened on an input; call the function if need be."""
        made = self._made.get(_key(arguments))
        return made[1] if made else self.run(arguments)

    def fails(self, arguments: Arguments) -> bool:
        """Say whether the function fails on an input."""
        if self.is_over:
            return False
        outcome = self.outcome(arguments)
        if outcome.how != "returned" or outcome.changed:
            return True
        return self.question.fault(arguments, outcome.value) is not None

    def repeated_fault(self, first: Outcome) -> str | None:
        """Say whether a second call with the same input gives another result."""
        if first.how != "returned":
            return None
        again = self.run(self.question.examples[0])
        if again.how == "returned" and _key(again.value) != _key(first.value):
            return "Called twice with the same input, it returns different results."
        return None

    def are_explained_by(self, mistake: Mistake) -> bool:
        """Say whether a mistake gives the reader's result on every input tried."""
        explained = 0
        for arguments, outcome in self._made.values():
            if outcome.how != "returned":
                continue
            try:
                wrong = mistake.compute(*arguments)
            except Exception:  # the mistake has no sense for this input
                continue
            if difference(wrong, outcome.value) is not None:
                return False
            explained += self.question.fault(arguments, outcome.value) is not None
        return explained > 0

    def notes(self) -> list[str]:
        """Return what a reader should know of a function that is right."""
        outcomes = [outcome for _, outcome in self._made.values()]
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


def _turned(value: object) -> object:
    """Return a matrix transposed; other results have no transpose."""
    assert isinstance(value, Tensor)
    assert value.dim() >= 2
    return value.mT


def difference(expected: Any, value: Any, exact: bool = False) -> str | None:
    """Say in which way a result is not the expected one.

    Args:
        expected: a tensor, an int, a Fraction, a float, or a tuple of these.
        value: the result.
        exact: whether even rounding counts.

    Returns:
        What is wrong; None if they agree. Ints and Fractions must be met exactly, but
        a float with the same value will do.

    >>> difference(4, 4.0)
    >>> difference(torch.zeros(2), torch.zeros(3))
    'The shape is (3,), but should be (2,).'
    """
    if isinstance(expected, tuple):
        return _tuple_difference(expected, value, exact)
    if isinstance(expected, Tensor):
        return _tensor_difference(expected, value, exact)
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_meta:
        value = value.item()
    if isinstance(expected, str) or expected is None:
        return None if type(value) is type(expected) and value == expected else ""
    if isinstance(value, bool) or not isinstance(value, (int, float, Fraction)):
        return f"The result is {kind_of(value)}, but should be a number."
    if isinstance(expected, float) and not exact:
        is_near = abs(value - expected) <= TOLERANCE * max(1, abs(expected))
        return None if is_near else ""
    return None if value == expected else ""


def _tuple_difference(expected: Any, value: Any, exact: bool) -> str | None:
    """Compare a tuple; a list or a `torch.Size` of the right length will do."""
    if isinstance(value, (Tensor, np.ndarray)) and not getattr(value, "is_meta", False):
        value = value.tolist()
    if not isinstance(value, (tuple, list)):
        return f"The result is {kind_of(value)}, but should be {len(expected)} values."
    if len(value) != len(expected):
        return f"The result has {len(value)} values, but should have {len(expected)}."
    for one, other in zip(expected, value, strict=True):
        if (found := difference(one, other, exact)) is not None:
            return found
    return None


def _tensor_difference(expected: Tensor, value: Any, exact: bool) -> str | None:
    """Compare a tensor: type, shape, dtype, then the values."""
    if not isinstance(value, Tensor):
        return f"The result is {kind_of(value)}, but should be a tensor."
    if value.shape != expected.shape:
        found, wanted = tuple(value.shape), tuple(expected.shape)
        return f"The shape is {found}, but should be {wanted}."
    if value.dtype != expected.dtype:
        return f"The dtype is {value.dtype}, but should be {expected.dtype}."
    if exact:
        return None if torch.equal(value, expected) else ""
    agree = torch.allclose(value, expected, rtol=TOLERANCE, atol=TOLERANCE)
    return None if agree else ""


@dataclass(frozen=True)
class Verdict:
    """How a value was judged.

    Attributes:
        right: whether it is right.
        text: what to say about it; for a wrong one, why, and never what is right.
    """

    right: bool
    text: str = ""


@dataclass(frozen=True)
class ValueQuestion(Question):
    """A question whose answer is a value: a number, a shape, a kernel, an example.

    Attributes:
        answer: how the answer is written in a call, such as ``[...]``.
        judge: judges a value; a wrong type is a `TypeError` with what is expected.
    """

    answer: str
    judge: Callable[[Any], Verdict]

    @property
    def signature(self) -> str:
        """What the answer is."""
        return self.wanted

    def check_value(self, value: object) -> Result:
        """Check a value that has passed `sandbox.portable`."""
        if value is None:
            return self.unanswered()
        try:
            verdict = self.judge(value)
        except TypeError as error:
            return self.result(f"The answer is {kind_of(value)}, but {error}.")
        return self.result(*verdict.text.splitlines(), right=verdict.right)


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


def as_number(value: object) -> int | float | Fraction:
    """Return a number that a reader gave.

    Raises:
        TypeError: if it is none.
    """
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_meta:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (int, float, Fraction)):
        raise TypeError("should be a number")
    return value


def as_matrix(value: object) -> Tensor:
    """Return a kernel that a reader gave, as a matrix of float64.

    Args:
        value: a list, a tensor or an array with one axis or two; axes of length 1
            before them do not matter.

    Raises:
        TypeError: if it is none of these.

    >>> as_matrix([1, -2, 1])
    tensor([[ 1., -2.,  1.]], dtype=torch.float64)
    """
    if isinstance(value, (Foreign, str, int, float)):
        raise TypeError("should be a kernel: a list, a tensor or an array")
    try:
        kernel = torch.as_tensor(value, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError("should be a kernel: a list, a tensor or an array") from None
    while kernel.dim() > 2 and kernel.shape[0] == 1:
        kernel = kernel[0]
    if kernel.is_meta or kernel.dim() not in (1, 2) or 0 in kernel.shape:
        raise TypeError("should be a kernel with one axis or two")
    return kernel.reshape(-1, kernel.shape[-1])

"""What a check says: right, wrong and why, or not answered yet.

Belongs here: turning a finding into a few lines that any notebook or terminal shows.
Does not belong here: finding anything (`parts`, `search`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from solutions.check.sandbox import Foreign

Status: TypeAlias = Literal["right", "wrong", "unanswered"]
MAX_SHOWN = 64  # numbers of a tensor
HEADINGS = {"right": "right", "wrong": "not right yet", "unanswered": "no answer yet"}


@dataclass(frozen=True)
class Result:
    """The result of one check. It is true if the answer is right.

    Attributes:
        label: which exercise, and which part of it.
        status: right, wrong, or not answered.
        details: what there is to say, one entry per line.
    """

    label: str
    status: Status
    details: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.status == "right"

    def __str__(self) -> str:
        return "\n  ".join([f"{self.label}: {HEADINGS[self.status]}", *self.details])


@dataclass(frozen=True)
class Report:
    """The results of the parts that were checked together.

    A notebook shows its text. It is true if all answers are right.

    Attributes:
        results: one per answer.

    >>> Report((Result("6.4.3 ratio", "wrong", ("Hint: think again.",)),))
    6.4.3 ratio: not right yet
      Hint: think again.
    """

    results: tuple[Result, ...]

    def __bool__(self) -> bool:
        return all(self.results)

    def __repr__(self) -> str:
        return "\n".join(map(str, self.results))


def shown(value: object) -> str:
    """Write a value in one line, the same on every machine and in every notebook.

    Args:
        value: a number, a tensor, a text, or tuples and lists of these.

    Returns:
        The line. Large tensors are not written out.

    >>> shown((torch.tensor([[1.0, -0.5]]), 3))
    '([[1, -0.5]] (shape (1, 2)), 3)'
    """
    if isinstance(value, np.ndarray):
        return shown(torch.from_numpy(value))
    if isinstance(value, Tensor):
        shape = f"shape {tuple(value.shape)}"
        if value.is_meta or value.numel() > MAX_SHOWN:
            return f"a tensor of {shape}"
        return f"{_nested(value.tolist())} ({shape})"
    if isinstance(value, (list, tuple)):
        items = ", ".join(map(shown, value))
        if isinstance(value, list):
            return f"[{items}]"
        return f"({items},)" if len(value) == 1 else f"({items})"
    if isinstance(value, Foreign):
        return f"an object of type {value.kind}"
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]} ..."


def _nested(values: object) -> str:
    """Write nested lists of numbers without needless digits."""
    if isinstance(values, list):
        return f"[{', '.join(map(_nested, values))}]"
    return f"{values:g}" if isinstance(values, float) else str(values)


def kind_of(value: object) -> str:
    """Name the type of a value for a reader.

    >>> kind_of(torch.zeros(2)), kind_of(3), kind_of(Foreign("Linear"))
    ('a float32 tensor', 'an int', 'an object of type Linear')
    """
    if isinstance(value, Tensor):
        return f"a {str(value.dtype).removeprefix('torch.')} tensor"
    if isinstance(value, np.ndarray):
        return "a NumPy array"
    if isinstance(value, Foreign):
        return f"an object of type {value.kind}"
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def arguments_shown(names: Sequence[str], arguments: Sequence[object]) -> str:
    """Write an input as ``X = ..., K = ...``.

    >>> arguments_shown(("n", "k"), (8, 3))
    'n = 8, k = 3'
    """
    pairs = zip(names, arguments, strict=True)
    return ", ".join(f"{name} = {shown(value)}" for name, value in pairs)

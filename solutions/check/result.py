"""What a check says: right, wrong and why, or not answered yet.

Belongs here: turning a finding into a few lines that any notebook or terminal shows.
Does not belong here: finding anything (`parts`, `search`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from solutions.check.forms import Foreign

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


def shown(value: object, digits: int = 6) -> str:
    """Write a value in one line, the same on every machine and in every notebook.

    Large tensors are not written out.

    >>> shown((torch.tensor([[1.0, -0.5]]), 3))
    '([[1, -0.5]] (shape (1, 2)), 3)'
    """
    if isinstance(value, np.ndarray):
        return shown(torch.from_numpy(value), digits)
    if isinstance(value, Tensor):
        shape = f"shape {tuple(value.shape)}"
        if value.is_meta or value.numel() > MAX_SHOWN:
            return f"a tensor of {shape}"
        return f"{shown(value.tolist(), digits)} ({shape})"
    if isinstance(value, (list, tuple)):
        items = ", ".join(shown(item, digits) for item in value)
        if isinstance(value, list):
            return f"[{items}]"
        return f"({items},)" if len(value) == 1 else f"({items})"
    if isinstance(value, Foreign):
        return f"an object of type {value.kind}"
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]} ..."


def comparison(expected: Any, got: Any) -> list[str]:
    """Write what was expected and what came, with as many digits as tell them apart.

    >>> comparison(5, 5.0000004)
    ['Expected: 5', 'Got:      5.0000004000000002']
    """
    digits = 6 if shown(expected) != shown(got) else 17
    lines = [f"Expected: {shown(expected, digits)}", f"Got:      {shown(got, digits)}"]
    both = isinstance(expected, tuple) and isinstance(got, (tuple, list))
    pairs = zip(expected, got, strict=False) if both else [(expected, got)]
    for one, other in pairs:
        if isinstance(one, Tensor) and one.numel() > MAX_SHOWN:
            lines += _largest_difference(one, other)
    return lines


def _largest_difference(one: Tensor, other: object) -> list[str]:
    """Say where two large tensors of one shape differ most."""
    found = torch.as_tensor(other) if isinstance(other, (Tensor, np.ndarray)) else one
    if found.shape != one.shape or found.is_meta:
        return []
    place = int((found.to(one) - one).abs().argmax())
    at = tuple(int(i) for i in np.unravel_index(place, one.shape))
    return [f"At {at} there is {found[at]:.9g} in place of {one[at]:.9g}."]


def arguments_shown(names: Sequence[str], arguments: Sequence[object]) -> str:
    """Write an input as ``X = ..., K = ...``.

    >>> arguments_shown(("n", "k"), (8, 3))
    'n = 8, k = 3'
    """
    pairs = zip(names, arguments, strict=True)
    return ", ".join(f"{name} = {shown(value)}" for name, value in pairs)

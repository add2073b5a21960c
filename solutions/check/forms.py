"""Read a reader's value or function into the form that a question judges.

Belongs here: all forms in which a right answer may come, and how far one may be off.
Does not belong here: what is right (`section_1` to `section_6`). This module imports
little, because the process that runs readers' functions imports it.
"""

import contextlib
import inspect
import math
import numbers
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

MAX_ELEMENTS = 100_000  # no right answer has more
MAX_BITS = 1000  # of an int, likewise
THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?")  # "1,234,567"
SLACK = 1e-5  # of sums of a few small numbers in float32, the precision of the inputs
ACCEPTED = (
    "An answer may be a real number of any kind, a list, a NumPy array or a tensor of "
    "any real type; a function may be anything that can be called."
)

Call: TypeAlias = Callable[..., Any]


@dataclass(frozen=True)
class Foreign:
    """Stands for a value of a type that no answer has.

    Attributes:
        kind: the name of the type.
    """

    kind: str


def kind_of(value: object) -> str:
    """Name the type of a value for a reader.

    >>> kind_of(torch.zeros(2)), kind_of(3), kind_of(Foreign("Linear"))
    ('a float32 tensor', 'an int', 'an object of type Linear')
    """
    if value is None:
        return "None"
    if isinstance(value, np.ndarray):
        return "a NumPy array"
    if isinstance(value, Foreign):
        return f"an object of type {value.kind}"
    name = type(value).__name__
    if isinstance(value, Tensor):
        name = f"{str(value.dtype).removeprefix('torch.')} tensor"
    return f"{'an' if name[0] in 'aeio' else 'a'} {name}"


def portable(value: object, inside: tuple[int, ...] = ()) -> object:
    """Return a value in a form that can leave the process without risk.

    Numbers and texts become Python's own, tensors plain copies (of a huge one only the
    shape), and all else but tuples and lists of these `Foreign`. `inside` are the lists
    that contain the value.

    >>> portable([np.float32(1), {2}])
    [1.0, Foreign(kind='set')]
    """
    if isinstance(value, Tensor):
        if value.numel() > MAX_ELEMENTS:
            return torch.empty(value.shape, dtype=value.dtype, device="meta")
        dense = value.detach().cpu().to_dense().resolve_conj().resolve_neg()
        return dense.clone().as_subclass(Tensor)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return np.array(value, subok=False)
    if isinstance(value, (list, tuple, range)):
        if id(value) in inside or len(value) > MAX_ELEMENTS or len(inside) > 9:
            return Foreign(f"{type(value).__name__} without end")
        items = [portable(item, (*inside, id(value))) for item in value]
        return tuple(items) if isinstance(value, tuple) else items
    if value is None or type(value) in (bool, float, complex, str):
        return value
    try:
        return _portable_number(value, (*inside, id(value)))
    except Exception:  # whatever it is, it is no number
        return Foreign(type(value).__name__)


def _portable_number(value: Any, inside: tuple[int, ...]) -> object:
    """Return a number of NumPy or SymPy as Python's own, a matrix as a list."""
    if isinstance(value, (np.bool_, np.complexfloating)):
        return value.item()
    if isinstance(value, numbers.Integral):
        return int(value) if int(value).bit_length() <= MAX_BITS else Foreign("int")
    if isinstance(value, numbers.Rational):
        return Fraction(int(value.numerator), int(value.denominator))
    if isinstance(value, (str, bytes, type)):
        raise TypeError
    if isinstance(value, dict):  # such as a Counter of digits
        return portable([value[key] for key in range(len(value))], inside)
    if isinstance(value, (numbers.Real, Decimal)):
        return float(value)
    if hasattr(value, "tolist"):
        return portable(value.tolist(), inside)
    if hasattr(value, "__float__"):
        return float(value)
    raise TypeError


def listed(value: object) -> object:
    """Return an array or a tensor as lists or a number, and leave all else."""
    if isinstance(value, np.ndarray) or (
        isinstance(value, Tensor) and not value.is_meta
    ):
        return value.tolist()
    return value


def number(value: object) -> int | float | Fraction:
    """Read a number, which may be a text or stand alone in a list or a tensor.

    Raises:
        TypeError: if it is none.

    >>> number("1/2"), number("61,706"), number(torch.tensor([3]))
    (Fraction(1, 2), Fraction(61706, 1), 3)
    """
    value = listed(value)
    while isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    value = float(value) if isinstance(value, np.longdouble) else value
    if isinstance(value, str):
        text = value.replace(",", "") if THOUSANDS.fullmatch(value.strip()) else value
        with contextlib.suppress(ValueError, ZeroDivisionError):
            value = Fraction(text)
    if isinstance(value, bool) or not isinstance(value, (int, float, Fraction)):
        raise TypeError("should be a number")
    if not math.isfinite(value):
        raise TypeError(f"should be a finite number, not {value}")
    return value


def sequence(value: object, length: int | None = None) -> list[Any]:
    """Read a list, a tuple, an array or a tensor as a list of its items.

    Raises:
        TypeError: if it is none of these, or has another length.
    """
    value = listed(value)
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]  # as a matrix of one row
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"should be {length or 'several'} values")
    if length is not None and len(value) != length:
        raise TypeError(f"should be {length} values, not {len(value)}")
    return list(value)


def whole(value: object) -> int:
    """Read a whole number.

    Raises:
        TypeError: if it is none.
    """
    found = number(value)
    if found != int(found):
        raise TypeError("should be whole numbers")
    return int(found)


def pair(value: object) -> tuple[int, int]:
    """Read a size: one whole number for both axes, or two.

    >>> pair(3), pair([1, 2])
    ((3, 3), (1, 2))
    """
    value = listed(value)
    if isinstance(value, (list, tuple)) and len(value) == 2:
        return whole(value[0]), whole(value[1])
    return whole(value), whole(value)


def tensor(value: object, finite: bool = True) -> Tensor:
    """Read numbers in any arrangement as a float64 tensor.

    Raises:
        TypeError: if there are others, or infinite ones, if they must be finite.

    >>> tensor([[1, "1/2"]])
    tensor([[1.0000, 0.5000]], dtype=torch.float64)
    """
    if isinstance(value, (list, tuple)):
        return _stacked([tensor(item, finite) for item in value])
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(value.astype(np.float64))
    if not isinstance(value, Tensor):
        if isinstance(value, float) and not finite:
            return torch.tensor(value, dtype=torch.float64)
        return torch.tensor(float(number(value)), dtype=torch.float64)
    if value.is_meta:
        raise TypeError(f"should be smaller than of shape {tuple(value.shape)}")
    if value.is_complex():
        raise TypeError("should be numbers: a list, an array or a tensor, all real")
    value = value.double()  # `isfinite` knows fewer types
    if finite and not torch.isfinite(value).all():
        raise TypeError("should be finite numbers")
    return value


def _stacked(rows: list[Tensor]) -> Tensor:
    """Put rows on each other."""
    if len({row.shape for row in rows}) > 1:
        raise TypeError("should have rows of one length")
    return torch.stack(rows) if rows else torch.zeros(0, dtype=torch.float64)


def kernel(value: object) -> Tensor:
    """Read a kernel as a float64 matrix; axes of length 1 before two do not matter.

    Raises:
        TypeError: if it is none.

    >>> kernel([1, -2, 1])
    tensor([[ 1., -2.,  1.]], dtype=torch.float64)
    """
    try:
        taps = tensor(value)
    except TypeError:
        text = "should be a kernel: finite numbers in a list, a tensor or an array"
        raise TypeError(text) from None
    while taps.dim() > 2 and taps.shape[0] == 1:
        taps = taps[0]
    if taps.dim() not in (1, 2) or taps.numel() == 0 or isinstance(value, str):
        raise TypeError("should be a kernel with one axis or two")
    return taps.reshape(-1, taps.shape[-1])


def windows(value: object) -> tuple[Tensor, Tensor]:
    """Read two windows, each as one row of as many pixels.

    A third one is left out if it is that halfway between the others.

    Raises:
        TypeError: if there are no two such windows.
    """
    try:
        rows = _stacked([tensor(window).flatten() for window in sequence(value)])
    except TypeError:
        raise TypeError("should be a pair of windows (A, B) of numbers") from None
    for i in range(3) if len(rows) == 3 else ():
        others = torch.cat([rows[:i], rows[i + 1 :]])
        if torch.allclose(others.mean(0), rows[i]):
            return others[0], others[1]
    if len(rows) != 2 or rows.numel() == 0:
        raise TypeError("should be two windows with equally many pixels")
    return rows[0], rows[1]


@contextlib.contextmanager
def precision(dtype: torch.dtype) -> Iterator[None]:
    """Let PyTorch make tensors of this type unless told otherwise."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def in_float64(compute: Call, arguments: Sequence[object]) -> Any:
    """Compute what is right with twice the digits of the reader's inputs."""
    doubled = (
        a.double() if isinstance(a, Tensor) and a.is_floating_point() else a
        for a in arguments
    )
    with precision(torch.float64):
        return compute(*doubled)


def difference(
    expected: Any, value: Any, exact: bool = False, slack: float = SLACK
) -> str | None:
    """Say in which way a result, from `portable`, is not the expected one.

    It is "" if only the values are wrong, and None if nothing is. How much rounding is
    allowed is a share of the largest number; of a type with less precision it is more.

    >>> difference(4, 4.0)
    >>> difference(torch.zeros(2), torch.zeros(3))
    'The shape is (3,), but should be (2,).'
    """
    try:
        if isinstance(expected, tuple):
            items = sequence(value, len(expected))
            found = (difference(*x, exact, slack) for x in zip(expected, items))  # noqa: B905
            return next((text for text in found if text is not None), None)
        if isinstance(expected, Tensor):
            return _tensor_difference(expected, value, exact, slack)
        found_number = number(value)
    except TypeError as error:
        wanted = "tensor" if isinstance(expected, Tensor) else "number"
        text = str(error).replace("should be numbers:", f"should be a {wanted}:")
        return f"The result is {kind_of(value)}, but {text}."
    if exact or (isinstance(found_number, int) and isinstance(expected, int)):
        return None if found_number == expected else ""
    return None if abs(found_number - expected) <= slack * max(1, abs(expected)) else ""


def _tensor_difference(
    expected: Tensor, value: Any, exact: bool, slack: float
) -> str | None:
    """Compare a tensor: the shape but for leading axes of length 1, then the values."""
    found = tensor(value, finite=False)
    while found.dim() > expected.dim() and found.shape[0] == 1:
        found = found[0]
    while found.dim() < expected.dim() and expected.shape[0] == 1:
        expected = expected[0]
    if found.shape != expected.shape:
        given, wanted = tuple(found.shape), tuple(expected.shape)
        return f"The shape is {given}, but should be {wanted}."
    if exact or expected.numel() == 0:
        return None if torch.equal(found, expected.double()) else ""
    if isinstance(value, Tensor) and value.is_floating_point():
        slack = max(slack, 8 * torch.finfo(value.dtype).eps)
    size = max(1.0, float(expected.abs().max()))
    agree = torch.allclose(found, expected.double(), rtol=0, atol=slack * size)
    return None if agree else ""


def ways(arguments: Sequence[object]) -> list[str]:
    """Return the ways in which a function may take such arguments, the asked one first.

    >>> ways((3, (1, 2)))
    ['as asked', 'by name', 'reversed']
    """
    tensors = [a for a in arguments if isinstance(a, Tensor)]
    found = ["as asked", *(["by name"] if len(arguments) > 1 else [])]
    if len(arguments) == 2 and len({type(a) for a in arguments}) == 2:
        found.append("reversed")
    if tensors:
        found += ["arrays", "lists", "double"]
    if tensors and all(t.dim() <= 2 for t in tensors):
        found.append("with batch and channel")
    if [t.dim() for t in tensors] == [4]:
        found += ["image by image", "plane by plane"]
    return found


def adapted(load: Callable[[], Call], way: str, names: Sequence[str]) -> Call:
    """Return a function that is called as asked, and calls the reader's in its way."""
    function = load()
    if way == "as asked":
        return function
    if way == "by name":
        order = _order(function, names)
        return lambda *a: function(*(a[i] for i in order))
    if way == "reversed":
        return lambda *a: function(*a[::-1])
    if way in FORMS:
        form = FORMS[way]
        return lambda *a: function(
            *(form(x) if isinstance(x, Tensor) else x for x in a)
        )
    axes = 1 if way == "image by image" else 2

    def each(X: Tensor, *rest: object) -> Tensor:
        parts = X.flatten(0, axes - 1)
        made = torch.stack([torch.as_tensor(function(part, *rest)) for part in parts])
        return made.reshape(*X.shape[:axes], *made.shape[1:])

    return each


OTHER_NAMES = {"p": "padding", "pad": "padding", "": "stride", "image": "x"}
OTHER_NAMES |= {"input": "x", "kernel": "k", "filter": "k", "weight": "w"}
FORMS: dict[str, Callable[[Tensor], object]] = {
    "arrays": lambda x: x.numpy(),
    "lists": lambda x: x.tolist(),
    "double": lambda x: x.double(),
    "with batch and channel": lambda x: x[None, None],
}


def _order(function: Call, names: Sequence[str]) -> list[int]:
    """Return which argument each parameter takes, by its name; the others in turn."""

    def plain(name: str) -> str:
        short = name.lower().replace("_", "").rstrip("s")
        return OTHER_NAMES.get(short, short)

    theirs = [plain(name) for name in inspect.signature(function).parameters]
    ours = [plain(name) for name in names]
    rest = iter([i for i, name in enumerate(ours) if name not in theirs])
    order = [ours.index(n) if n in ours else next(rest, -1) for n in theirs]
    if sorted(order) != list(range(len(ours))) or order == sorted(order):
        raise TypeError("its parameters have no other order")
    return order

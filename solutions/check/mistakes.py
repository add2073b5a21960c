"""What can go wrong: mistakes as computations, and those that many questions share.

Belongs here: mistakes with an argument of a certain name, or with any result. Does not
belong here: the mistakes of one question (`section_1` to `section_6`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from torch.nn import functional as F

from solutions.check.forms import Call

# What answers with a known mistake return, from the same arguments, by the hint. They
# may raise any exception for arguments for which the mistake has no sense.
Mistakes: TypeAlias = Mapping[str, Call]
Changes: TypeAlias = Mapping[str, Callable[[Any], Any]]

PADDING_ONCE = "padding is counted once, but it is added on both sides."
# The names of paddings, with that of the axis, or image, to which they are added.
PADDED = {"padding": "X", "p": "n", "p_h": "h", "p_w": "w", "qh": "h", "qw": "w"}


def _always(number: int) -> Callable[[Any], Any]:
    """Return what puts a number in place of another one, of a pair or of a tensor."""
    return lambda old: (number,) * 2 if isinstance(old, tuple) else 0 * old + number


NO_PADDING: Changes = dict.fromkeys(PADDED, _always(0))
NO_STRIDE: Changes = dict.fromkeys(
    ("stride", "s", "s_h", "s_w", "sh", "sw"), _always(1)
)
# Mistakes with arguments of certain names.
CHANGED: Mapping[str, Changes] = {
    "the bias is missing.": dict.fromkeys(("u", "b2"), _always(0)),
    "the kernel is flipped: cross-correlation takes it as it stands.": {
        "K": lambda K: K.flip(*range(K.dim())),
        "V": lambda V: V.flip(0),
        "W": lambda W: W.flip(2, 3),
    },
    "the padding is missing.": NO_PADDING,
    "the stride is missing.": NO_STRIDE,
    "the padding and the stride are missing.": {**NO_PADDING, **NO_STRIDE},
}


def general(oracle: Call, names: Sequence[str]) -> Iterator[tuple[str, Call]]:
    """Yield the hints of shared mistakes, with what they make of a right function."""
    if PADDED.keys() & set(names):
        yield PADDING_ONCE, partial(_padded_once, oracle, names)
    for hint, changes in CHANGED.items():
        if changes.keys() & set(names):
            yield hint, partial(_changed, oracle, names, changes)
    yield "the sign is the wrong way round.", lambda *a: -oracle(*a)
    yield "the result is transposed.", lambda *a: oracle(*a).mT


def _changed(oracle: Call, names: Sequence[str], changes: Changes, *given: Any) -> Any:
    """Compute with other arguments."""
    pairs = zip(names, given, strict=True)
    return oracle(*(changes.get(name, lambda x: x)(value) for name, value in pairs))


def _padded_once(oracle: Call, names: Sequence[str], *given: Any) -> Any:
    """Compute with the padding behind the image only."""
    now = dict(zip(names, given, strict=True))
    for name, axis in PADDED.items():
        if name == "padding" in now:
            now[axis] = F.pad(now[axis], (0, now[name][1], 0, now[name][0]))
        elif name in now:
            now[axis] += now[name]
    return _changed(oracle, names, NO_PADDING, *now.values())

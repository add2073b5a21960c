"""Decide when two outputs agree, numbers within a stated tolerance.

Belongs here: what may differ between a fresh output and the stored one. Does not
belong here: running notebooks (`nbtol`), writing outputs (`refresh`).

Each fresh number that agrees with the stored one is rewritten as the stored one
("snapped"), so that a comparison of strings shows only what really changed. What
agrees:

1. Only literals with a fraction or an exponent are numbers here. An integer, a shape,
   a word and a ``19.`` without fraction digits must be equal.
2. The slack is one unit in the last printed place, if that unit is at most 0.001, or
   0.001 of a reference larger than 1. So ``0.1234`` has slack, ``0.89`` has none.
3. More slack needs cell metadata with a reason:
   ``"nbval": {"atol": 0.02, "why": "..."}``, and if CUDA needs still more
   ``"cuda": {"atol": 0.04, "why": "..."}`` inside it, used where the device is `cuda`.
4. White space, and the length of the rule below a table's heading, may change with the
   width of a number. Nothing else may.
5. In an SVG every coordinate has the slack 0.02 points (``svg_atol``, in points, allows
   more), and matplotlib's ids, which are hashes of coordinates, may be renamed.
   Another version of matplotlib than the one in the notebook's ``checked`` draws the
   same figure with other outlines: then only the words and numbers in it are compared.
6. Source code (Markdown that is one code block), stderr, errors and the order of the
   outputs must be equal.
"""

import copy
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

MAX_ATOL = Decimal("0.05")
MAX_SVG_ATOL = Decimal(10)
SVG_ATOL = Decimal("0.02")
TEXTS = ("text/plain", "text/markdown", "text/html")
SVG = "image/svg+xml"

FLOAT = re.compile(
    r"(?<![\w.])[-+]?(?:\d+\.\d+(?:[eE][-+]?\d{1,3})?|\d+\.?[eE][-+]?\d{1,3})"
    r"(?!\w|\.\d)"
)
SVG_NUMBER = re.compile(r"(?<![\w#.-])-?\d+(?:\.\d+)?(?![\d.])")
# An embedded image is left alone; an id is a letter or `_` and ten digits of a hash.
SVG_ID = re.compile(r'base64,[^"]*|(?<=[hmp_])([0-9a-f]{10})\b')
# matplotlib draws words as outlines, and writes before each what it says.
SVG_WORDS = re.compile(r"<!-- (.*?) -->", re.DOTALL)

Output: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Tolerance:
    """How far a number may be from the stored one, beyond one unit in its last place.

    Attributes:
        atol: for numbers in text.
        svg_atol: for the coordinates of an SVG, in points.
    """

    atol: Decimal = Decimal(0)
    svg_atol: Decimal = SVG_ATOL


def tolerance_of(metadata: Mapping[str, Any], device: str = "cpu") -> Tolerance:
    """Read and check the tolerance that a cell's metadata asks for.

    Args:
        metadata: the metadata of the cell.
        device: where the cell runs; for `cuda` the entry ``cuda`` comes first.

    Returns:
        The tolerance, the default one without an entry ``nbval``.

    Raises:
        ValueError: if a key is unknown, a reason is missing or a number out of range.

    >>> tolerance_of({"nbval": {"atol": 0.02, "why": "trained"}}).atol
    Decimal('0.02')
    >>> tolerance_of({"nbval": {"atol": 0.02}})
    Traceback (most recent call last):
    ValueError: metadata nbval has no "why": give the reason for the tolerance
    """
    if "nbval" not in metadata:
        return Tolerance()
    entry = metadata["nbval"]
    caps = {"atol": MAX_ATOL, "svg_atol": MAX_SVG_ATOL}
    found = _checked("nbval", entry, caps, ("cuda",))
    if "cuda" in entry:
        cuda = _checked("nbval.cuda", entry["cuda"], caps)
        found |= cuda if device == "cuda" else {}
    return Tolerance(**found)


def _checked(
    name: str, entry: Any, caps: Mapping[str, Decimal], other: Sequence[str] = ()
) -> dict[str, Decimal]:
    """Return the tolerances in one metadata entry after checking all of its keys."""
    allowed = sorted({*caps, *other, "why"})
    if not isinstance(entry, Mapping) or not set(entry) & (set(allowed) - {"why"}):
        raise ValueError(
            f"metadata {name} is {entry!r}, but must set some of {allowed}"
        )
    if unknown := sorted(set(entry) - set(allowed)):
        raise ValueError(
            f"metadata {name} has unknown keys {unknown}, not in {allowed}"
        )
    if not isinstance(entry.get("why"), str) or not entry["why"].strip():
        raise ValueError(
            f'metadata {name} has no "why": give the reason for the tolerance'
        )
    return {
        key: _within(f"{name}.{key}", entry[key], cap)
        for key, cap in caps.items()
        if key in entry
    }


def _within(name: str, value: Any, cap: Decimal) -> Decimal:
    """Return a tolerance as a Decimal after checking its type and size."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # As it is written: 0.05 as a binary fraction is a little more than that.
    if not is_number or math.isnan(value) or not 0 < Decimal(str(value)) <= cap:
        raise ValueError(
            f"metadata {name} is {value!r}, but must be above 0 and at most {cap}"
        )
    return Decimal(str(value))


def slack(reference: str, atol: Decimal) -> Decimal:
    """Return how far a fresh number may be from a stored literal.

    Args:
        reference: the stored literal, as printed.
        atol: the tolerance of the cell, 0 without metadata.

    Returns:
        One unit in the last printed place if that is fine enough, or `atol` if larger.

    >>> slack("0.1234", Decimal(0)), slack("0.89", Decimal(0))
    (Decimal('0.0001'), Decimal('0'))
    """
    number = Decimal(reference)
    unit = Decimal(1).scaleb(int(number.as_tuple().exponent))
    is_fine = unit <= max(Decimal(1), abs(number)) / 1000
    return max(unit if is_fine else Decimal(0), atol)


def snap(fresh: str, reference: str, atol: Decimal = Decimal(0)) -> str:
    """Rewrite the numbers of a text as the stored ones where they agree.

    Args:
        fresh: the text just computed.
        reference: the stored text.
        atol: the tolerance of the cell.

    Returns:
        `reference` if the texts agree, else `fresh` with the numbers that agree
        rewritten; `fresh` as it is if the texts have not equally many numbers.

    >>> snap("loss 0.1235, shape (3, 19)", "loss 0.1234, shape (3, 20)")
    'loss 0.1234, shape (3, 19)'
    """
    numbers = FLOAT.findall(fresh), FLOAT.findall(reference)
    if len(numbers[0]) != len(numbers[1]):
        return fresh
    pairs = iter(zip(*numbers, strict=True))

    def snapped(_: re.Match[str]) -> str:
        new, old = next(pairs)
        return old if abs(Decimal(new) - Decimal(old)) <= slack(old, atol) else new

    result = FLOAT.sub(snapped, fresh)
    return reference if _squeeze(result) == _squeeze(reference) else result


def _squeeze(text: str) -> str:
    """Return a text without the white space and rules that only align its columns.

    A blank between two words or integers stays: ``1 2`` is not ``12``. A number is no
    word here, so that a sign which comes or goes can take a blank with it.
    """
    numbers = FLOAT.findall(text)
    text = re.sub(r"\s+", " ", re.sub(r"-{2,}", "--", FLOAT.sub("\0", text)))
    return re.sub(r"(?<!\w) | (?!\w)", "", text) + " ".join(numbers)


def snap_svg(fresh: str, reference: str, atol: Decimal = SVG_ATOL) -> str:
    """Rewrite the coordinates and ids of an SVG as the stored ones where they agree.

    Args:
        fresh: the SVG just drawn.
        reference: the stored SVG.
        atol: how far a coordinate may be from the stored one, in points. Two integers
            must be equal: they are glyphs and their outlines.

    Returns:
        `reference` if the pictures agree, else `fresh` with what agrees rewritten.
    """
    renamed = _rename_ids(fresh, reference)
    coordinates = _coordinates(renamed, reference)
    if coordinates is None:
        return renamed
    pairs = iter(coordinates)

    def snapped(_: re.Match[str]) -> str:
        new, old = next(pairs)
        is_near = abs(Decimal(new) - Decimal(old)) <= atol
        return old if "." in new + old and is_near else new

    return SVG_NUMBER.sub(snapped, renamed)


def _coordinates(fresh: str, reference: str) -> list[tuple[str, str]] | None:
    """Pair the numbers of two SVGs; None if they have not equally many."""
    numbers = SVG_NUMBER.findall(fresh), SVG_NUMBER.findall(reference)
    if len(numbers[0]) != len(numbers[1]):
        return None
    return list(zip(*numbers, strict=True))


def _rename_ids(fresh: str, reference: str) -> str:
    """Give the n-th new id in one SVG the name of the n-th new id in the other."""
    ids = [
        list(dict.fromkeys(m[1] for m in SVG_ID.finditer(svg) if m[1]))
        for svg in (fresh, reference)
    ]
    names = dict(zip(*ids, strict=False))
    return SVG_ID.sub(lambda m: names.get(m[1], m[0]), fresh)


def snap_redrawn(fresh: str, reference: str) -> str:
    """Return the stored SVG for one of another matplotlib that says the same.

    Args:
        fresh: the SVG just drawn.
        reference: the stored SVG, drawn by another version of matplotlib.

    Returns:
        `reference` if the same words and numbers stand in both, else `fresh`.
    """
    same = SVG_WORDS.findall(fresh) == SVG_WORDS.findall(reference)
    return reference if same else fresh


def snap_outputs(
    fresh: Sequence[Output],
    reference: Sequence[Output],
    tolerance: Tolerance,
    *,
    redrawn: bool = False,
) -> list[Any]:
    """Snap the outputs of a cell, paired as nbval pairs them: by kind, then in order.

    Args:
        fresh: the outputs just computed; they are not changed.
        reference: the stored outputs.
        tolerance: the tolerance of the cell.
        redrawn: whether another matplotlib than here drew the stored figures.

    Returns:
        A copy of `fresh`, snapped.
    """
    snapped = copy.deepcopy(list(fresh))
    for kind, holder, old in _pairs(snapped, reference):
        key = "text" if kind == "stdout" else kind
        if kind == SVG and redrawn:
            holder[key] = snap_redrawn(holder[key], old)
        elif kind == SVG:
            holder[key] = snap_svg(holder[key], old, tolerance.svg_atol)
        else:
            holder[key] = snap(holder[key], old, tolerance.atol)
    return snapped


def deviation(fresh: Sequence[Output], reference: Sequence[Output]) -> Decimal | None:
    """Return how far a cell's numbers in text are from the stored ones, at most.

    Args:
        fresh: the outputs just computed.
        reference: the stored outputs.

    Returns:
        The largest distance; None without numbers, or if their count changed.
    """
    distances = []
    for kind, holder, old in _pairs(fresh, reference):
        if kind == SVG:
            continue
        new = holder["text" if kind == "stdout" else kind]
        numbers = FLOAT.findall(new), FLOAT.findall(old)
        if len(numbers[0]) != len(numbers[1]):
            return None
        pairs = zip(*numbers, strict=True)
        distances += [abs(Decimal(a) - Decimal(b)) for a, b in pairs]
    return max(distances, default=None)


def svg_deviation(
    fresh: Sequence[Output], reference: Sequence[Output]
) -> Decimal | None:
    """Return how far a cell's figures are from the stored ones, at most, in points.

    Args:
        fresh: the outputs just computed.
        reference: the stored outputs, drawn by the same version of matplotlib.

    Returns:
        The largest distance of a coordinate; None without SVGs, or if their numbers do
        not pair.
    """
    distances = []
    for kind, holder, old in _pairs(fresh, reference):
        if kind != SVG:
            continue
        coordinates = _coordinates(_rename_ids(holder[kind], old), old)
        if coordinates is None:
            return None
        distances += [abs(Decimal(a) - Decimal(b)) for a, b in coordinates]
    return max(distances, default=None)


def _pairs(
    fresh: Sequence[Output], reference: Sequence[Output]
) -> Iterator[tuple[str, Any, str]]:
    """Yield the kind of each fresh text, the dict it is in, and the stored text."""
    stored = defaultdict(list)
    for kind, holder, key in _slots(reference):
        stored[kind].append(holder[key])
    for kind, holder, _ in _slots(fresh):
        if stored[kind]:
            yield kind, holder, stored[kind].pop(0)


def _slots(outputs: Sequence[Output]) -> Iterator[tuple[str, Any, str]]:
    """Yield the kind of each text that may be snapped, the dict it is in, its key."""
    for output in outputs:
        if output["output_type"] == "stream" and output["name"] == "stdout":
            yield "stdout", output, "text"
        data = output.get("data", {})
        if not data.get("text/markdown", "").startswith("```"):
            for kind in {*TEXTS, SVG} & set(data):
                yield kind, data, kind


def kinds(outputs: Sequence[Output]) -> list[str]:
    """Return the kind of each output: nbval compares those of one kind at a time."""
    return [o.get("name") or ", ".join(sorted(o.get("data", {}))) for o in outputs]

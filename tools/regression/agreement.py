"""Decide when two outputs agree, numbers within a stated tolerance.

Belongs here: what may differ between a fresh output and the stored one. Does not
belong here: running notebooks (`nbtol`), writing outputs (`refresh`).

Each fresh number that agrees with the stored one is rewritten as the stored one
("snapped"), so that a comparison of strings shows only what really changed. What
agrees:

1. Only literals with a point or an exponent are numbers here, also beside a unit, a
   bracket, a colour code or a Chinese character, and in complex numbers. An integer, a
   version, `nan`, `inf` and a word must be equal. Signs of zeros do not count.
2. The slack is one unit in the last printed place, if that unit is at most 0.001, or
   0.001 of a reference larger than 1. So ``0.1234`` has slack; ``0.89`` and ``19.``
   have none. The notation must be the same, and so must the number of decimals, unless
   zeros at the end are not printed.
3. A number with fewer than three significant digits is exact: ``1e-05``, ``0.0012``.
   But where a number with three of them and no fewer decimals stands in the same row,
   or in the same brackets, with no word, ``=`` or ``:`` in between, it is rounded as
   that one: ``0.0003`` in ``[0.1234, 0.0003]``.
4. More slack needs cell metadata with a reason:
   ``"nbval": {"atol": 0.02, "why": "..."}``, and if CUDA needs still more
   ``"cuda": {"atol": 0.04, "why": "..."}`` inside it, used where the device is `cuda`.
5. White space may change only with the width of a number, and no more than that: above,
   below and beside it, which includes the rule under the heading of its column; and
   between the numbers of one tensor, where a line may then end elsewhere.
6. In an SVG the path data, the `x` and `y` and what is in ``translate()`` have the
   slack 0.02 points, and matplotlib's ids, which are hashes of coordinates, may be
   renamed. Sizes, widths and colours are exact.
7. Source code (Markdown that is one code block) must be equal.
"""

import copy
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
from typing import Any, TypeAlias

MAX_ATOL = Decimal("0.05")
SVG_ATOL = Decimal("0.02")
TEXTS = ("text/plain", "text/markdown", "text/html", "text/latex")
SVG = "image/svg+xml"
FEWEST_DIGITS = 3  # of a number that is rounded; one with fewer is exact

# After a number or `.` a sign belongs to it only as in 1.5-0.5j, and a letter after it
# is its unit. A letter before it, or a digit after the unit, make it part of a name.
FLOAT = re.compile(
    r"(?:(?<![A-Za-z0-9_.])[-+]?|(?<=[0-9.])[-+])"
    r"(?:[0-9]+\.[0-9]+(?:[eE][-+]?[0-9]{1,3})?|[0-9]+\.?[eE][-+]?[0-9]{1,3}"
    r"|[0-9]+\.)"
    r"(?![A-Za-z]*[0-9_]|[eE][-+]|\.[0-9])"
)
LITERAL = re.compile(r"([-+]?)[0-9]+(?:\.([0-9]*))?([eE].*)?")
COLOR_CODE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
HTML_TAG = r"""</?[a-z][a-z0-9]*(?:\s[^<>=]+="[^"<>]*")*\s?/?>"""
TOKEN = re.compile(
    rf"(?P<color>\x1b+)|(?P<tag>{HTML_TAG})|(?P<number>{FLOAT.pattern})"
    r"|(?P<rule>(?P<dash>[-=─━])(?P=dash)+)|(?P<line>\n)"
    r"|(?P<word>[A-Za-z0-9_]+|[^\W0-9A-Za-z_]+)|(?P<sign>\S)"
)
SVG_COORDINATES = re.compile(r'\s(?:d|x|y)="[^"]*"|translate\([^)]*\)')
SVG_NUMBER = re.compile(r"(?<![\w#.-])-?\d+(?:\.\d+)?(?![\d.])")
# An embedded image is left alone; an id is a letter or `_` and ten digits of a hash.
SVG_ID = re.compile(r'base64,[^"]*|(?<=[hmp_])([0-9a-f]{10})\b')

Output: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Tolerance:
    """How far a number may be from the stored one, beyond one unit in its last place.

    Attributes:
        atol: for numbers in text.
    """

    atol: Decimal = Decimal(0)


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
    atol = _checked("nbval", entry, ("cuda",))
    if "cuda" in entry:
        cuda = _checked("nbval.cuda", entry["cuda"])
        atol = cuda if device == "cuda" else atol
    return Tolerance(atol)


def _checked(name: str, entry: Any, other: Sequence[str] = ()) -> Decimal:
    """Return the tolerance in one metadata entry after checking all of its keys."""
    allowed = sorted({"atol", *other, "why"})
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
    return _within(f"{name}.atol", entry["atol"]) if "atol" in entry else Decimal(0)


def _within(name: str, value: Any) -> Decimal:
    """Return a tolerance as a Decimal after checking its type and size."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # As it is written: 0.05 as a binary fraction is a little more than that.
    if not is_number or math.isnan(value) or not 0 < Decimal(str(value)) <= MAX_ATOL:
        raise ValueError(
            f"metadata {name} is {value!r}, but must be above 0 and at most {MAX_ATOL}"
        )
    return Decimal(str(value))


def slack(
    reference: str,
    atol: Decimal = Decimal(0),
    *,
    fresh: str | None = None,
    is_in_row: bool = False,
) -> Decimal:
    """Return how far a fresh number may be from a stored literal.

    Args:
        reference: the stored literal, as printed.
        atol: the tolerance of the cell, 0 without metadata.
        fresh: the fresh literal, which counts if it has more decimals.
        is_in_row: whether a number in its row shows that it is rounded.

    Returns:
        One unit in the last printed place if that is fine enough, or `atol` if larger.

    >>> [str(slack(x)) for x in ("0.1234", "0.89", "0.0012", "1e-05")]
    ['0.0001', '0', '0', '0']
    >>> slack("0.0012", is_in_row=True)
    Decimal('0.0001')
    """
    literals = [reference, fresh or reference]
    number = Decimal(reference)
    unit = min(Decimal(1).scaleb(int(_exponent(literal))) for literal in literals)
    has_digits = len(number.as_tuple().digits) >= FEWEST_DIGITS
    is_rounded = any(map(_decimals, literals)) and (has_digits or is_in_row)
    is_fine = unit <= max(Decimal(1), abs(number)) / 1000
    return max(unit if is_rounded and is_fine else Decimal(0), atol)


def _exponent(literal: str) -> int:
    """Return the power of ten of the last printed place."""
    return int(Decimal(literal).as_tuple().exponent)


def _parts(literal: str) -> tuple[str, str, str]:
    """Return the sign of a literal, its digits after the point, and its exponent."""
    [(sign, decimals, exponent)] = LITERAL.findall(literal)
    return sign, decimals, exponent


def _decimals(literal: str) -> int:
    """Return how many digits stand after the point, not counting an exponent."""
    return len(_parts(literal)[1])


def _is_alike(new: str, old: str) -> bool:
    """Say whether two literals are in one notation, with all decimals or without 0s."""
    signs, decimals, exponents = zip(_parts(new), _parts(old), strict=True)
    shorter, longer = sorted(decimals, key=len)
    is_trimmed = len(shorter) == len(longer) or not longer.endswith("0")
    is_scientific = set(map(bool, exponents))
    return is_trimmed and len(is_scientific) == 1 and set(signs) != {"", "+"}


@dataclass(frozen=True)
class _Token:
    """A piece of a text without white space.

    Attributes:
        kind: the name of the group of `TOKEN` that it matches.
        text: itself.
        gap: the white space before it.
        start: where it stands in the text.
        column: where it stands in its line.
        block: how many blank lines stand above it.
        bracket: the outermost pair of brackets that it stands in, by a number.
    """

    kind: str
    text: str
    gap: str
    start: int
    column: int
    block: int
    bracket: int | None = None

    @property
    def end(self) -> int:
        """Return where it ends in its line."""
        return self.column + len(self.text)

    @property
    def space(self) -> "_Token":
        """Return the white space before it, as a piece of the text."""
        column = self.column - len(self.gap)
        return replace(self, kind="gap", text=self.gap, column=column)


Pairs: TypeAlias = Sequence[tuple[_Token, _Token]]


def _tokens(text: str) -> list[_Token]:
    """Split a text at white space, and around numbers, words and signs.

    A line break is a token, but inside brackets it is white space.
    """
    masked = COLOR_CODE.sub(lambda m: "\x1b" * len(m[0]), text)
    found: list[_Token] = []
    end = line = block = 0
    for match in TOKEN.finditer(masked + "\n"):
        kind, start = str(match.lastgroup), match.start()
        if kind == "line" and found and found[-1].kind == "line":
            block += 1
        piece, gap = text[start : match.end()], text[end:start]
        found.append(_Token(kind, piece, gap, start, start - line, block))
        end = match.end()
        line = end if kind == "line" else line
    return _unwrapped(_bracketed(found))


def _bracketed(tokens: Sequence[_Token]) -> list[_Token]:
    """Note for each token the outermost pair of brackets that it stands in."""
    opened, brackets = [], dict[int, int]()
    for number, token in enumerate(tokens):
        if token.text in ("(", "[", "{"):
            opened.append(number)
        elif token.text in (")", "]", "}") and opened:
            first = opened.pop()
            brackets |= dict.fromkeys(range(first, number + 1), first)
    return [replace(t, bracket=brackets.get(n)) for n, t in enumerate(tokens)]


def _unwrapped(tokens: Sequence[_Token]) -> list[_Token]:
    """Make the line breaks inside brackets white space."""
    found, gap = [], ""
    for token in tokens:
        if token.kind == "line" and token.bracket is not None:
            gap += f"{token.gap}\n"
        else:
            found.append(replace(token, gap=gap + token.gap))
            gap = ""
    return found


def _rounded_with_row(tokens: Sequence[_Token]) -> list[bool]:
    """Say for each number of a text whether its row shows that it is rounded."""
    rows: list[list[str]] = [[]]
    for before, token in pairwise([tokens[0], *tokens]):
        if token.kind == "number":
            rows[-1].append(token.text)
        elif _ends_row(before, token):
            rows.append([])
    return [
        not _parts(n)[2] and _decimals(n) <= _places(row) for row in rows for n in row
    ]


def _ends_row(before: _Token, token: _Token) -> bool:
    """Say whether a token ends a row of numbers: a word, `=`, `:` or a line break."""
    if token.kind == "word":
        is_unit = before.kind == "number" and not token.gap
        is_number = token.text.isdecimal() or token.text in ("nan", "inf")
        return not is_unit and not is_number
    return token.text in ("=", ":") or (token.kind == "line" and before.kind != "tag")


def _places(row: Sequence[str]) -> int:
    """Return how many decimals the numbers of a row with enough digits have, or -1."""
    fixed = (n for n in row if not _parts(n)[2])
    enough = (n for n in fixed if len(Decimal(n).as_tuple().digits) >= FEWEST_DIGITS)
    return max(map(_decimals, enough), default=-1)


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
    tokens = _tokens(fresh), _tokens(reference)
    new, old = ([t for t in found if t.kind == "number"] for found in tokens)
    if len(new) != len(old):
        return fresh
    result, agree = fresh, True
    rows = _rounded_with_row(tokens[1])
    for a, b, is_in_row in reversed(list(zip(new, old, rows, strict=True))):
        allowed = slack(b.text, atol, fresh=a.text, is_in_row=is_in_row)
        if _is_alike(a.text, b.text) and _distance(a.text, b.text) <= allowed:
            result = result[: a.start] + b.text + result[a.start + len(a.text) :]
        else:
            agree = False
    return reference if agree and _is_laid_out_alike(*tokens) else result


def _distance(one: str, other: str) -> Decimal:
    """Return how far two literals are apart."""
    return abs(Decimal(one) - Decimal(other))


def _is_laid_out_alike(fresh: Sequence[_Token], reference: Sequence[_Token]) -> bool:
    """Say whether texts differ in numbers only, and in what follows from their width.

    Args:
        fresh: the tokens of the text just computed.
        reference: those of the stored text; all its numbers agree.
    """
    if list(map(_said, fresh)) != list(map(_said, reference)):
        return False
    pairs = list(zip(fresh, reference, strict=True))
    resized = [p for p in pairs if p[0].kind == "number" and _growth(*p)]
    return all(
        (new.kind == "number" or _is_moved(new, old, resized))
        and (
            _is_moved(new.space, old.space, resized)
            or _is_tensor_moved(before, new, old, resized)
        )
        for (before, _), (new, old) in pairwise([pairs[0], *pairs])
    )


def _said(token: _Token) -> str:
    """Return what must be equal in a token: not a number, nor the length of a rule."""
    return {"number": "", "rule": token.text[:2]}.get(token.kind, token.text)


def _growth(new: _Token, old: _Token) -> int:
    """Return by how many characters a token is longer or shorter."""
    return abs(len(new.text) - len(old.text))


def _is_moved(new: _Token, old: _Token, resized: Pairs) -> bool:
    """Say whether a rule or a gap is equal, or follows from a number that it touches.

    Args:
        new: the rule, or the white space, in the fresh text.
        old: the same in the stored text.
        resized: the numbers of another width.
    """
    return new.text == old.text or any(
        (_touch(new, a) or _touch(old, b)) and _growth(new, old) <= _growth(a, b)
        for a, b in resized
        if not re.search(r"[^\S ]", new.text + old.text)
    )


def _touch(one: _Token, other: _Token) -> bool:
    """Say whether two tokens stand beside each other, or one above the other."""
    is_near = one.column <= other.end and other.column <= one.end
    return is_near and one.block == other.block


def _is_tensor_moved(before: _Token, new: _Token, old: _Token, resized: Pairs) -> bool:
    """Say whether a gap follows from a number of another width in the same brackets.

    A tensor gives all its numbers one width, and breaks its lines where they are full.
    """
    widths = sorted(_growth(a, b) for a, b in resized if a.bracket == new.bracket)
    is_inside = before.bracket == new.bracket is not None and bool(widths)
    is_beside = "number" in (before.kind, new.kind) or before.text == ","
    breaks = {token.gap.replace(" ", "") for token in (new, old)}
    # NumPy pads numbers on both sides, so a gap follows from two of them.
    is_small = _growth(new.space, old.space) <= sum(widths[-2:])
    is_moved = breaks == {"", "\n"} or (len(breaks) == 1 and is_small)
    return is_inside and is_beside and is_moved


def snap_svg(fresh: str, reference: str) -> str:
    """Rewrite the coordinates and ids of an SVG as the stored ones where they agree.

    Args:
        fresh: the SVG just drawn.
        reference: the stored SVG. Its integers are exact: glyphs and their outlines.

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
        is_near = _distance(new, old) <= (SVG_ATOL if "." in new + old else 0)
        return old if is_near else new

    return SVG_COORDINATES.sub(lambda m: SVG_NUMBER.sub(snapped, m[0]), renamed)


def _coordinates(fresh: str, reference: str) -> list[tuple[str, str]] | None:
    """Pair the coordinates of two SVGs; None if they have not equally many."""
    numbers = [
        [n for part in SVG_COORDINATES.findall(svg) for n in SVG_NUMBER.findall(part)]
        for svg in (fresh, reference)
    ]
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


def snap_outputs(
    fresh: Sequence[Output], reference: Sequence[Output], tolerance: Tolerance
) -> list[Any]:
    """Snap the outputs of a cell, paired as nbval pairs them: by kind, then in order.

    Args:
        fresh: the outputs just computed; they are not changed.
        reference: the stored outputs.
        tolerance: the tolerance of the cell.

    Returns:
        A copy of `fresh`, snapped.
    """
    snapped = copy.deepcopy(list(fresh))
    for kind, holder, old in _pairs(snapped, reference):
        key = "text" if kind == "stdout" else kind
        if kind == SVG:
            holder[key] = snap_svg(holder[key], old)
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
    distances: list[Decimal] = []
    for kind, holder, old in _pairs(fresh, reference):
        if kind == SVG:
            continue
        new = holder["text" if kind == "stdout" else kind]
        numbers = [
            [t.text for t in _tokens(text) if t.kind == "number"] for text in (new, old)
        ]
        if len(numbers[0]) != len(numbers[1]):
            return None
        distances += map(_distance, *numbers)
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

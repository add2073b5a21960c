"""Mistakes in the stored outputs of notebooks.

Belongs here: making such mutants. Does not belong here: judging them (`replay`).
PNG images are not compared, and so they are not changed.
"""

import copy
import os
import random
import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import nbformat

from tools.notebooks import chapters
from tools.regression.agreement import SVG, SVG_ATOL, TEXTS, slack, tolerance_of
from tools.regression.mutants import ROOT, Mutant, rank

NOTEBOOKS = [path.name for path in chapters()]
CHEAP = [name for name in NOTEBOOKS if name != "6_6_lenet.ipynb"]  # it trains
PER_KIND = 3  # mutants of each kind in each notebook, where it has places for them

# Written without a look at those of `agreement`: what that does not see must be found.
DECIMAL = re.compile(r"\d+\.\d+(?:e[-+]\d+)?")
INTEGER = re.compile(r"(?<![\w.])\d+(?!\w|\.\d)")
SIGNED = re.compile(r"(?<![\w.])-?(?:\d+\.\d+|[1-9]\d*)(?![\w.])")
SHAPE = re.compile(r"\(\[?\d+(?:, \d+)+\]?\)|\b\d+ ?[x×] ?\d+\b")
WORD = re.compile(r"[A-Za-z]{2,}")
LINE = re.compile(r"^.*\S.*\n.*\S.*$", re.MULTILINE)
EXPONENT = re.compile(r"(?<=\de)[-+]\d\d\b")
ONLY_DIGIT = re.compile(r"(?<=[a-z][ =])0\.0*[1-9](?![\d.])")
IMAGINARY = re.compile(r"[-+]\d+\.\d+(?=j)")
LINE_START = re.compile(r"(?<=\S)(\n *)(\S+) +(?=\S)")
BLANK = re.compile(r"(?<=\w) (?=\w)")
FIGURE_SIZE = re.compile(
    r"(?<=scale\()[\d.]+|(?:(?<=opacity: )|(?<=width: )|(?<=font-size: ))[\d.]+"
)
FIGURE_INTEGER = re.compile(r"(?<![\w#.-])\d+(?![\w.])")
COLOR = re.compile(r"#[0-9a-f]{6}\b")
GLYPH = re.compile(r"(?<=#DejaVuSans-)[0-9a-f]{2}\b")

Slot: TypeAlias = tuple[Any, str]
Rewrite: TypeAlias = Callable[[random.Random, re.Match[str], Any], str | None]
Mistake: TypeAlias = Callable[[random.Random, Any, int], str | None]


def slots(cell: Any, kinds: Sequence[str]) -> list[Slot]:
    """Return where the texts of a cell's outputs stand: the dict, and its key.

    Args:
        cell: the code cell.
        kinds: the MIME types of the texts; streams are plain text.

    Returns:
        The places.
    """
    found: list[Slot] = []
    for output in cell.outputs:
        if output.output_type == "stream" and "text/plain" in kinds:
            found.append((output, "text"))
        data = output.get("data", {})
        found += [(data, kind) for kind in kinds if kind in data]
    return found


def rewritten(
    chance: random.Random,
    notebook: Any,
    index: int,
    *,
    what: re.Pattern[str],
    rewrite: Rewrite,
    kinds: Sequence[str] = TEXTS,
) -> str | None:
    """Rewrite one match of a pattern in the outputs of a cell.

    Args:
        chance: draws the match.
        notebook: the notebook, changed in place.
        index: the place of the code cell in it.
        what: the pattern.
        rewrite: returns the new text of a match, or None where it can make no mistake.
        kinds: the MIME types of the texts that are searched.

    Returns:
        What was changed, or None if there is nothing to change.
    """
    cell = notebook.cells[index]
    found = [(s, m) for s in slots(cell, kinds) for m in what.finditer(s[0][s[1]])]
    for (holder, key), match in chance.sample(found, len(found)):
        new = rewrite(chance, match, cell)
        if new is not None and new != match[0]:
            text = holder[key]
            holder[key] = text[: match.start()] + new + text[match.end() :]
            return f"{shortened(match[0])} -> {shortened(new)}"
    return None


def shortened(text: str) -> str:
    """Return a text in one line, without its middle if it is long."""
    text = text.replace("\n", "⏎")
    return text if len(text) <= 40 else f"{text[:18]} … {text[-18:]}"


def room(old: str, new: str, cell: Any) -> Decimal:
    """Return how much further two literals are apart than the regression allows."""
    atol = tolerance_of(cell.metadata).atol
    return abs(Decimal(new) - Decimal(old)) - slack(new, atol, is_in_row=True)


def other_digit(chance: random.Random, match: re.Match[str], cell: Any) -> str | None:
    """Change one digit of a decimal number by more than its tolerance."""
    old = match[0]
    place = chance.choice([m.start() for m in re.finditer(r"\d", old.split("e")[0])])
    digit = (int(old[place]) + chance.randint(1, 9)) % 10
    new = f"{old[:place]}{digit}{old[place + 1 :]}"
    return new if room(old, new, cell) > 0 else None


def just_beyond(chance: random.Random, match: re.Match[str], cell: Any) -> str | None:
    """Move a decimal number by its tolerance and one unit in its last place."""
    old = Decimal(match[0])
    unit = Decimal(1).scaleb(int(old.as_tuple().exponent))
    atol = tolerance_of(cell.metadata).atol
    step = slack(match[0], atol, is_in_row=True) + unit
    new = format(old + chance.choice([-1, 1]) * step.quantize(unit), "f")
    return new if "e" not in match[0] and room(match[0], new, cell) > 0 else None


def trained(chance: random.Random, match: re.Match[str], cell: Any) -> str | None:
    """Move a trained number a little further than the tolerance of its cell."""
    is_wide = tolerance_of(cell.metadata).atol > 0
    return just_beyond(chance, match, cell) if is_wide else None


def other_sign(chance: random.Random, match: re.Match[str], cell: Any) -> str | None:
    """Change the sign of a number that is not within its tolerance of zero."""
    old = match[0]
    new = old[1:] if old.startswith("-") else f"-{old}"
    return new if room(old, new, cell) > 0 else None


def other_imaginary(
    chance: random.Random, match: re.Match[str], cell: Any
) -> str | None:
    """Change the sign of an imaginary part that is not within its tolerance of zero."""
    new = match[0].translate({ord("+"): "-", ord("-"): "+"})
    return new if room(match[0], new, cell) > 0 else None


def other_exponent(
    chance: random.Random, match: re.Match[str], cell: Any
) -> str | None:
    """Make a number ten times as large or small, where no tolerance is stated."""
    is_wide = tolerance_of(cell.metadata).atol > 0
    return None if is_wide else f"{int(match[0]) + chance.choice([-1, 1]):+03d}"


def other_only_digit(
    chance: random.Random, match: re.Match[str], cell: Any
) -> str | None:
    """Change the only digit of a setting by one, where no tolerance is stated."""
    digit = int(match[0][-1])
    new = digit + 1 if digit == 1 else digit - 1
    is_wide = tolerance_of(cell.metadata).atol > 0
    return None if is_wide else f"{match[0][:-1]}{new}"


def one_off(chance: random.Random, match: re.Match[str], cell: Any) -> str:
    """Count one more or one less in one of the integers of a text."""
    place = chance.choice(list(re.finditer(r"\d+", match[0])))
    value = int(place[0]) + chance.choice([-1, 1] if int(place[0]) else [1])
    return match[0][: place.start()] + str(value) + match[0][place.end() :]


def other_word(chance: random.Random, match: re.Match[str], cell: Any) -> str:
    """Put another word of the same text in the place of a word, or none."""
    others = sorted(set(WORD.findall(match.string)) - {match[0]})
    return chance.choice(others) if others else ""


def other_line_first(chance: random.Random, match: re.Match[str], cell: Any) -> str:
    """Swap two neighbouring lines."""
    first, second = match[0].split("\n")
    return f"{second}\n{first}"


def line_later(chance: random.Random, match: re.Match[str], cell: Any) -> str:
    """Move the first piece of a line to the end of the line before."""
    return f" {match[2]}{match[1]}"


def no_blank(chance: random.Random, match: re.Match[str], cell: Any) -> str:
    """Remove the blank between two words or numbers."""
    return ""


def other_size(chance: random.Random, match: re.Match[str], cell: Any) -> str:
    """Make a scale, an opacity or a line's width in a figure a little larger."""
    return str(Decimal(match[0]) + Decimal("0.01"))


def other_color(chance: random.Random, match: re.Match[str], cell: Any) -> str:
    """Change the red of a colour."""
    return f"#{int(match[0][1:3], 16) ^ 0x40:02x}{match[0][3:]}"


def other_glyph(chance: random.Random, match: re.Match[str], cell: Any) -> str:
    """Put the next letter or digit in the place of one in a figure."""
    return f"{int(match[0], 16) ^ 1:02x}"


def moved(chance: random.Random, match: re.Match[str], cell: Any) -> str:
    """Move a coordinate of a figure by a little more than its tolerance."""
    step = SVG_ATOL + Decimal("0.01")
    return str(Decimal(match[0]) + chance.choice([-1, 1]) * step)


def deleted(chance: random.Random, notebook: Any, index: int) -> str | None:
    """Delete one output of a cell."""
    outputs = notebook.cells[index].outputs
    if not outputs:
        return None
    return f"{label(outputs.pop(chance.randrange(len(outputs))))} deleted"


def added(chance: random.Random, notebook: Any, index: int) -> str:
    """Add to a cell an output that stands elsewhere in the notebook."""
    others = [o for c in notebook.cells for o in c.get("outputs", [])]
    new = chance.choice(others)
    outputs = notebook.cells[index].outputs
    outputs.insert(chance.randint(0, len(outputs)), new)
    return f"{label(new)} added"


def form_deleted(chance: random.Random, notebook: Any, index: int) -> str | None:
    """Delete the table or the picture of an output, and leave its plain text."""
    found = slots(notebook.cells[index], (SVG, "text/markdown"))
    if not found:
        return None
    holder, kind = chance.choice(found)
    del holder[kind]
    return f"{kind} deleted"


def swapped_inside(chance: random.Random, notebook: Any, index: int) -> str | None:
    """Swap two outputs of a cell."""
    outputs = notebook.cells[index].outputs
    if len(outputs) < 2:
        return None
    i, j = sorted(chance.sample(range(len(outputs)), 2))
    outputs[i], outputs[j] = outputs[j], outputs[i]
    return f"{label(outputs[j])} <-> {label(outputs[i])}"


def swapped_across(chance: random.Random, notebook: Any, index: int) -> str | None:
    """Swap the outputs of a cell with those of the next cell that has others."""
    cell = notebook.cells[index]
    for later in notebook.cells[index + 1 :]:
        if cell.outputs and later.get("outputs") and later.outputs != cell.outputs:
            cell.outputs, later.outputs = later.outputs, cell.outputs
            return f"its outputs <-> those of `{shortened(later.source)}`"
    return None


def not_run(chance: random.Random, notebook: Any, index: int) -> str:
    """Forget that a cell was run; half of the time its outputs are gone as well."""
    cell = notebook.cells[index]
    cell.execution_count = None
    if chance.random() < 0.5:
        cell.outputs = []
        return "not run, no outputs"
    return "not run"


def label(output: Any) -> str:
    """Name an output by its kind."""
    return "+".join(sorted(output.get("data", {}))) or output.output_type


in_text = partial(partial, rewritten)
in_figure = partial(in_text, kinds=(SVG,))
TRAINED = "a trained number, likewise"
KINDS: dict[str, Mistake] = {
    "a digit of a number": in_text(what=DECIMAL, rewrite=other_digit),
    "a sign": in_text(what=SIGNED, rewrite=other_sign),
    "a number just beyond its tolerance": in_text(what=DECIMAL, rewrite=just_beyond),
    TRAINED: in_text(what=DECIMAL, rewrite=trained),
    "an imaginary part": in_text(what=IMAGINARY, rewrite=other_imaginary),
    "the exponent of a number": in_text(what=EXPONENT, rewrite=other_exponent),
    "the only digit of a setting": in_text(what=ONLY_DIGIT, rewrite=other_only_digit),
    "a shape": in_text(what=SHAPE, rewrite=one_off),
    "a count": in_text(what=INTEGER, rewrite=one_off),
    "a word": in_text(what=WORD, rewrite=other_word),
    "two lines swapped": in_text(what=LINE, rewrite=other_line_first),
    "a line break moved": in_text(what=LINE_START, rewrite=line_later),
    "a blank between words": in_text(what=BLANK, rewrite=no_blank),
    "a coordinate of a figure": in_figure(what=DECIMAL, rewrite=moved),
    "a size in a figure": in_figure(what=FIGURE_SIZE, rewrite=other_size),
    "an integer of a figure": in_figure(what=FIGURE_INTEGER, rewrite=one_off),
    "a letter of a figure": in_figure(what=GLYPH, rewrite=other_glyph),
    "a colour of a figure": in_figure(what=COLOR, rewrite=other_color),
    "an output deleted": deleted,
    "an output added": added,
    "a table or picture deleted": form_deleted,
    "two outputs of a cell swapped": swapped_inside,
    "the outputs of two cells swapped": swapped_across,
    "a cell not run": not_run,
}


def mutants(path: Path) -> Iterator[Mutant]:
    """Make mutants of a notebook, always the same ones.

    Args:
        path: the notebook; it is only read.

    Yields:
        The mutants, `PER_KIND` of each kind where there are places for as many; of
        trained numbers, one in each cell that has them.
    """
    original = nbformat.read(path, as_version=4)
    name = Path(os.path.relpath(path, ROOT)).as_posix()
    for kind, mistake in KINDS.items():
        found = _of_kind(kind, mistake, name, original)
        yield from found if kind == TRAINED else islice(found, PER_KIND)


def _of_kind(kind: str, mistake: Mistake, name: str, original: Any) -> Iterator[Mutant]:
    """Yield a mutant of one kind for each cell that has a place for it."""
    ranks = {
        index: rank(kind, name, cell.id)
        for index, cell in enumerate(original.cells)
        if cell.cell_type == "code"
    }
    for index in sorted(ranks, key=lambda i: ranks[i]):
        notebook = copy.deepcopy(original)
        change = mistake(random.Random(ranks[index]), notebook, index)
        if change is not None:
            text = nbformat.v4.writes(notebook)
            yield Mutant(kind, name, f"Cell {index + 1}", 0, change, text)

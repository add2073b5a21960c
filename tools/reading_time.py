"""How long each answer takes to read, and whether that is within the budget.

``python -m tools.reading_time`` (in `make lint`) prints a table and fails beyond it.
Belongs here: counting what a reader sees inside answers. Does not belong here: the rest
of their form (`lint_notebooks`).
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tabulate import tabulate

from tools.lint_notebooks import FOLDED, solutions_of
from tools.notebooks import chapters, read

WORDS, LINES = 200, 25  # read in a minute
MINUTES = 5
LONGER = dict.fromkeys(("ex-6-4-1", "ex-6-4-2", "ex-6-6-2"), 8)  # many parts
ALL_WORDS = 22_000
PARTS = {"Short answer": 120, "Why": 250}  # words beside formulas, in five minutes
LEAD = re.compile(r"\*\*(Short answer|Why|Check|Common mistakes)\b")
KINDS = ("words", "lines", "deeper")
DEEPER = re.compile(r"^:class:.*\bdeeper\b", re.M)
NO_TEXT = re.compile(r"^:::.*$|^:\w+:.*$|(?<=\])\([^)]*\)", re.M)
FORMULA = re.compile(r"\$\$.*?\$\$|\$[^$]*\$", re.S)


def words(text: str) -> int:
    """Count the words of Markdown; a formula is one, a link's address none.

    >>> words("The [sum](#a) $a + b$ is even.")
    5
    """
    return len(re.findall(r"\w[\w'’-]*", FORMULA.sub(" M ", NO_TEXT.sub("", text))))


def seen(cells: Any) -> Iterator[tuple[str, int]]:
    """Yield what a reader sees of the cells of an answer: its kind, and how much.

    Words are counted, lines of code, and words that stand in a fold that goes deeper.
    """
    words_are = "words"
    for cell in cells:
        if cell.cell_type == "markdown":
            words_are = "deeper" if DEEPER.search(cell.source) else words_are
            yield words_are, words(cell.source)
        elif words_are == "words":
            if FOLDED not in cell.metadata.get("tags", ()):
                yield "lines", len(cell.source.splitlines())
            for output in cell.outputs:
                shown = output.get("data", {}).get("text/markdown", "")
                if shown.startswith("```python"):
                    yield "lines", len(shown.splitlines())


def parts(cells: Any) -> Counter[str]:
    """Count the words of an answer by part, without formulas and what is folded."""
    part, found = "", Counter[str]()
    for cell in cells:
        if cell.cell_type == "markdown":
            if DEEPER.search(cell.source):
                break
            for line in FORMULA.sub(" ", cell.source).splitlines():
                if lead := LEAD.match(line):
                    part = lead[1]
                found[part] += words(LEAD.sub("", line))
    return found


def main() -> int:
    """Print the table; return the exit status, 1 if an answer is too long."""
    rows, over, total = [], [], 0
    for path in chapters():
        for solution in solutions_of(read(path).cells):
            cells = [cell for _, cell in solution.cells]
            counts: Counter[str] = Counter()
            for kind, count in seen(cells):
                counts[kind] += count
            minutes = counts["words"] / WORDS + counts["lines"] / LINES
            total += counts["words"]
            rows.append((solution.label, *map(counts.get, KINDS), f"{minutes:.1f}"))
            limit = LONGER.get(solution.label, MINUTES)
            if minutes > limit:
                over.append(f"{solution.label}: {minutes:.1f} min, more than {limit}")
            for part, at_most in PARTS.items():
                count, at_most = parts(cells)[part], at_most * limit // MINUTES
                if count > at_most:
                    over.append(
                        f"{solution.label}, {part}: {count} words, more than {at_most}"
                    )
    print(tabulate(rows, headers=("answer", *KINDS, "minutes")))
    if total > ALL_WORDS:
        over.append(f"{total} words inside answers, more than {ALL_WORDS}")
    print("\n".join([f"{total} words inside answers", *over]))
    return int(bool(over))


if __name__ == "__main__":
    sys.exit(main())

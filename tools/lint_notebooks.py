"""Check the form of the notebooks: ``python -m tools.lint_notebooks``.

Belongs here: what every notebook must look like, whatever it says. Does not belong
here: running it (`nbtol`), writing outputs (`refresh`), style of code (ruff, which
reads notebooks too). Each finding is one line ``file: cell n: message``; cells are
counted from 1, Markdown cells included.
"""

import ast
import re
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

from markdown_it import MarkdownIt

from tools.notebooks import (
    EXERCISE,
    FILE,
    KERNELSPEC,
    ROOT,
    SOLUTION,
    SOLUTION_END,
    NotebookError,
    chapters,
    read,
    run_faults,
)
from tools.regression.agreement import tolerance_of
from tools.regression.refresh import IMAGES

SOLUTIONS = ROOT / "solutions"
EXERCISES = {1: 6, 2: 4, 3: 4, 4: 6, 5: 6, 6: 4}  # section: number of exercises
ADDED = "Also in the 1.0 edition"  # the part for exercises of that edition alone
FOLDED = "hide-input"  # the tag of cells whose code is folded on the site
DRAWING = {"show", "show_source", "show_table"}
MAX_BYTES = 1_500_000
MAX_LINES = 15
MAX_WIDTH = 88
MIN_ALT = 20
LONG_LINE = 30  # a shorter one may well stand twice
UNCHECKED = re.compile(
    r"nbval[-_](ignore[-_]output|skip)|pytest_validate_ignore_output", re.I
)
HINT = re.compile(r"^:class:.*\bhint\b.*\bdropdown\b", re.M)
# A device, an address in memory, a path of some machine: elsewhere they are others.
LOCAL = re.compile(
    r"device=|\b(?:cuda|mps|cpu)\b|\b0x[0-9a-f]{6,}|[A-Z]:\\|(?<![\w./:<)])[/~]/?\w[\w.-]+/"
)

Finding: TypeAlias = tuple[int, str]  # number of the cell, 0 for the file; message


@dataclass(frozen=True)
class Solution:
    """A solution as it stands in a notebook.

    Attributes:
        label: the label of its exercise.
        start: the number of the cell that opens it.
        cells: the cells inside, each with its number.
        is_closed: whether a ``solution-end`` follows.
    """

    label: str
    start: int
    cells: tuple[tuple[int, Any], ...]
    is_closed: bool


def lint(path: Path, defined: Collection[str]) -> list[Finding]:
    """Check one notebook.

    Args:
        path: the notebook.
        defined: the names that `solutions` defines.

    Returns:
        What is wrong, in the order of the cells. A file that is no notebook is
        checked no further.
    """
    try:
        notebook = read(path)
    except NotebookError as error:
        return [(0, error.fault)]
    found = [finding for rule in RULES for finding in rule(notebook.cells)]
    found += notebook_faults(notebook)
    found += repeated_definitions(notebook.cells, defined)
    found += exercise_faults(notebook.cells, path.name)
    if (size := path.stat().st_size) > MAX_BYTES:
        found.append((0, f"has {size} bytes, more than {MAX_BYTES}"))
    return sorted(found, key=lambda finding: finding[0])


def numbered(cells: Any, kind: str) -> list[tuple[int, Any]]:
    """Return the cells of one type, each with its number."""
    return [(n, c) for n, c in enumerate(cells, start=1) if c.cell_type == kind]


def own_code(cells: Any) -> list[tuple[int, Any]]:
    """Return the code cells, each with its number, but not that of `colab`."""
    return [(n, c) for n, c in numbered(cells, "code") if "colab" not in _tags(c)]


def notebook_faults(notebook: Any) -> Iterator[Finding]:
    """Find a wrong kernel or metadata of the whole notebook."""
    metadata = notebook.metadata
    if metadata.get("kernelspec") != KERNELSPEC:
        yield 0, f"kernelspec is {metadata.get('kernelspec')}, not {KERNELSPEC}"
    if metadata.get("language_info") != {"name": "python"}:
        yield 0, "language_info says more than the name python: refresh the notebook"
    if extra := sorted(set(metadata) - {"kernelspec", "language_info", "checked"}):
        yield 0, f"has metadata {extra}: refresh the notebook"


def output_faults(cells: Any) -> Iterator[Finding]:
    """Find outputs on stderr, unannounced errors, widgets and timestamps."""
    for number, cell in numbered(cells, "code"):
        if "execution" in cell.metadata:
            yield number, "has the times of its execution: refresh the notebook"
        for output in cell.outputs:
            if output.get("name") == "stderr":
                yield number, "has an output on stderr"
            is_announced = "raises-exception" in _tags(cell)
            if output.output_type == "error" and not is_announced:
                yield number, "has an error output without the tag raises-exception"
            if any("widget" in kind for kind in output.get("data", {})):
                yield number, "has an output that is a widget"


def local_faults(cells: Any) -> Iterator[Finding]:
    """Find outputs that only the machine that stored them prints."""
    for number, cell in numbered(cells, "code"):
        for text in filter(None, map(_said, cell.outputs)):
            if match := LOCAL.search(text):
                line = text[: match.end()].splitlines()[-1].strip()
                yield number, f"names a device, an address or a path: {line}"


def _said(output: Any) -> str:
    """Return the text of an output, but not source code that it shows."""
    data = output.get("data", {})
    if data.get("text/markdown", "").startswith("```"):
        return ""
    kinds = ("text/plain", "text/markdown", "text/html", "text/latex")
    texts = [output.get("text"), output.get("evalue"), *map(data.get, kinds)]
    return "\n".join(text for text in texts if text)


def picture_faults(cells: Any) -> Iterator[Finding]:
    """Find pictures without alternative text, and alternative text without picture."""
    for number, cell in numbered(cells, "code"):
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
        shown = [o.data for o in cell.outputs if set(IMAGES) & set(o.get("data", {}))]
        if len(shown) > 1:
            yield number, f"shows {len(shown)} pictures, but may show one"
        if not shown and alt is not None:
            yield number, "has alternative text, but shows no picture"
        if shown and (alt is None or len(alt) < MIN_ALT):
            yield number, f"describes its picture in fewer than {MIN_ALT} characters"
        if shown and alt != shown[0].get("text/plain"):
            yield number, "alternative text is not the text/plain: refresh the notebook"


def size_faults(cells: Any) -> Iterator[Finding]:
    """Find code cells that are too long (the first, of imports, may be) or too wide."""
    for i, (number, cell) in enumerate(own_code(cells)):
        lines = cell.source.splitlines()
        if i > 0 and len(lines) > MAX_LINES:
            yield number, f"has {len(lines)} lines, more than {MAX_LINES}"
        if (width := max(map(len, lines), default=0)) > MAX_WIDTH:
            yield number, f"has a line of {width} characters, more than {MAX_WIDTH}"


def comparison_faults(cells: Any) -> Iterator[Finding]:
    """Find cells that are not run or not compared, and invalid tolerances."""
    yield from run_faults(cells)
    for number, cell in numbered(cells, "code"):
        if marker := UNCHECKED.search("\n".join([cell.source, *_tags(cell)])):
            yield number, f"is not compared: {marker[0]}"
        try:
            tolerance_of(cell.metadata)
        except ValueError as error:
            yield number, str(error)


def folding_faults(cells: Any) -> Iterator[Finding]:
    """Find cells that only import or draw, and whose code is not folded on the site."""
    for number, cell in own_code(cells):
        body = _body(parse(cell))
        if body and all(map(_only_draws, body)) and FOLDED not in _tags(cell):
            yield number, f"imports or draws and does nothing else: tag it {FOLDED}"


def _only_draws(node: ast.stmt) -> bool:
    """Say whether a statement imports or shows something."""
    match node:
        case ast.Import() | ast.ImportFrom():
            return True
        case ast.Expr(ast.Call(ast.Name(name))):
            return name in DRAWING
    return False


def _tags(cell: Any) -> list[str]:
    """Return the tags of a cell."""
    return cell.metadata.get("tags", [])


def repeated_lines(cells: Any) -> Iterator[Finding]:
    """Find sentences and items of a list that stand twice in one cell of text."""
    for number, cell in numbered(cells, "markdown"):
        lines = Counter(cell.source.splitlines())
        for line, times in lines.items():
            if times > 1 and len(line) >= LONG_LINE:
                yield number, f"says {times} times: {line}"


def opening_faults(cells: Any) -> Iterator[Finding]:
    """Check that the code begins with imports only, then with `make_deterministic`."""
    code = [(number, parse(cell)) for number, cell in own_code(cells)]
    for number, tree in code:
        if tree is None:
            yield number, "is no plain Python"
    if len(code) < 2:
        yield 0, "has fewer than two code cells"
        return
    (first, imports), (second, setup) = code[:2]
    is_import = [isinstance(s, (ast.Import, ast.ImportFrom)) for s in _body(imports)]
    if not is_import or not all(is_import):
        yield first, "is the first code cell, so must have imports and nothing else"
    calls = [
        node.func
        for node in ast.walk(setup or ast.Module([], []))
        if isinstance(node, ast.Call)
    ]
    if not any(isinstance(f, ast.Name) and f.id == "make_deterministic" for f in calls):
        yield second, "is the second code cell, so must call make_deterministic()"


def parse(cell: Any) -> ast.Module | None:
    """Return the syntax tree of a code cell, None if it is no plain Python."""
    try:
        return ast.parse(cell.source)
    except SyntaxError:
        return None


def _body(tree: ast.Module | None) -> list[ast.stmt]:
    """Return the top-level statements of a tree."""
    return tree.body if tree else []


def definitions(tree: ast.Module | None) -> list[str]:
    """Return the names of the functions and classes that a module defines."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [node.name for node in _body(tree) if isinstance(node, kinds)]


def repeated_definitions(cells: Any, defined: Collection[str]) -> Iterator[Finding]:
    """Find functions and classes that `solutions` defines already."""
    for number, cell in numbered(cells, "code"):
        for name in definitions(parse(cell)):
            if name in defined:
                yield number, f"defines {name} again: import it from solutions"


def headings(cell: Any) -> list[tuple[int, str]]:
    """Return the level and the text of each heading in a Markdown cell."""
    tokens = MarkdownIt().parse(cell.source)
    return [
        (int(token.tag[1:]), after.content)
        for token, after in pairwise(tokens)
        if token.type == "heading_open"
    ]


def solutions_of(cells: Any) -> Iterator[Solution]:
    """Yield the solutions of a notebook."""
    markdown = numbered(cells, "markdown")
    for start, cell in markdown:
        if match := SOLUTION.fullmatch(cell.source + "\n"):
            later = (n for n, c in markdown if n > start and _bounds_solution(c))
            end = next(later, len(cells) + 1)
            is_closed = end <= len(cells) and bool(
                SOLUTION_END.fullmatch(cells[end - 1].source + "\n")
            )
            inside = tuple(enumerate(cells[start : end - 1], start=start + 1))
            yield Solution(match[1], start, inside, is_closed)


def _bounds_solution(cell: Any) -> bool:
    """Say whether a cell opens or closes a solution."""
    return "{solution-" in cell.source


def solution_faults(cells: Any) -> Iterator[Finding]:
    """Find solutions that are not closed, or lack what a solution must have."""
    bounds = 0
    for solution in solutions_of(cells):
        bounds += 1 + solution.is_closed
        yield from _inside_faults(solution)
        before = [c.source for c in cells[: solution.start - 1]]
        begun = [
            i for i, s in enumerate(before) if solution.label in EXERCISE.findall(s)
        ]
        if not begun:
            yield solution.start, f"solves {solution.label}, but no exercise before it"
        elif not HINT.search("\n".join(before[begun[-1] :])):
            yield solution.start, f"{solution.label} has no hint before its solution"
    if bounds != sum(_bounds_solution(c) for _, c in numbered(cells, "markdown")):
        yield 0, "solution-start and solution-end do not pair, each in its own cell"


def _inside_faults(solution: Solution) -> Iterator[Finding]:
    """Find what is wrong between the start and the end of a solution."""
    if not solution.is_closed:
        yield solution.start, f"{solution.label} has no solution-end in its own cell"
    markdown = [(n, c) for n, c in solution.cells if c.cell_type == "markdown"]
    for lead in ("**Short answer.**", "**Check.**"):
        if not any(lead in c.source for _, c in markdown):
            yield solution.start, f"the solution of {solution.label} has no {lead}"
    for number, cell in markdown:
        for _, heading in headings(cell):
            yield number, f"has a heading inside a solution: {heading}"


def exercise_faults(cells: Any, name: str) -> Iterator[Finding]:
    """Check that the exercises of the section are there in order, headed and solved."""
    match = FILE.fullmatch(name)
    if match is None:
        yield 0, "is not named 6_SECTION_NAME.ipynb"
        return
    section = int(match[1])
    solved = [solution.label for solution in solutions_of(cells)]
    found = []
    part = heading = ""
    for number, cell in numbered(cells, "markdown"):
        for level, heading in headings(cell):
            part = heading if level <= 2 else part
        for label in EXERCISE.findall(cell.source):
            found.append(label)
            title = label.replace("ex-", "Exercise ").replace("-", ".") + ":"
            if not heading.startswith(title):
                yield number, f"{label} stands below {heading!r}, not {title!r}"
            if label.startswith("ex-7-") != (part == ADDED):
                yield number, f"{label} stands in the part {part!r}"
    wanted = [f"ex-6-{section}-{n}" for n in range(1, EXERCISES[section] + 1)]
    wanted += sorted({e for e in found if e.startswith(f"ex-7-{section}-")})
    for what, labels in (("exercises", found), ("solutions", solved)):
        if labels != wanted:
            yield 0, f"has the {what} {labels}, but must have {wanted}"


RULES: tuple[Callable[[Any], Iterator[Finding]], ...] = (
    comparison_faults,
    output_faults,
    local_faults,
    picture_faults,
    size_faults,
    folding_faults,
    repeated_lines,
    opening_faults,
    solution_faults,
)


def defined_in(folder: Path) -> set[str]:
    """Return the names of functions and classes in a folder, but not of the checks."""
    paths = (path for path in folder.rglob("*.py") if path.parent.name != "check")
    sources = [path.read_text(encoding="utf-8") for path in paths]
    return {name for source in sources for name in definitions(ast.parse(source))}


def main(paths: Sequence[Path]) -> int:
    """Print every finding in notebooks; return the exit status."""
    defined = defined_in(SOLUTIONS)
    lines = [
        f"{path.name}: cell {number}: {message}"
        if number
        else f"{path.name}: {message}"
        for path in paths
        for number, message in lint(path, defined)
    ]
    sections = {match[1] for path in paths if (match := FILE.fullmatch(path.name))}
    missing = sorted({str(section) for section in EXERCISES} - sections)
    lines += [f"6_{section}_*.ipynb: is missing" for section in missing]
    print("\n".join(lines or [f"{len(paths)} notebooks, no findings"]))
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main(chapters()))

"""Write the student notebooks: ``python -m tools.site.student [folder]``.

A student notebook is a chapter's notebook without answers: each exercise with its
hint, a cell for the answer with the signature, and the check. Belongs here: making it
from the chapter's notebook and from the file of the questions. Does not belong here:
that file, and the note beside an exercise in the book (`check_notes`).

The stored output of each cell is not what some run printed but what an unanswered check
must say. So the regression that executes student notebooks compares with a rule.
"""

import re
import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
import nbformat.v4

from solutions.system.files import NotWrittenError, write_whole
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
)
from tools.site import questions
from tools.site.questions import Question, label_of

FOLDER = ROOT / "_build" / "student"
WIDTH = 88
ABOUT = """\
**This is the student notebook: the exercises without the answers.**
Write your answer into the cell below an exercise, run it, and then run its check.

The checks need the package `solutions` of the project *Convolutional Neural Networks, Exercises Answered*.
In a copy of the project, `make lab` opens a Jupyter that has it.
In an environment of your own, with Python 3.11, 3.12, 3.13 or 3.14, run `pip install PATH-OF-THE-PROJECT` once.
"""  # noqa: E501
IMPORTS = """\
import torch
from torch import nn
from torch.nn import functional as F

from solutions.check import check"""
BLOCK = re.compile(
    r"^(?P<fence>:{3,})\{(?P<kind>\w+)\} *(?P<title>.*)\n(?P<options>(?::.*\n)*)"
    r"(?P<text>(?:.*\n)*?)(?P=fence)$",
    re.M,
)
# A downloaded notebook has no other pages beside it.
LOCAL_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)]*\)")
ABOUT_LINKS = re.compile(r"^Words that are linked .*\n?", re.M)
ROLE = re.compile(r"\{[\w:]+\}`([^`<]*?)(?: *<([^`>]*)>)?`")


def readable(markdown: str) -> str:
    """Return the Markdown of the book as plain Jupyter can show it, anywhere.

    >>> readable("See {ref}`ex-6-2-3` and a [word](glossary.md#term-word).")
    'See exercise 6.2.3 and a word.'
    """
    text = BLOCK.sub(_plain_block, markdown)
    return LOCAL_LINK.sub(r"\1", ROLE.sub(_plain_role, ABOUT_LINKS.sub("", text)))


def _plain_block(match: re.Match[str]) -> str:
    """Return the text of a block; a hint stays folded."""
    text = match["text"].strip()
    if match["kind"] == "exercise":
        return text
    return f"<details><summary>{match['title']}</summary>\n\n{text}\n\n</details>"


def _plain_role(match: re.Match[str]) -> str:
    """Return the words of a cross-reference."""
    text, target = match[1], match[2]
    if target is None and text.startswith("ex-"):
        return f"exercise {text.removeprefix('ex-').replace('-', '.')}"
    return text


def exercise_cells(cells: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """Yield the label and the Markdown of each exercise with its hint, in order.

    Args:
        cells: the cells of a chapter's notebook.
    """
    label, is_inside = "", False
    texts: list[str] = []
    for cell in cells:
        source = cell.source
        if SOLUTION.fullmatch(source + "\n"):
            is_inside = True
            yield label, readable("\n\n".join(texts))
            label, texts = "", []
        elif SOLUTION_END.fullmatch(source + "\n"):
            is_inside = False
        elif cell.cell_type == "markdown" and not is_inside:
            if found := EXERCISE.search(source):
                label, texts = found[1], [source]
            elif label and "Check your answer" not in source:
                texts.append(source)


def stub(question: Question) -> tuple[str, str]:
    """Return the cell for an answer, and the call that checks it.

    >>> answer, call = stub(Question("6.4.3", "ratio", "the factor", None, "", ""))
    >>> print(answer)
    # the factor
    ratio = None
    >>> call
    'check("6.4.3", ratio=ratio)'
    """
    name = question.name or "answer"
    text, answer = question.wanted, f"{name} = None"
    if question.parameters is not None:
        text = f"Return {question.wanted}"
        answer = f"def {name}({', '.join(question.parameters)}):\n    ..."
    comment = textwrap.fill(
        text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False
    )
    given = f"{name}={name}" if question.name else name
    return f"{comment}\n{answer}", f'check("{question.exercise}", {given})'


def student_notebook(notebook: Any, section: str) -> Any:
    """Make the student notebook of a chapter.

    Args:
        notebook: the chapter's notebook.
        section: the number of the section, such as "6.2".

    Returns:
        The notebook, with the outputs that unanswered checks give.
    """
    number = section.partition(".")[2]
    asked = defaultdict(list)
    for question in questions.read():
        if question.exercise.split(".")[1] == number:
            asked[label_of(question.exercise)].append(question)
    markdown = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    title, *rest = readable(markdown[0].source).split("\n")
    intro = "\n".join([f"# {section} {title.removeprefix('# ')}", *rest])
    first = next(iter(asked.values()))
    made = [_markdown("about", f"{intro}\n\n{ABOUT}"), _code("imports", IMPORTS)]
    listing = "".join(f"{question.listed}\n" for question in first)
    made.append(_code("list", f'check.list("{first[0].exercise}")', printed=listing))
    for label, text in exercise_cells(notebook.cells):
        made.append(_markdown(label, text))
        if label not in asked:
            made.append(_markdown(f"{label}-answer", "*Your answer:*"))
        for question in asked.get(label, []):
            answer, call = stub(question)
            name = f"{label}-{question.name or 'answer'}".replace("_", "-")
            made.append(_code(name, answer))
            made.append(_code(f"{name}-check", call, shown=question.unanswered))
    _number(made)
    return nbformat.v4.new_notebook(
        cells=made,
        metadata={"kernelspec": KERNELSPEC, "language_info": {"name": "python"}},
    )


def _markdown(name: str, text: str) -> Any:
    """Return a Markdown cell."""
    return nbformat.v4.new_markdown_cell(text.strip(), id=name)


def _code(name: str, source: str, printed: str = "", shown: str = "") -> Any:
    """Return a code cell with what it prints, and what it shows as its result."""
    outputs = []
    if printed:
        outputs.append(nbformat.v4.new_output("stream", name="stdout", text=printed))
    if shown:
        data = {"text/plain": shown}
        outputs.append(nbformat.v4.new_output("execute_result", data=data))
    return nbformat.v4.new_code_cell(source, id=name, outputs=outputs)


def _number(cells: Sequence[Any]) -> None:
    """Number the code cells as if they had been run from the first to the last."""
    for count, cell in enumerate((c for c in cells if c.cell_type == "code"), start=1):
        cell.execution_count = count
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count


def main(arguments: Sequence[str]) -> int:
    """Write all student notebooks into a folder; return the exit status."""
    folder = Path(arguments[0]) if arguments else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for path in chapters():
        match = FILE.fullmatch(path.name)
        assert match is not None, path.name
        made = student_notebook(read(path), f"6.{match[1]}")
        nbformat.validate(made)
        text = nbformat.writes(made) + "\n"
        write_whole(folder / path.name, text)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (NotebookError, NotWrittenError) as error:
        sys.exit(f"make: {error}")

"""Sphinx extension: a page for each file of `solutions/` that is shown in a chapter.

Belongs here: the link below what `show_source` shows, the check that
this is the text in the file, and the pages. Does not belong here: what is shown.
"""

import ast
from collections.abc import Iterator
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

from solutions.notebook.listing import algorithm

FOLDER = "solutions"
LOGGER = logging.getLogger(__name__)


class Definition(NamedTuple):
    """A function or a class at the top level of a file."""

    name: str
    line: int  # the first, from 1, decorators included
    text: str


def definitions(source: str) -> Iterator[Definition]:
    """Yield what a text of Python defines at its top level, in order."""
    lines = source.splitlines()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            text = "\n".join(lines[first - 1 : node.end_lineno])
            yield Definition(node.name, first, text)


def files(root: Path) -> Iterator[tuple[str, str]]:
    """Yield name and text of each file of the package, as `solutions/lenet.py`."""
    for path in sorted((root / FOLDER).rglob("*.py")):
        yield path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")


@cache
def places(root: Path) -> dict[str, tuple[str, str]]:
    """Return where each definition stands: its file and name by its algorithm."""
    return {
        algorithm(definition.text): (file, definition.name)
        for file, source in files(root)
        for definition in definitions(source)
    }


def shown_sources(doctree: nodes.document) -> list[nodes.literal_block]:
    """Return the Python in the outputs of a page: what `show_source` has written."""
    return [
        block
        for outputs in doctree.findall(nodes.container)
        if "cell_output" in outputs["classes"]
        for block in outputs.findall(nodes.literal_block)
        if block.get("language") == "python"
    ]


def note_files(app: Sphinx, doctree: nodes.document) -> None:
    """Note the files of which a page shows a part: these get a page of their own."""
    known = places(Path(app.srcdir))
    app.env.metadata[app.env.docname]["shown_files"] = {
        known[definition.text][0]
        for block in shown_sources(doctree)
        for definition in definitions(block.astext())
        if definition.text in known
    }


def link_sources(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Name below each shown source its file, and check that it is still that text."""
    if app.builder.format != "html":
        return
    known = places(Path(app.srcdir))
    for block in shown_sources(doctree):
        line = nodes.paragraph("", "From ", classes=["source-link"])
        for definition in definitions(block.astext()):
            if definition.text not in known:
                LOGGER.warning(
                    "%s is shown otherwise than it stands in %s/: refresh the notebook",
                    definition.name,
                    FOLDER,
                    location=docname,
                )
                continue
            file, name = known[definition.text]
            if len(line) > 1:
                line += nodes.Text(", ")
            label = nodes.literal("", f"{file}: {name}")
            if app.builder.name == "html":
                page = app.builder.get_relative_uri(docname, page_of(file))
                line += nodes.reference(
                    "", "", label, refuri=f"{page}#{name}", internal=True
                )
            else:
                line += label
        block.parent.insert(block.parent.index(block) + 1, line)


def page_of(file: str) -> str:
    """Return the page of a file: `source/lenet` for `solutions/lenet.py`."""
    return "source/" + file.removeprefix(f"{FOLDER}/").removesuffix(".py")


def pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield a page for each shown file, with an anchor at each definition."""
    if app.builder.name != "html":
        return
    noted = app.env.metadata.values()
    shown = {file for metadata in noted for file in metadata.get("shown_files", ())}
    for file, source in files(Path(app.srcdir)):
        if file not in shown:
            continue
        html = app.builder.highlighter.highlight_block(source, "python")
        start, code = html.split("<pre>", 1)
        lines = code.splitlines()
        for name, line, _ in definitions(source):
            anchor = f'<span class="source-anchor" id="{escape(name)}"></span>'
            lines[line - 1] = anchor + lines[line - 1]
        code = start + "<pre>" + "\n".join(lines)
        body = f'<h1>{file}</h1><div class="highlight-python">{code}</div>'
        yield page_of(file), {"title": file, "body": body, "parents": []}, "page.html"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("doctree-read", note_files)
    app.connect("doctree-resolved", link_sources)
    app.connect("html-collect-pages", pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

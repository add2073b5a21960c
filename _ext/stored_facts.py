"""Sphinx extension: facts that stand elsewhere, shown on the pages.

Belongs here: a notebook's record of its last check, outputs of tagged cells, the
citation. Does not belong here: a fact of its own; nothing is retyped.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

EXERCISE = re.compile(r"^:label: *(ex-[\d-]+)", re.MULTILINE)
PICTURES = {"image/png", "image/svg+xml"}


def checked_line(checked: dict[str, Any]) -> str:
    """Say when and with what the outputs of a notebook were stored.

    >>> checked_line({"on": "2026-01-02", "machine": "a CPU", "versions": {"A": "1.2"}})
    'Last checked on 2026-01-02, on a CPU, with A 1.2.'
    """
    versions = ", ".join(f"{name} {v}" for name, v in checked["versions"].items())
    return f"Last checked on {checked['on']}, on {checked['machine']}, with {versions}."


def add_record(app: Sphinx, doctree: nodes.document) -> None:
    """Put the record of the last check at the foot of a notebook's page."""
    path = Path(app.env.doc2path(app.env.docname))
    if path.suffix == ".ipynb":
        metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
        if checked := metadata.get("checked"):
            line = nodes.paragraph("", checked_line(checked))
            doctree += nodes.container("", line, classes=["checked"])


def results(folder: Path) -> Iterator[tuple[str, Path, str, dict[str, Any]]]:
    """Yield the cells whose metadata has an entry ``result``.

    Args:
        folder: where the notebooks are.

    Yields:
        The entry, the notebook, the label of the exercise above the cell ("" if there
        is none), and the cell.
    """
    for path in sorted(folder.glob("*.ipynb")):
        label = ""
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "markdown":
                label = [label, *EXERCISE.findall("".join(cell["source"]))][-1]
            if name := cell["metadata"].get("result"):
                yield name, path, label, cell


class Result(SphinxDirective):
    """The stored output of the cell that is tagged with the name, and where it is."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the output; without exactly one such cell the build fails."""
        name = self.arguments[0]
        folder = Path(self.env.srcdir) / "chapters"
        for path in folder.glob("*.ipynb"):
            self.env.note_dependency(str(path))
        found = [r for r in results(folder) if r[0] == name]
        if len(found) != 1:
            raise self.error(f"{len(found)} cells have the metadata result: {name}")
        [(_, path, label, cell)] = found
        shown = [node for o in cell.get("outputs", []) for node in self.output(o)]
        if not shown:
            raise self.error(f"{path.name}: the cell of result {name} prints nothing")
        number = label.removeprefix("ex-").replace("-", ".")
        source = f"Computed in exercise {{ref}}`{number} <{label}>`."
        return [*shown, *self.parse_text_to_nodes(source)]

    def output(self, output: dict[str, Any]) -> list[nodes.Node]:
        """Return one output: a table as a table, everything else as it was printed."""
        data = output.get("data", {})
        if PICTURES & set(data):
            raise self.error("a result is text, but this cell shows a picture")
        if "text/markdown" in data:
            return self.parse_text_to_nodes("".join(data["text/markdown"]))
        text = "".join(output.get("text", data.get("text/plain", ""))).rstrip()
        return [nodes.literal_block(text, text, language="text")]


def bibtex(work: dict[str, Any], kind: str, address: str) -> str:
    """Write one entry of ``CITATION.cff`` for BibTeX.

    Args:
        work: the entry: the file itself or one of its references.
        kind: BibTeX's kind of entry.
        address: where the work is on the web, "" if that is not known.

    Returns:
        The entry.
    """
    authors = [
        f"{a['family-names']}, {a['given-names']}"
        if "family-names" in a
        else f"{{{a['name']}}}"
        for a in work["authors"]
    ]
    year = str(work.get("year") or work["date-released"])[:4]
    name = work["authors"][0].get("family-names") or work["title"].split()[0]
    fields = {
        "author": " and ".join(authors),
        "title": f"{{{work['title']}}}",
        "year": year,
        "version": work.get("version"),
        "url": address,
    }
    lines = [f"  {key} = {{{value}}}," for key, value in fields.items() if value]
    return "\n".join([f"@{kind}{{{name.lower()}{year},", *lines, "}"])


class Citation(SphinxDirective):
    """The references to this book and to Dive into Deep Learning, for BibTeX."""

    def run(self) -> list[nodes.Node]:
        """Return the entries, made from ``CITATION.cff``."""
        path = Path(self.env.srcdir) / "CITATION.cff"
        self.env.note_dependency(str(path))
        book = yaml.safe_load(path.read_text(encoding="utf-8"))
        repository = self.config.html_theme_options.get("repository_url", "")
        entries = [bibtex(book, "misc", repository)]
        entries += [bibtex(w, w["type"], w.get("url", "")) for w in book["references"]]
        text = "\n\n".join(entries)
        return [nodes.literal_block(text, text, language="bibtex")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_directive("result", Result)
    app.add_directive("citation", Citation)
    app.connect("doctree-read", add_record)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

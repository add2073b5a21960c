"""Sphinx extension: what is folded, and the parts of an answer, visible at a glance.

Hints, solutions, and what goes deeper in these become `details`: every browser folds
them without a script, opens them for a link that points into them and for a search on
the page, and reads them out.
Belongs here: their form on the site. Does not belong here: their text (the notebooks).
"""

import re
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx_exercise.nodes import is_exercise_node, is_solution_node

# The bold words that begin the parts of every solution, see `tools/lint_notebooks.py`.
PART = re.compile(r"(Short answer|Why|Check|Common mistakes)\b[^.:]*[.:]")
# Ids that sphinx-exercise and sphinx-proof give to many elements of one page.
REPEATED = {"exercise-content", "solution-content", "proof-content", "proof"}
REVEAL = (
    '<button type="button" class="reveal-all pst-js-only" aria-pressed="false">'
    "Reveal all hints and solutions</button>"
)


class Fold(nodes.General, nodes.Element):
    """What the reader opens."""


class FoldTitle(nodes.General, nodes.TextElement):
    """What is seen of it before."""


class PartTitle(nodes.Inline, nodes.TextElement):
    """The bold words that begin a part of a solution."""


def folded(node: nodes.Element, anchor: str) -> Fold:
    """Return an admonition as a fold.

    Args:
        node: the admonition, whose first child is its title.
        anchor: the id for links.

    Returns:
        The fold, without a link in its title: a click there opens it.
    """
    title, *content = node.children
    for link in list(title.findall(nodes.reference)):
        link.parent.replace(link, link.children)
    classes = [name for name in node["classes"] if name != "dropdown"]
    fold = Fold("", ids=[anchor], classes=["admonition", *classes])
    fold += FoldTitle("", "", *title.children, classes=["admonition-title"])
    fold += content
    return fold


def fold_deeper(solution: nodes.Element, exercise: str) -> Iterator[tuple[str, str]]:
    """Fold what goes deeper: from each such admonition to the next one, or to the end.

    Args:
        solution: the solution.
        exercise: the label of its exercise, such as ``ex-6-2-3``.

    Yields:
        The name of this part and the id of the first, if there is one.
    """
    begun = [n for n in solution.findall(nodes.admonition) if "deeper" in n["classes"]]
    for number, node in enumerate(begun, start=1):
        parent, place = node.parent, node.parent.index(node)
        others = [i for i, n in enumerate(parent) if n in begun[number:]]
        end = min(others, default=len(parent))
        anchor = f"{exercise}-deeper" + (f"-{number}" if number > 1 else "")
        fold = folded(node, anchor)
        fold += parent[place + 1 : end]
        parent[place:end] = [fold]
        if number == 1:
            yield "Going deeper", anchor


def parts(solution: nodes.Element, exercise: str) -> Iterator[tuple[str, str]]:
    """Give every part of a solution an id.

    Args:
        solution: the solution; the bold words become titles of parts.
        exercise: the label of its exercise, such as ``ex-6-2-3``.

    Yields:
        The name of each kind of part and the id of the first of that kind.
    """
    count: dict[str, int] = {}
    for bold in list(solution.findall(nodes.strong)):
        match = PART.match(bold.astext())
        if not match or not bold.parent.astext().startswith(match[0]):
            continue
        name = match[1]
        count[name] = count.get(name, 0) + 1
        anchor = f"{exercise}-{name.lower().replace(' ', '-')}"
        if count[name] == 1:
            yield name, anchor
        else:
            anchor += f"-{count[name]}"
        bold.parent.replace(bold, PartTitle("", "", *bold.children, ids=[anchor]))


def contents(links: list[tuple[str, str]]) -> nodes.bullet_list:
    """Return a row of links to the hint and to the parts of a solution."""
    items = [
        nodes.list_item(
            "", nodes.paragraph("", "", nodes.reference("", name, refid=to))
        )
        for name, to in links
    ]
    return nodes.bullet_list("", *items, classes=["answer-parts"])


def fold(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Fold hints and solutions, and list under each exercise what its answer has."""
    if app.builder.format != "html":
        return
    for node in doctree.findall(nodes.Element):
        node["ids"] = [name for name in node["ids"] if name not in REPEATED]
    exercise: nodes.Element | None = None
    links: dict[nodes.Element, list[tuple[str, str]]] = {}
    for node in list(doctree.findall(nodes.Element)):
        if is_exercise_node(node):
            exercise = node
            links[node] = []
        elif exercise and "dropdown" in node["classes"]:
            kind = "solution" if is_solution_node(node) else "hint"
            anchor = f"{exercise['label']}-{kind}"
            if kind == "solution":
                links[exercise] += parts(node, exercise["label"])
                links[exercise] += fold_deeper(node, exercise["label"])
            else:
                links[exercise] += [("Hint", anchor)]
            node.parent.replace(node, folded(node, anchor))
    for node, found in links.items():
        node.parent.insert(node.parent.index(node) + 1, contents(found))
    if links and app.builder.name == "html":
        title = next(doctree.findall(nodes.title))
        title.parent.insert(1, nodes.raw("", REVEAL, format="html"))


def pass_over_folds(app: Sphinx) -> None:
    """Let MathJax typeset at first what is not folded; `folds.js` does the rest."""
    if app.builder.name == "html":
        options = app.config.mathjax3_config.setdefault("options", {})
        options["skipHtmlTags"] = {"[+]": ["details"]}


def visit_fold(self: Any, node: Fold) -> None:
    """Begin the element that browsers fold."""
    self.body.append(self.starttag(node, "details"))


def depart_fold(self: Any, _: Fold) -> None:
    """End it."""
    self.body.append("</details>\n")


def visit_title(self: Any, node: FoldTitle) -> None:
    """Begin what is seen when it is closed."""
    self.body.append(self.starttag(node, "summary", ""))


def depart_title(self: Any, _: FoldTitle) -> None:
    """End it."""
    self.body.append("</summary>\n")


def visit_part(self: Any, node: PartTitle) -> None:
    """Begin the bold words; on the site they are a heading for screen readers."""
    heading = {"role": "heading", "aria-level": "3"}
    more = heading if self.builder.name == "html" else {}
    self.body.append(self.starttag(node, "strong", "", CLASS="part-title", **more))


def depart_part(self: Any, node: PartTitle) -> None:
    """End them with a link to themselves, as the theme's headings have."""
    self.body.append("</strong>")
    self.add_permalink_ref(node, "Link to this part")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension; titles are complete when `doctree-resolved` comes."""
    app.add_node(Fold, html=(visit_fold, depart_fold))
    app.add_node(FoldTitle, html=(visit_title, depart_title))
    app.add_node(PartTitle, html=(visit_part, depart_part))
    app.connect("builder-inited", pass_over_folds)
    app.connect("doctree-resolved", fold, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

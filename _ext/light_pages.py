"""Sphinx extension: a page loads what it uses, and pictures when they come into view.

Belongs here: leaving out what the theme loads on every page and this site does not use.
Does not belong here: requests to other hosts (`offline_site`).
"""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from fontTools.subset import Subsetter
from fontTools.ttLib import TTFont
from sphinx.application import Sphinx

# The icons are in a web font already; the index is searched on the search page alone;
# solutions fold by themselves; no page has tabs or cards.
UNUSED = re.compile(
    r'<(script|link)[^>]*"[^"]*/(fontawesome|searchtools|language_data|searchindex'
    r"|togglebutton|design-tabs|sphinx-design\.min|sphinx-thebe)\.(js|css)[^>]*>"
    r"(</script>)?|<script>(let toggle|var togglebutton)[^<]*</script>"
)
ICON_RULE = re.compile(r'((?:\.fa-[a-z0-9-]+:before,?)+)\{content:"[^"]*"\}')
ICON_NAME = re.compile(r"fa-[a-z0-9-]+")
ICON_CODE = re.compile(r"\\([ef][0-9a-f]{3})\b")
ICON_FONT = re.compile(r"url\(([^)]*/fa-solid-900\.)woff2\)[^,;}]*,url\([^)]*\)[^,;}]*")


def without_unused(html: str) -> str:
    """Return part of a page's head without the files that the site does not use."""
    return UNUSED.sub("", html)


def lend_to_template(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], _: Any
) -> None:
    """Let the template `layout.html` use the function above."""
    context["without_unused"] = without_unused


def load_late(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Let pictures wait until they are near the screen: most of them are folded."""
    if app.builder.name == "html":
        for image in doctree.findall(nodes.image):
            image["loading"] = "lazy"


def keep_used_icons(app: Sphinx, exception: Exception | None) -> None:
    """Leave in the theme's style sheet and in its font the icons that pages show."""
    if exception or app.builder.name != "html":
        return
    out = Path(app.outdir)
    pages = [*out.rglob("*.html"), *out.glob("_static/scripts/*theme.js")]
    used = {
        name
        for page in pages
        for name in ICON_NAME.findall(page.read_text(encoding="utf-8"))
    }
    sheet = out / "_static" / "styles" / "pydata-sphinx-theme.css"
    css = ICON_RULE.sub(
        lambda rule: rule[0] if used & {*ICON_NAME.findall(rule[1])} else "",
        sheet.read_text(encoding="utf-8"),
    )
    sheets = [
        css,
        *(path.read_text(encoding="utf-8") for path in out.glob("_static/*.css")),
    ]
    codes = {int(code, 16) for text in sheets for code in ICON_CODE.findall(text)}
    font = TTFont(out / "_static/vendor/fontawesome/webfonts/fa-solid-900.ttf")
    subsetter = Subsetter()
    subsetter.populate(unicodes=codes)
    subsetter.subset(font)
    font.flavor = "woff"
    font.save(out / "_static/vendor/fontawesome/webfonts/fa-solid-900.woff")
    sheet.write_text(
        ICON_FONT.sub(r'url(\1woff) format("woff")', css), encoding="utf-8"
    )


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("html-page-context", lend_to_template)
    app.connect("doctree-resolved", load_late)
    app.connect("build-finished", keep_used_icons)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

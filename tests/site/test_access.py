"""Everyone can read the site: WCAG 2.2 AA in both themes, by keyboard, on a phone."""

from pathlib import Path

import axe_playwright_python
import pytest

AXE = (
    Path(axe_playwright_python.__file__)
    .with_name("axe.min.js")
    .read_text(encoding="utf-8")
)
# The rules of WCAG 2.0 to 2.2, levels A and AA, and axe's good practice beyond them.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OPEN_ALL = "document.querySelectorAll('details').forEach(fold => fold.open = true)"
SETTLED = "() => new Promise(done => setTimeout(done, 300))"
PATH = """node => {
    const path = [];
    for (let n = node; n.parentElement; n = n.parentElement)
        path.unshift([...n.parentElement.children].indexOf(n));
    return path.join(".");
}"""
# What can be clicked or filled in, and is shown.
CONTROLS = f"""() => [...document.querySelectorAll(
        "a[href], button, input, summary, textarea, [tabindex='0']")]
    .filter(node => node.checkVisibility({{ visibilityProperty: true }}) &&
        !node.closest("dialog:not([open])") && node.tabIndex >= 0)
    .map({PATH})"""
# What has the focus: where it is, whether it can be seen, and whether a mark shows it.
FOCUSED = f"""async () => {{
    await Promise.all(document.getAnimations().map(a => a.finished));
    const node = document.activeElement;
    const box = node.getBoundingClientRect();
    const marked = [node, node.parentElement].map(n => getComputedStyle(n)).some(
        s => s.boxShadow !== "none" ||
            s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0);
    return {{
        path: ({PATH})(node), name: node.outerHTML.slice(0, 120), marked,
        inside: document.body.contains(node) && node !== document.body,
        seen: node.checkVisibility({{ opacityProperty: true }}) && box.width > 0 &&
            box.bottom > 0 && box.top < innerHeight,
    }};
}}"""


@pytest.mark.parametrize(
    ("theme", "width"), [("light", 1280), ("dark", 1280), ("light", 375)]
)
def test_axe_finds_nothing_and_no_page_scrolls_sideways(open_page, page, theme, width):
    opened = open_page(page, theme=theme, width=width)
    assert opened.evaluate("document.documentElement.dataset.theme") == theme
    opened.evaluate(OPEN_ALL)
    opened.evaluate(SETTLED)
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.evaluate("document.querySelector('main').scrollWidth") <= width
    opened.evaluate(AXE)
    found = opened.evaluate(
        """rules => axe.run({
            runOnly: rules, resultTypes: ["violations"], preload: false,
            rules: { "target-size": { enabled: true } },
        })""",
        RULES,
    )
    assert found["passes"] or found["inapplicable"]
    violations = [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]
    assert not violations, "\n\n".join(violations)


def test_axe_would_find_something(open_page):
    page = open_page("chapters/index.html")
    page.evaluate("document.querySelector('article p').style.color = '#ccc'")
    page.evaluate(AXE)
    found = page.evaluate("rules => axe.run({ runOnly: rules, preload: false })", RULES)
    assert [violation["id"] for violation in found["violations"]] == ["color-contrast"]


@pytest.mark.parametrize("name", ["chapters/6_2_conv-layer.html", "search.html"])
@pytest.mark.parametrize("width", [1280, 375])
def test_the_tab_key_reaches_everything_and_shows_where_it_is(open_page, name, width):
    page = open_page(name, width=width)
    page.evaluate("document.activeElement.blur()")
    controls = page.evaluate(CONTROLS)
    assert len(controls) > 5
    places = {}
    while True:
        page.keyboard.press("Tab")
        place = page.evaluate(FOCUSED)
        if not place["inside"] or place["path"] in places:
            break
        places[place["path"]] = place
    assert set(controls) <= set(places)
    hidden = [place["name"] for place in places.values() if not place["seen"]]
    unmarked = [place["name"] for place in places.values() if not place["marked"]]
    assert not hidden and not unmarked, f"not seen: {hidden}; no mark: {unmarked}"


def test_the_first_stop_skips_to_the_content(open_page):
    page = open_page("chapters/6_2_conv-layer.html")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.url.endswith("#main-content")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")

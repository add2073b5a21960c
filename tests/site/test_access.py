"""The site can be used by keyboard alone; `test_pages.py` has the rules of WCAG."""

import pytest

PATH = """node => {
    const path = [];
    for (let n = node; n.parentElement; n = n.parentElement)
        path.unshift([...n.parentElement.children].indexOf(n));
    return path.join(".");
}"""
# What can be clicked or filled in, and is shown.
CONTROLS = f"""() => [...document.querySelectorAll(
        "a[href], button, input, select, summary, textarea, [tabindex='0']")]
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
    "name",
    ["chapters/6_2_conv-layer.html", "search.html", "chapters/lenet-play.html"],
)
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

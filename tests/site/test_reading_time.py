"""A page can be read soon: judged by the processor, for a busy machine is no fault.

Asked is how long the page's main thread computes until what can be seen is set. How
fast that is here, a fixed piece of the same kind of work tells, in an empty tab.
"""

import pytest

# The time for the page, in units of the time for the work: on two idle cores of 2026
# 1.0 is about the second that a reader may have to wait.
LIMIT = 1.0
WORK = """() => {
    const box = document.body.appendChild(document.createElement("div"));
    for (let round = 0; round < 40; round++) {
        box.innerHTML = "<p>a <b>few</b> <i>words</i></p>".repeat(500 + round);
        box.offsetHeight;
    }
    box.remove();
}"""


def seconds(page):
    """Return how long the main thread of a tab has computed since it was there."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(m["value"] for m in metrics if m["name"] == "ThreadTime")


def seconds_of_work(page):
    """Return how long the work takes in an empty tab beside a page."""
    empty = page.context.new_page()
    before = seconds(empty)
    empty.evaluate(WORK)
    return seconds(empty) - before


@pytest.mark.parametrize("name", ["6_2_conv-layer", "6_4_channels"])
def test_what_can_be_seen_is_set_soon(open_page, name):
    ratios = []
    for _ in range(3):
        page = open_page(f"chapters/{name}.html")
        ratios.append(seconds(page) / seconds_of_work(page))
        page.context.close()
    assert min(ratios) <= LIMIT, ratios

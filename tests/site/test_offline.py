"""Nothing leaves the site: every page works from disk and from a server, offline."""

import pytest


@pytest.mark.parametrize("at", ["file", "http"])
def test_a_page_asks_no_other_host_and_logs_no_error(open_page, page, at):
    opened = open_page(page, at=at)
    # An image below the fold of the screen is asked for when it comes into view.
    opened.evaluate("scrollTo(0, document.body.scrollHeight)")
    opened.wait_for_load_state("networkidle")

"""Opens the built site in a headless Chromium: fixtures for the tests beside this file.

`make test-site` builds the site and runs these tests; `make test` leaves them alone.
A test asks for what it needs by name:

    def test_title(open_page):
        page = open_page("chapters/6_2_conv-layer.html")
        assert "Image convolutions" in page.title()

`page`       parameter: the test runs once for every page of the site.
`open_page`  opens a page of the site and returns Playwright's `Page` once it is loaded
             and its mathematics is typeset. `at="file"` (the default) opens it from
             disk and `at="http"` from a server; `theme="dark"`, `width=375` (phone) and
             Playwright's own options (`java_script_enabled=False`) say how.
             The network is cut. When the test ends, it fails if any page that it opened
             asked another host, wrote an error to the console, or missed a file.
`unfold`     unfolds everything on an opened page, and waits until its formulas are set.
`site`       the folder of the built site, a `Path`.

A test that looks at files alone needs no browser: it reads them below `site`.
"""

import pytest

from tools.site.browser import SITE, NoBrowserError, chromium, served

PAGES = sorted(
    path.relative_to(SITE).as_posix()
    for path in SITE.rglob("*.html")
    # The theme's own templates, and the page that leads to the first one.
    if not path.relative_to(SITE).as_posix().startswith(("_static/", "index.html"))
)
# A browser on a busy machine takes its time; nothing here measures it.
MINUTES = 5
# Loaded, and the mathematics is typeset.
SETTLED = """async () => document.readyState == "complete"
    && (await window.MathJax?.startup?.promise, true)"""
# Opens every fold, and waits for the formulas that are typeset then.
UNFOLD = """async () => {
    const folds = [...document.querySelectorAll("details:not([open])")];
    const opened = folds.map(fold => new Promise(
        done => fold.addEventListener("toggle", done, { once: true })));
    for (const fold of folds) fold.open = true;
    await Promise.all(opened);
    await window.MathJax?.startup?.promise;
}"""


def pytest_generate_tests(metafunc):
    if "page" in metafunc.fixturenames:
        metafunc.parametrize("page", PAGES)


def pytest_sessionstart(session):
    if not PAGES:
        pytest.exit("there is no site in _build/html: run `make book`", returncode=1)


@pytest.fixture(scope="session")
def site():
    return SITE


@pytest.fixture(scope="session")
def browser():
    try:
        with chromium() as browser:
            yield browser
    except NoBrowserError as error:
        pytest.exit(str(error), returncode=1)


@pytest.fixture(scope="session")
def roots(site):
    with served(site) as address:
        yield {"file": site.as_uri(), "http": address}


@pytest.fixture
def open_page(browser, roots):
    contexts, complaints = [], []

    def open_page(name, *, at="file", theme="light", width=1280, height=900, **options):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, **options
        )
        context.set_default_timeout(MINUTES * 60_000)
        contexts.append(context)
        page = context.new_page()
        runs_scripts = options.get("java_script_enabled", True)
        watch(page, roots[at], complaints, runs_scripts)
        page.goto(f"{roots[at]}/{name}")
        if runs_scripts:
            page.wait_for_function(SETTLED)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def unfold():
    return lambda page: page.evaluate(UNFOLD)


def watch(page, root, complaints, runs_scripts):
    """Collect what a page asks of other hosts, what it misses, and its errors."""

    def requested(request):
        if not request.url.startswith((root, "data:", "blob:")):
            complaints.append(f"{page.url}: asked another host: {request.url}")

    def answered(response):
        if response.status >= 400:
            complaints.append(f"{page.url}: {response.status} for {response.url}")

    def failed(request):
        # The browser gives up what a page still loads when a reader leaves it, and,
        # without JavaScript, the scripts that it preloads.
        left = request.failure == "net::ERR_ABORTED"
        if not left and (runs_scripts or request.resource_type != "script"):
            complaints.append(f"{page.url}: lost {request.url}: {request.failure}")

    def logged(message):
        if message.type in ("error", "warning"):
            complaints.append(f"{page.url}: console: {message.text}")

    page.on("request", requested)
    page.on("response", answered)
    page.on("requestfailed", failed)
    page.on("console", logged)
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))

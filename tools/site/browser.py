"""A headless Chromium, and a server for the built site.

Belongs here: finding, starting and serving, for the site's tests and for printing.
Does not belong here: what is looked at in the browser (`tests/site`).
"""

import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

SITE = Path(__file__).resolve().parents[2] / "_build" / "html"
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
# Nothing but this machine has a name in this browser, and it asks for no updates.
OPTIONS = (
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-sync",
    "--no-first-run",
)


class NoBrowserError(Exception):
    """There is no Chromium on this machine."""

    def __init__(self) -> None:
        super().__init__(
            "Chromium is needed, but there is none: install it (Debian, Ubuntu: "
            "apt-get install chromium; elsewhere: .venv/bin/playwright install "
            "chromium), or say CHROMIUM=/path/to/it"
        )


def executable(own: str) -> str:
    """Return the path of the Chromium to use.

    Args:
        own: where Playwright would have put a browser of its own.

    Returns:
        `$CHROMIUM` if it is set, else the system's Chromium or Chrome, else `own`.

    Raises:
        NoBrowserError: if none of these is there.
    """
    wanted = [os.environ["CHROMIUM"]] if "CHROMIUM" in os.environ else [*NAMES, own]
    for name in wanted:
        if path := shutil.which(name):
            return path
    raise NoBrowserError


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a headless Chromium that reaches this machine and no other.

    Yields:
        the browser.

    Raises:
        NoBrowserError: if there is none.
    """
    with sync_playwright() as playwright:
        engine = playwright.chromium
        path = executable(engine.executable_path)
        browser = engine.launch(executable_path=path, args=list(OPTIONS))
        try:
            yield browser
        finally:
            browser.close()


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files and logs nothing."""

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on a free port of this machine.

    Args:
        folder: what to serve.

    Yields:
        the address, without a slash at its end.
    """
    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


if __name__ == "__main__":
    try:
        with chromium() as found:
            print(f"Chromium {found.version}")
    except NoBrowserError as error:
        sys.exit(f"make: {error}")

"""Find the smallest input on which a function fails.

Belongs here: what drives hypothesis, so that it is silent, repeatable and ends. Does
not belong here: what failing means (`parts`), running the function (`sandbox`).
"""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import TypeVar

from hypothesis import HealthCheck, Phase, configuration, find, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky, NoSuchExample

Input = TypeVar("Input")

QUIET = settings(
    database=None,
    deadline=None,
    derandomize=False,  # `find` gets a seed instead, which no edit of this file changes
    max_examples=60,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


def smallest(
    inputs: st.SearchStrategy[Input],
    fails: Callable[[Input], bool],
    seconds: float,
    simpler: Callable[[Input], st.SearchStrategy[Input]] | None = None,
) -> Input | None:
    """Return the smallest input found on which something fails, if there is one.

    `simpler` generates inputs as large as one that fails, but simpler. After so many
    seconds no further input is tried.

    >>> smallest(st.integers(0, 100), lambda n: n > 41, seconds=10.0)
    42
    """
    deadline = time.monotonic() + seconds
    found: list[Input] = []

    def still_fails(value: Input) -> bool:
        if time.monotonic() > deadline or not fails(value):
            return False
        found.append(value)
        return True

    _find(inputs, still_fails)
    if found and simpler is not None:
        _find(simpler(found[-1]), still_fails)
    return found[-1] if found else None


def samples(inputs: st.SearchStrategy[Input], number: int) -> list[Input]:
    """Return the inputs that a search tries first, the simplest at the beginning.

    >>> samples(st.integers(0, 1), 9)
    [0, 1]
    """
    found: list[Input] = []

    def keep(value: Input) -> bool:
        found.append(value)
        return False

    _find(inputs, keep)
    return found[:number]


def _find(inputs: st.SearchStrategy[Input], fails: Callable[[Input], bool]) -> None:
    """Let hypothesis search; the last failing input that it tries is the smallest."""
    # Both errors end a search: nothing failed; or what failed once did not again,
    # as when the time was over while hypothesis made an input smaller.
    with _hidden_files(), contextlib.suppress(NoSuchExample, Flaky):
        fails(find(inputs, fails, settings=QUIET, random=Random(6)))


@contextlib.contextmanager
def _hidden_files() -> Iterator[None]:
    """Keep hypothesis from leaving a folder where the reader works."""
    home = configuration.storage_directory(intent_to_write=False).home_directory
    configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "hypothesis")
    try:
        yield
    finally:
        configuration.set_hypothesis_home_dir(home)

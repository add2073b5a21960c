"""Loads the comparison of notebooks for every pytest run, and orders what it runs."""

import os

import joblib
import pytest

pytest_plugins = ["tools.regression.nbtol"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes ``-n auto`` starts: the cores that may be used."""
    return min(4, int(joblib.cpu_count()))


def pytest_configure(config: pytest.Config) -> None:
    """Give one thread to each of several processes: more would wait for one another.

    The programs that these start inherit it.
    """
    if (config.getoption("numprocesses", None) or 1) > 1:
        os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the notebook that trains begin, since what starts last would run alone."""
    items.sort(key=lambda item: not item.path.name.startswith("6_6"))

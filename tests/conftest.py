"""Settings of all unit tests: shapes are checked against the signatures."""

import os

import jaxtyping
import pytest
import torch
from hypothesis import settings

# One thread and no deadline: the first call of an operator can take seconds.
settings.register_profile("book", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("book")

# Must come before anything imports `solutions`.
jaxtyping.install_import_hook("solutions", "beartype.beartype")


@pytest.fixture(autouse=True)
def _no_shape_check_for_bad_input(request):
    """Let a test of an error message reach our own check, not jaxtyping's."""
    off = request.node.get_closest_marker("bad_input") is not None
    jaxtyping.config.update("jaxtyping_disable", off)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(autouse=True)
def _environment_as_it_was():
    """Undo what a test does to the environment: the notebooks behind it inherit it."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def random_set():
    """Return a function that makes n random images with labels 0 to 9 in turn."""
    from solutions.notebook.reproducibility import generator
    from solutions.training.data import ImageSet

    def make(n):
        images = torch.rand(n, 1, 28, 28, generator=generator(n))
        return ImageSet(images, torch.arange(n) % 10, tuple("abcdefghij"))

    return make

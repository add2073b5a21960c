"""Settings of all unit tests: shapes are checked against the signatures."""

import jaxtyping
import pytest
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

"""Loads the tolerance for compared notebook outputs, for every pytest run."""

pytest_plugins = ["tools.nbtol"]

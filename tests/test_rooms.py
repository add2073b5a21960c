"""Imports flow one way through the rooms of `solutions/`, and tools import it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Each room, and the rooms it may import. "answers" are the modules at the top.
ALLOWED = {
    "answers": {"answers"},
    "notebook": {"notebook"},
    "system": {"system"},
    "training": {"answers", "notebook", "system", "training"},
    "check": {"check", "notebook", "system"},
}


def room_of(name):
    """Return the room of a module of `solutions`, by its dotted name."""
    room = name.split(".")[1]
    return room if room in ALLOWED else "answers"


def imported(path):
    """Yield the dotted names that a file imports, at its top or in a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("room", ALLOWED)
def test_imports_flow_one_way(room):
    folder = ROOT / "solutions"
    paths = folder.glob("*.py") if room == "answers" else folder.glob(f"{room}/*.py")
    names = {name for path in paths for name in imported(path)}
    ours = {name for name in names if name.startswith("solutions.")}
    assert {room_of(name) for name in ours} <= ALLOWED[room]
    assert not any(name.startswith(("tools", "tests")) for name in names)


def test_an_answer_does_not_import_the_laboratory():
    code = "import sys, solutions.lenet; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    loaded = subprocess.check_output(command, cwd=ROOT, encoding="utf-8")
    assert "solutions.training" not in loaded
    assert "matplotlib" not in loaded

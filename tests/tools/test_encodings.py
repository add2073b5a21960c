"""Every text file is read and written as UTF-8, whatever the reader's locale says.

Ruff's PLW1514 knows only the paths whose type it can infer, and no pipes.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path
    for folder in ("_ext", "solutions", "tests", "tools")
    for path in (ROOT / folder).rglob("*.py")
)
# The places of the argument `encoding`, for calls of any object's method.
BY_POSITION = {"read_text": 0, "write_text": 1}
# What opens no text.
OPENERS = {"Image", "os", "pikepdf", "tarfile", "webbrowser"}


def without_encoding(source):
    """Return the lines of the calls that leave the encoding to the locale."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and leaves_it_open(node)
    ]


def leaves_it_open(call):
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    name = ast.unparse(call.func).rpartition(".")[2]
    if "encoding" in named or None in named:
        return False
    if name in BY_POSITION:
        return len(call.args) <= BY_POSITION[name]
    if name == "open":
        modes = [
            a for a in [*call.args, *named.values()] if isinstance(a, ast.Constant)
        ]
        binary = any("b" in str(mode.value) for mode in modes)
        return not binary and ast.unparse(call.func).split(".")[0] not in OPENERS
    is_piped = name in {"run", "Popen", "check_output"}
    return is_piped and bool({"text", "universal_newlines"} & set(named))


@pytest.mark.parametrize(
    "source",
    [
        "path.read_text()",
        "path.write_text('a')",
        "open(path)",
        "path.open('a')",
        "subprocess.run(command, text=True)",
        "subprocess.Popen(command, universal_newlines=True)",
    ],
)
def test_a_call_that_depends_on_the_locale_is_found(source):
    assert without_encoding(f"x = 1\n{source}") == [2]


@pytest.mark.parametrize(
    "source",
    [
        "path.read_text(encoding='utf-8')",
        "path.read_text('utf-8')",
        "path.write_text('a', 'utf-8')",
        "open(path, 'rb')",
        "path.open(mode='wb')",
        "tarfile.open(path, 'w:gz')",
        "subprocess.run(command)",
        "subprocess.run(command, text=True, encoding='utf-8')",
    ],
)
def test_a_call_that_does_not_is_not(source):
    assert without_encoding(source) == []


def test_no_file_of_the_project_has_one():
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in FILES
        for line in without_encoding(path.read_text(encoding="utf-8"))
    ]
    assert found == []

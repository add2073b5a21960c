"""What make and the tools hand on, and that any make and any sed will do."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Makefile").read_text(encoding="utf-8")
RECIPES = re.findall(r"^\t(?:.*\\\n)*.*$", TEXT, re.MULTILINE)

needs_make = pytest.mark.skipif(not shutil.which("make"), reason="no make")


@pytest.fixture
def run(tmp_path):
    """Run make with programs that print a variable in the place of every Python."""

    def make(*arguments, show="D2L_DATA", python="true", **variables):
        tell = tmp_path / "tell"
        tell.write_text(f'#!/bin/sh\necho "${show}"\n', encoding="utf-8")
        tell.chmod(0o755)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("M", "D2L"))}
        command = ["make", "-s", "--no-print-directory", *arguments]
        return subprocess.run(
            [*command, f"RUN={tell}", f"PYTHON={python}"],
            cwd=ROOT,
            env=kept | variables,
            capture_output=True,
            text=True,
            encoding="utf-8",
        )

    return make


@needs_make
@pytest.mark.parametrize(
    ("given", "handed_on"),
    [
        ("images", f"{ROOT}/images"),
        ("../my images 数据", f"{ROOT}/../my images 数据"),
        ("/a b/c", "/a b/c"),
        ("~/images", "~/images"),
        ("", ""),
    ],
)
def test_a_relative_folder_of_the_data_is_the_same_for_all(run, given, handed_on):
    assert run("data", D2L_DATA=given).stdout == f"{handed_on}\n"
    assert run("data", f"D2L_DATA={given}").stdout == f"{handed_on}\n"


@pytest.mark.parametrize("given", ["my images", "/a b/c", "~/images"])
def test_so_it_is_for_a_tool_that_is_started_without_make(tmp_path, given):
    done = subprocess.run(
        [sys.executable, "-c", "import os, tools; print(os.environ['D2L_DATA'])"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "HOME": "/home/me", "D2L_DATA": given},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    expected = tmp_path / given.replace("~", "/home/me")
    assert done.stdout == f"{expected}\n"


@needs_make
@pytest.mark.parametrize(
    "name", ["PYTHONPATH", "PYTHONHOME", "PYTHONOPTIMIZE", "PYTHONSAFEPATH"]
)
def test_the_readers_settings_for_python_are_not_handed_on(run, name):
    done = run("data", show=name, **{name: "1"})
    assert (done.stdout, done.returncode) == ("\n", 0)
    assert run("data", show="PYTHONUNBUFFERED", PYTHONUNBUFFERED="1").stdout == "1\n"


@needs_make
def test_the_locale_does_not_matter(run):
    assert run("data", show="PYTHONUTF8", PYTHONUTF8="0", LC_ALL="C").stdout == "1\n"


@needs_make
def test_who_has_no_home_folder_gets_one(run, tmp_path):
    assert run("data", show="HOME", HOME=str(tmp_path)).stdout == f"{tmp_path}\n"
    absent = str(tmp_path / "absent")
    assert run("data", show="HOME", HOME=absent).stdout == f"{ROOT}/_build/home\n"


@needs_make
def test_a_python_may_lie_in_a_folder_with_blanks(run, tmp_path):
    python = tmp_path / "a folder 书" / "python3.11"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho "runs $*"\n', encoding="utf-8")
    python.chmod(0o755)
    done = run("environment", python=python)
    call = "runs -I tools/environment.py"
    assert done.stdout == f"{call} site\n{call} all\n"
    assert run("site-environment", python=python).stdout == f"{call} site\n"
    python.unlink()
    done = run("environment", python=python)
    assert done.stderr.splitlines()[0] == (
        f"make: Python 3.11 to 3.14 is needed, but there is no {python}"
    )


@needs_make
def test_help_lists_every_command(run):
    targets = re.search(r"^\.PHONY:((?:.*\\\n)*.*)$", TEXT, re.MULTILINE)[1]
    lines = run("help").stdout.splitlines()
    assert {line.split()[1] for line in lines} == (
        set(targets.replace("\\", "").split()) - {"environment", "site-environment"}
    )
    assert all(re.match(r"make [a-z-]+ +\S+ \S", line) for line in lines)


def test_it_keeps_to_what_an_old_make_and_another_sed_know():
    assert not re.search(r"^\.(SHELLFLAGS|ONESHELL)", TEXT, re.MULTILINE)
    assert len(RECIPES) > 20
    for recipe in RECIPES:
        if "|" in recipe.replace("||", ""):
            assert "set -o pipefail" in recipe
        for script in re.findall(r"\bsed\b.*?'(.*?)'", recipe):
            assert "\\" not in script

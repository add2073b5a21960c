"""One stack of libraries; every place that names the Pythons names the same ones."""

import ast
import re
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tools import environment

ROOT = Path(__file__).parents[2]
SUPPORTED = [f"{major}.{minor}" for major, minor in environment.SUPPORTED]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]


def test_pyproject_names_the_supported_pythons():
    allowed = SpecifierSet(PROJECT["requires-python"])
    minors = [f"3.{minor}" for minor in range(8, 20)]
    assert [version for version in minors if version in allowed] == SUPPORTED
    name = "Programming Language :: Python :: "
    assert [c.removeprefix(name) for c in PROJECT["classifiers"]] == SUPPORTED


def test_the_package_asks_for_all_that_it_imports():
    """Where it is installed by pip, and not by make, nothing else is there."""
    nodes = [
        node
        for path in ROOT.glob("solutions/**/*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
    ]
    names = {n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module}
    names |= {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
    imported = {name.partition(".")[0].lower() for name in names}
    used = imported - set(sys.stdlib_module_names) - {"solutions"}
    assert used == set(PROJECT["dependencies"])


def test_the_texts_name_the_supported_pythons():
    *others, last = SUPPORTED
    named = f"Python {', '.join(others)} or {last}"
    for path in ("README.md", "tools/environment.py", "tools/site/student.py"):
        assert named in (ROOT / path).read_text(encoding="utf-8"), path


def test_make_finds_the_supported_pythons():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    searched = re.search(r"for p in (.*) python3 python;", makefile)[1].split()
    assert sorted(searched) == [f"python{version}" for version in SUPPORTED]
    first, last = SUPPORTED[0].split("."), SUPPORTED[-1].split(".")
    bounds = f"({first[0]}, {first[1]}) <= sys.version_info < (3, {int(last[1]) + 1})"
    assert bounds in makefile
    assert f"Python {SUPPORTED[0]} to {SUPPORTED[-1]} is needed" in makefile


def test_the_lock_has_what_is_required():
    site, rest = ROOT / environment.SITE, ROOT / "requirements.txt"
    texts = [path.read_text(encoding="utf-8") for path in (site, rest)]
    assert f"\n-r {site.name} " in texts[1]  # so that pip installs all from one file
    lines = re.findall(r"^\w[^#\n]*", "\n".join(texts), re.M)
    required = [Requirement(line) for line in lines]
    assert len({r.name for r in required}) == len(required)
    assert all(r.marker is None for r in required)
    wanted = {f"{r.name}{r.specifier}" for r in required}
    assert all(pin.count("==") == 1 for pin in wanted)
    lock = environment.LOCK.read_text(encoding="utf-8")
    locked = re.findall(r"^([\w.-]+==[\w.]+)", lock, re.M)
    assert wanted <= set(locked)


def test_the_lock_has_each_package_once_and_with_a_hash():
    lock = environment.LOCK.read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\w)", lock)
    assert len(entries) > 100
    assert all("--hash=sha256:" in entry for entry in entries)
    names = [entry.partition("==")[0] for entry in entries]
    assert len(names) == len(set(names))

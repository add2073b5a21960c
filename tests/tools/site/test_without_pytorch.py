"""The site is built by a Python that has the site's part of the lock and no more."""

import os
import subprocess
import sys
from importlib.metadata import distribution

import pytest

from tools import environment
from tools.installed import requirements


def link_packages(names, folder):
    """Link what these packages have installed here into a folder for packages."""
    for name in names:
        package = distribution(name)
        for top in {file.parts[0] for file in package.files or ()} - {".."}:
            link = folder / top
            if not link.exists():
                link.symlink_to(package.locate_file(top))


@pytest.fixture
def python(tmp_path):
    """An interpreter with the site's part of the lock alone."""
    venv = tmp_path / "venv"
    command = [sys.executable, "-I", "-m", "venv", "--without-pip", str(venv)]
    subprocess.run(command, check=True)
    (folder,) = venv.glob("lib/python*/site-packages")
    lock = environment.LOCK.read_text(encoding="utf-8")
    part = requirements(environment.part_of(lock, "site"))
    link_packages([requirement.name for requirement in part], folder)
    return venv / "bin" / "python"


def test_the_site_is_built_without_pytorch(python, tmp_path):
    absent = subprocess.run([python, "-c", "import torch"], capture_output=True)
    assert b"No module named 'torch'" in absent.stderr
    code = "from jupyter_book.cli.main import main; main()"
    build = ["build", str(environment.ROOT), "--path-output", str(tmp_path)]
    done = subprocess.run(
        [python, "-c", code, *build, "--quiet"],
        env={**os.environ, "PYTHONPATH": str(environment.ROOT)},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    html = tmp_path / "_build" / "html"
    chapters = {path.stem for path in environment.ROOT.glob("chapters/6_*.ipynb")}
    assert chapters == {path.stem for path in html.glob("student/*.ipynb")}
    assert chapters <= {path.stem for path in html.glob("chapters/*.html")}

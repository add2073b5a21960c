"""Buttons to Colab and Binder: there if the repository's address is, else not."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import nbformat.v4 as v4
import yaml

from tools.site.colab import CELL, setup_for, with_setup

ROOT = Path(__file__).parents[3]
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
CONFIGURATION = """\
import sys
sys.path.insert(0, {root!r})
extensions = ["myst_nb", "_ext.launch"]
nb_execution_mode = "off"
root_doc = "a"
html_theme = "sphinx_book_theme"
html_theme_options = {options!r}
"""
COLAB = "https://colab.research.google.com/github/someone/book/blob/dev/a.ipynb"
BINDER = "https://mybinder.org/v2/gh/someone/book/dev?urlpath=lab/tree/a.ipynb"
REPOSITORY = "https://github.com/someone/book"


def page(folder, url):
    """Build a book of one notebook, with this project's buttons; return the page."""
    repository = {"repository": {"url": url, "branch": "dev"}}
    options = {
        "launch_buttons": CONFIG["launch_buttons"],
        "repository_url": url,
        "repository_branch": "dev",
    }
    text = CONFIGURATION.format(root=str(ROOT), options=options)
    (folder / "conf.py").write_text(text, encoding="utf-8")
    notebook = v4.new_notebook(cells=[v4.new_markdown_cell("# A notebook")])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(with_setup(notebook, setup_for(repository)), folder / "a.ipynb")
    command = [sys.executable, "-m", "sphinx", "-W", "-q", ".", "out"]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return (folder / "out" / "a.html").read_text(encoding="utf-8")


def links(html):
    return set(re.findall(r'href="([^"]+)"', html))


def test_with_an_address(tmp_path):
    html = page(tmp_path, REPOSITORY)
    assert {COLAB, BINDER, REPOSITORY} <= links(html)
    assert "google.colab" not in html  # the cell of the set-up stays off the page
    assert CELL in {cell.id for cell in nbformat.read(tmp_path / "a.ipynb", 4).cells}


def test_without_an_address(tmp_path):
    html = page(tmp_path, "")
    assert not any(re.search("colab|binder|github", link) for link in links(html))

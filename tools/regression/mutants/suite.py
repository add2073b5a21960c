"""The tests of a module, run for mutants of its source.

Belongs here: running tests in a copy of the project, so that the project itself is
never changed. Does not belong here: which mutants there are (`sources`).

Each run is a process that begins with PyTorch and pytest imported, since to import them
takes longer than most tests. A mutant that does not end within `LIMIT` seconds is found
too: `make test` would not end either, and would say so.
"""

import ast
import contextlib
import multiprocessing
import os
import shutil
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat

from tools.regression.mutants import ROOT, Mutant, Verdict
from tools.regression.mutants.outputs import CHEAP
from tools.regression.mutants.replay import QUIET

LIMIT = 600
AT_ONCE = 2
COPIED = ["solutions", "tests", "tools", "chapters"]
COPIED += ["conftest.py", "pyproject.toml", "_toc.yml"]
PRELOADED = ["torch", "torchvision", "pytest", "hypothesis", "beartype", "jaxtyping"]
PRELOADED += ["nbval.plugin", "matplotlib.figure", "scipy.stats", "sympy"]
# Where the tests are not in `test_` and the name of the module.
TESTS = {
    "training/stacked": ("training/loop",),
    "check/parts": ("check/check", "check/check_zoo"),
}
DEFINITIONS = (ast.FunctionDef, ast.ClassDef)
BY_LIMIT = "the time limit"


def judge(tried: Iterable[Mutant]) -> Iterator[Verdict]:
    """Run the tests of the module over each mutant, and the notebooks if these pass.

    Args:
        tried: the mutants.

    Yields:
        The verdicts, in the same order.
    """
    with stoppable(ThreadPoolExecutor(AT_ONCE)) as threads:
        yield from threads.map(_verdict, tried)


@contextlib.contextmanager
def stoppable(executor: Executor) -> Iterator[Executor]:
    """Let an error, or Ctrl-C, end at once all processes that an executor waits for."""
    with executor:
        try:
            yield executor
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.kill()
            raise


def check_green(modules: Iterable[str], notebooks: Iterable[str]) -> None:
    """Run the tests of modules and some notebooks without a mistake.

    Args:
        modules: names in `solutions/`.
        notebooks: names in `chapters/`.

    Raises:
        RuntimeError: if one is not green: then nothing can be said about a mutant.
    """
    runs = [run_of(name) for name in modules]
    runs += [["--nbval", f"chapters/{name}"] for name in notebooks]
    with stoppable(ThreadPoolExecutor(AT_ONCE)) as threads:
        for run, fault in zip(runs, threads.map(_fault, runs), strict=True):
            if fault:
                raise RuntimeError(f"{run[-1]} is not green without a mistake: {fault}")


def _fault(run: Sequence[str]) -> str:
    """Return what pytest says in a copy without a mistake, or "" if it is green."""
    with TemporaryDirectory() as folder:
        status = run_pytest(copied(Path(folder)), run)
        return "" if status == 0 else Path(folder, "log").read_text("utf-8")


def _verdict(mutant: Mutant) -> Verdict:
    """Return what the tests of a module say about a mutant."""
    module = module_of(mutant)
    with TemporaryDirectory() as folder:
        copy = copied(Path(folder))
        (copy / mutant.path).write_text(mutant.text, encoding="utf-8")
        status = run_pytest(copy, run_of(module))
        by = "the unit tests"
        if status == 0 and (notebooks := notebooks_of(module)):
            for notebook in notebooks:
                show_as_changed(copy / notebook, mutant)
            status = run_pytest(copy, ["--nbval", *notebooks])
            by = "a notebook"
    if status is None:
        return Verdict(mutant, BY_LIMIT)
    if status not in (0, 1, 2):  # passed, failed, or a file could not be imported
        raise RuntimeError(f"pytest ended with status {status} for {mutant}")
    return Verdict(mutant, by if status else "")


def module_of(mutant: Mutant) -> str:
    """Return the name of the module that a mutant changes, without `solutions`."""
    return mutant.path.removeprefix("solutions/").removesuffix(".py")


def copied(folder: Path) -> Path:
    """Copy what the tests need into a folder, and return the folder of the copy."""
    left_out = shutil.ignore_patterns("__pycache__", "site", "*.svg")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=left_out)
        else:
            shutil.copy(ROOT / name, folder)
    return folder


def show_as_changed(path: Path, mutant: Mutant) -> None:
    """Put the changed source into the outputs of a notebook that show the source.

    Otherwise each mutant of a function that is shown would be found by that, though
    nothing tests what the function does.

    Args:
        path: the notebook in the copy, which is changed.
        mutant: the mutant.
    """
    before = (ROOT / mutant.path).read_text(encoding="utf-8")
    pairs = [*zip(definitions(before), definitions(mutant.text), strict=True)]
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            for kind in {"text/markdown", "text/plain"} & set(data):
                for old, new in pairs:
                    data[kind] = data[kind].replace(old, new)
    path.write_text(nbformat.v4.writes(notebook), encoding="utf-8")


def definitions(source: str) -> list[str]:
    r"""Return the source of each function and class of a module.

    >>> definitions("x = 1\n@cache\ndef f():\n    return x")
    ['@cache\ndef f():\n    return x']
    """
    lines = source.splitlines()
    nodes = [n for n in ast.parse(source).body if isinstance(n, DEFINITIONS)]
    starts = [min([n.lineno, *(d.lineno for d in n.decorator_list)]) for n in nodes]
    return [
        "\n".join(lines[start - 1 : node.end_lineno])
        for start, node in zip(starts, nodes, strict=True)
    ]


def run_of(module: str) -> list[str]:
    """Return what pytest runs for a module: its tests, and then its examples.

    The other way round pytest would import the module alone, and then the tests import
    it once more, with its package.
    """
    return [*tests_of(module), f"solutions/{module}.py"]


def tests_of(module: str) -> list[str]:
    """Return the files with the unit tests of a module of `solutions/`.

    >>> tests_of("pooling"), tests_of("training/stacked")
    (['tests/test_pooling.py'], ['tests/training/test_loop.py'])
    """
    paths = map(Path, TESTS.get(module, (module,)))
    return [f"tests/{p.with_name(f'test_{p.name}.py')}" for p in paths]


def notebooks_of(module: str) -> list[str]:
    """Return the notebooks of 6.1 to 6.5 that use a module, if only through another.

    >>> notebooks_of("why_conv")
    ['chapters/6_1_why-conv.ipynb']
    """
    return [f"chapters/{name}" for name in CHEAP if module in _used_by(name)]


@cache
def _used_by(notebook: str) -> set[str]:
    """Return the modules of `solutions/` that a notebook imports, and what they do."""
    cells = nbformat.read(ROOT / "chapters" / notebook, as_version=4).cells
    found: set[str] = set()
    new = set().union(*(imports(c.source) for c in cells if c.cell_type == "code"))
    while new:
        found |= new
        paths = [ROOT / "solutions" / f"{name}.py" for name in new]
        texts = [path.read_text(encoding="utf-8") for path in paths if path.is_file()]
        new = set().union(*map(imports, texts)) - found
    return found


def imports(source: str) -> set[str]:
    """Return which modules of `solutions/` a piece of code imports.

    >>> imports("from solutions.shapes import as_pair; import torch")
    {'shapes'}
    """
    nodes = ast.walk(ast.parse(source))
    modules = [n.module or "" for n in nodes if isinstance(n, ast.ImportFrom)]
    ours = [m for m in modules if m.startswith("solutions.")]
    return {m.removeprefix("solutions.").replace(".", "/") for m in ours}


def prepared() -> ForkServerContext:
    """Return what starts processes in which PyTorch and pytest are imported already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def work_here() -> None:
    """Let this process end with the command that started it, however that ends."""
    command = multiprocessing.parent_process()
    assert command is not None

    def watch() -> None:
        command.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def run_pytest(folder: Path, arguments: Sequence[str]) -> int | None:
    """Run pytest in a process of its own, until the first failure.

    Args:
        folder: the folder of the project's copy.
        arguments: what is run.

    Returns:
        Its exit status, or None if it had to be stopped at the limit.
    """
    process = prepared().Process(target=_child, args=(folder, list(arguments)))
    process.start()
    process.join(LIMIT)
    if process.is_alive():
        process.kill()
        process.join()
        return None
    return process.exitcode


def _child(folder: Path, arguments: list[str]) -> None:
    """Run pytest, here; what it prints goes to a file in the folder."""
    os.chdir(folder)
    with open("log", "w", encoding="utf-8") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    sys.dont_write_bytecode = True
    sys.path[:] = [str(folder), *(p for p in sys.path if Path(p) != ROOT)]
    for name in [n for n in sys.modules if n.partition(".")[0] in COPIED]:
        del sys.modules[name]  # this process has them from here, and not from the copy
    os.environ |= {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    import pytest
    import torch

    work_here()
    torch.set_num_threads(1)
    sys.exit(pytest.main(["-x", "-q", "--doctest-modules", *QUIET, *arguments]))

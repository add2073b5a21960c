"""Hung, killed, full: what goes wrong is named, ends, and takes nothing with it."""

import contextlib
import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import uuid
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import nbformat.v4 as v4
import psutil
import pytest
import torch

from solutions.lenet import LeNetSpec
from solutions.system.files import NotWrittenError, partial_of, write_whole
from solutions.training import data, study
from solutions.training.data import DataError
from solutions.training.dispatch import Done
from solutions.training.loop import History, Recipe
from solutions.training.study import Experiment
from tools import study as study_tool
from tools.regression import execution
from tools.regression import refresh as tool

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[3]
MARK = "D2L_STARTED_BY_A_TEST"

# Cells. The first says that it runs, and which process it is; the second ignores that
# it is interrupted, and never pauses; the third has two workers do something long.
HANG = """import os, time
from pathlib import Path
Path("running").write_text(str(os.getpid()))
time.sleep(600)"""
IGNORE = """import os
from pathlib import Path
Path("stubborn").write_text(str(os.getpid()))
while True:
    try:
        while True:
            print("more")
    except KeyboardInterrupt:
        pass"""
WORKERS = """import joblib, time
from pathlib import Path
from solutions.training.dispatch import _workers
def work(name):
    Path(name).touch()
    time.sleep(600)
with _workers(None):
    joblib.Parallel()(joblib.delayed(work)(name) for name in ("running", "other"))"""
PRINT = "print(1)"


def save(path, *sources, stored="1\n"):
    """Write a notebook whose cells were run; one that prints printed `stored`."""
    cells = [v4.new_markdown_cell("text")]
    for count, source in enumerate(sources, start=1):
        output = v4.new_output("stream", name="stdout", text=stored)
        outputs = [output] if source.startswith("print") else []
        cells.append(v4.new_code_cell(source, outputs=outputs, execution_count=count))
    path.write_text(json.dumps(v4.new_notebook(cells=cells)), encoding="utf-8")
    return path


def wait_until(condition):
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@dataclass
class Started:
    """A program that runs in a folder of its own, with all that it starts."""

    folder: Path
    mark: str
    program: subprocess.Popen

    def alive(self):
        """Return every process that the program started, also those that lost it."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                is_dead = process.status() == psutil.STATUS_ZOMBIE
                if not is_dead and process.environ().get(MARK) == self.mark:
                    found.append(process)
        return found

    def send(self, name, group=False):
        """Send a signal once the file `running` is there; return what was printed."""
        running = self.folder / "running"
        wait_until(lambda: running.exists() or self.program.poll() is not None)
        assert running.exists(), "".join(self.program.communicate())
        number, pid = getattr(signal, name), self.program.pid
        os.killpg(pid, number) if group else os.kill(pid, number)
        printed = self.program.communicate(timeout=120)
        wait_until(lambda: not self.alive())
        return printed


# Where tests run in the background Ctrl-C is ignored, and all that is started inherits.
DRIVER = """import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
{before}
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)"""


@pytest.fixture
def start(tmp_path):
    """Return how to start a module as a program; what is left is killed at the end."""
    every = []

    def start(name, module, *arguments, before=""):
        folder, mark = tmp_path / name, uuid.uuid4().hex
        folder.mkdir(exist_ok=True)
        (folder / "temporary").mkdir()
        program = subprocess.Popen(
            [sys.executable, "-c", DRIVER.format(before=before), module, *arguments],
            cwd=folder,
            env=os.environ
            | {
                MARK: mark,
                "PYTHONPATH": str(ROOT),
                "TMPDIR": str(folder / "temporary"),
                "JUPYTER_RUNTIME_DIR": str(folder / "temporary"),
                "D2L_DATA": str(folder),
            },
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        every.append(Started(folder, mark, program))
        return every[-1]

    yield start
    for started in every:
        for process in started.alive():
            process.kill()
        started.program.communicate()


def gone(pid_file):
    """Say whether the process has ended whose id is in a file."""
    return not psutil.pid_exists(int(pid_file.read_text(encoding="utf-8")))


# A cell hangs, or its kernel dies


def test_a_hung_cell_is_named_and_stopped_and_the_next_notebook_runs(
    pytester, monkeypatch
):
    save(pytester.path / "a_hung.ipynb", HANG, PRINT)
    save(pytester.path / "b_stubborn.ipynb", IGNORE, PRINT)
    save(pytester.path / "c_well.ipynb", PRINT)
    monkeypatch.setenv("CELL_LIMIT", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    options = ("--nbval", "-p", "tools.regression.nbtol")
    result = pytester.runpytest_subprocess(*options, timeout=300)
    result.assert_outcomes(failed=2, passed=1, xfailed=2)
    result.stdout.fnmatch_lines(
        [
            "*a_hung.ipynb: cell 2 `import os, time`: stopped after 1 seconds of rest*",
            "*KeyboardInterrupt*Traceback*",
            "*b_stubborn.ipynb: cell 2 `import os`: stopped after 1 seconds of work*",
        ]
    )
    assert gone(pytester.path / "running") and gone(pytester.path / "stubborn")


def test_the_limit_is_that_of_the_environment_else_longer_on_a_slow_machine(
    monkeypatch,
):
    monkeypatch.setenv("CELL_LIMIT", "2.5")
    assert execution.cell_limit() == 2.5
    monkeypatch.delenv("CELL_LIMIT")
    for slow, limit in ((2.0, 1800), (1.0, 900), (0.1, 900)):
        monkeypatch.setattr(execution, "_slow", lambda slow=slow: slow)
        assert execution.cell_limit() == limit


def test_the_speed_of_this_machine_is_measured():
    assert 0.1 < execution._slow() < 100


@pytest.mark.parametrize("text", ["soon", "-1", "0", "0.0", "1e9", "nan"])
def test_a_limit_that_is_none(monkeypatch, text):
    monkeypatch.setenv("CELL_LIMIT", text)
    with pytest.raises(ValueError, match=f"^CELL_LIMIT is '{text}', but must be sec"):
        execution.cell_limit()


def test_refresh_stops_a_hung_cell_and_names_it(tmp_path, monkeypatch, capsys):
    path = save(tmp_path / "book.ipynb", HANG, PRINT)
    before = path.read_bytes()
    monkeypatch.setenv("CELL_LIMIT", "1")
    assert tool.main([str(path)]) == 1
    assert capsys.readouterr().err == (
        "book.ipynb: cell 2 `import os, time`: stopped after 1 seconds of rest; "
        "the file is left as it was\n"
    )
    assert path.read_bytes() == before
    assert gone(tmp_path / "running")


def test_refresh_reports_a_killed_kernel_at_once(tmp_path):
    source = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
    path = save(tmp_path / "book.ipynb", source)
    start = time.monotonic()
    said = "cell 2 `import os, signal`: the kernel died"
    with pytest.raises(execution.CellFailedError, match=said):
        tool.refresh(path)
    assert time.monotonic() - start < 60 < execution.cell_limit()


# Stopped from outside


def test_a_stopped_test_run_leaves_no_process_and_no_file(start, tmp_path):
    cases = {"SIGINT": HANG, "SIGTERM": HANG, "SIGKILL": WORKERS}
    options = ("--nbval", "-p", "tools.regression.nbtol")
    options += ("-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", ".")
    running, before = {}, {}
    for name, source in cases.items():
        (tmp_path / name).mkdir()
        path = save(tmp_path / name / "book.ipynb", source, PRINT)
        before[name] = path.read_bytes()
        running[name] = start(name, "pytest", *options, path.name)
    for name, run in running.items():
        # Ctrl-C in a terminal reaches all programs in the foreground.
        printed, _ = run.send(name, group=name == "SIGINT")
        assert (run.folder / "book.ipynb").read_bytes() == before[name]
        files = {p.name for p in run.folder.iterdir()}
        assert files - {"other"} == {"book.ipynb", "running", "temporary"}
        if name != "SIGKILL":
            assert list((run.folder / "temporary").iterdir()) == []
            said = {"SIGINT": "KeyboardInterrupt", "SIGTERM": "stopped by SIGTERM"}
            assert said[name] in printed
    status = {name: run.program.returncode for name, run in running.items()}
    assert status == {"SIGINT": 2, "SIGTERM": 143, "SIGKILL": -9}


# The driver lets the processes of the matrix say that they are there, and then hang.
SLICE = """from pathlib import Path
write, running = Path.write_text, Path("running").absolute()
hang = f"import pathlib, time; pathlib.Path({str(running)!r}).touch(); time.sleep(600)"
def write_and_hang(path, text, encoding):
    return write(path, text + hang, encoding)
Path.write_text = write_and_hang"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_a_stopped_matrix_leaves_no_process(start, name):
    run = start(name, "tools.regression.portability", "slice", before=SLICE)
    _, printed = run.send(name, group=name == "SIGINT")
    if name != "SIGKILL":
        assert printed == "make: stopped; the results so far are kept\n"
        assert run.program.returncode == 1


# The driver stops just before the new notebook takes the place of the old, or after.
STOP = """import os, time
from pathlib import Path
real = os.replace
def replace(new, old):
    if str(old).endswith("book.ipynb"):
        {first}
        Path("running").touch()
        time.sleep(600)
    real(new, old)
os.replace = replace"""
BEFORE, AFTER = STOP.format(first="pass"), STOP.format(first="real(new, old)")


def test_a_stopped_refresh_leaves_each_notebook_old_or_new(start, tmp_path):
    cases = {  # what is sent, what is executed, what the driver changes
        "cell": ("SIGINT", HANG, ""),
        "cell, killed": ("SIGKILL", HANG, ""),
        "writing": ("SIGTERM", PRINT, BEFORE),
        "writing, killed": ("SIGKILL", PRINT, BEFORE),
        "written": ("SIGINT", PRINT, AFTER),
    }
    running, before = {}, {}
    for name, (_, source, driver) in cases.items():
        (tmp_path / name).mkdir()
        path = save(tmp_path / name / "book.ipynb", source, stored="2\n")
        before[name] = path.read_bytes()
        running[name] = start(
            name, "tools.regression.refresh", path.name, before=driver
        )
    for name, run in running.items():
        printed = run.send(cases[name][0])
        path = run.folder / "book.ipynb"
        assert (path.read_bytes() == before[name]) == (name != "written"), name
        stale = [partial_of(path)] if name == "writing, killed" else []
        assert list(run.folder.glob("*ipynb*")) == [path, *stale]
        if cases[name][0] != "SIGKILL":
            assert printed == ("", "book.ipynb: stopped; it is as it was, or new\n")
            assert run.program.returncode == 130
            assert list((run.folder / "temporary").iterdir()) == []
    written = json.loads((tmp_path / "written" / "book.ipynb").read_text("utf-8"))
    assert written["cells"][1]["outputs"][0]["text"] == ["1\n"]


def test_the_next_refresh_takes_away_what_a_killed_one_left(tmp_path, monkeypatch):
    path = save(tmp_path / "book.ipynb", PRINT)
    monkeypatch.setattr(tool, "execute", lambda notebook, folder: deepcopy(notebook))
    for _ in ("a notebook that changes", "one that does not"):
        partial_of(path).write_text("half", encoding="utf-8")
        tool.refresh(path)
        assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(
    not ((ROOT / ".git").exists() and shutil.which("git")), reason="no repository"
)
def test_git_ignores_what_a_killed_refresh_left():
    left = partial_of(ROOT / "chapters" / "6_6_lenet.ipynb")
    command = ["git", "check-ignore", "--quiet", left]
    assert subprocess.run(command, cwd=ROOT).returncode == 0


STUDY = """from dataclasses import replace
from pathlib import Path
import torch
from solutions.training import experiments, study
from solutions.training.data import ImageSet
from solutions.lenet import LeNetSpec
from solutions.training.loop import Recipe
spec = LeNetSpec((2,), 5, (2,), (True,))
short = study.Experiment(Recipe(spec, lr=0.1, num_epochs=1))
endless = replace(short, recipe=replace(short.recipe, num_epochs=10**6))
experiments.EXPERIMENTS = {"short": short, "endless": endless}
few = ImageSet(torch.zeros(30, 1, 28, 28), torch.arange(30) % 10, ())
study.sets_of = lambda experiment: (few, few)
write = study.write_whole
def write_and_tell(path, text):
    write(path, text)
    Path("running").touch()
study.write_whole = write_and_tell"""


def test_a_stopped_study_leaves_no_worker_and_keeps_its_results(start):
    runs = {
        name: start(name, "tools.study", before=STUDY) for name in ("SIGINT", "SIGTERM")
    }
    for name, run in runs.items():
        _, printed = run.send(name, group=name == "SIGINT")
        [result] = (run.folder / "study").iterdir()
        assert len(json.loads(result.read_text("utf-8"))["histories"]) == 3
        assert run.program.returncode == 130
        assert printed.splitlines()[-1].startswith("stopped; the results so far")
        assert "Traceback" not in printed, name


# The disk is full


@contextlib.contextmanager
def room_for(num_bytes):
    """Let no file grow larger; the system refuses it as it refuses a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("is_new", [True, False])
def test_a_full_disk_leaves_a_file_as_it_was(tmp_path, is_new):
    path = tmp_path / "results.json"
    if not is_new:
        path.write_text("old", encoding="utf-8")
    with room_for(100), pytest.raises(NotWrittenError) as caught:
        write_whole(path, "n" * 101)
    assert str(caught.value) == (
        f"{path} cannot be written (File too large); it is left as it was"
    )
    assert [p.read_text(encoding="utf-8") for p in tmp_path.iterdir()] == (
        [] if is_new else ["old"]
    )
    with room_for(100):
        write_whole(path, "n" * 100)
    assert path.read_text(encoding="utf-8") == "n" * 100


def test_a_full_disk_during_refresh(tmp_path, monkeypatch, capsys):
    path = save(tmp_path / "book.ipynb", PRINT, stored="2\n")
    before = path.read_bytes()

    def execute(notebook, folder):
        return tool.nbformat.reads(json.dumps(notebook).replace("2", "1"), 4)

    monkeypatch.setattr(tool, "execute", execute)
    with room_for(100):
        status = tool.main([str(path)])
    assert (status, capsys.readouterr()) == (
        1,
        ("", f"{path} cannot be written (File too large); it is left as it was\n"),
    )
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_during_a_study_keeps_the_results_before(
    tmp_path, monkeypatch, capsys
):
    recipe = Recipe(LeNetSpec(), lr=0.1, num_epochs=1)
    small = History((0.1,), (0.2,), (0.3,), ((0.4,),))
    large = History((0.1,) * 999, (0.2,), (0.3,), ((0.4,),))
    experiments = {"a": Experiment(recipe, seeds=(0,)), "b": Experiment(recipe)}

    def train_jobs(jobs, *_):
        yield Done(0, [], [small], 1.0)
        yield Done(1, [], [large], 1.0)

    monkeypatch.setenv("D2L_DATA", str(tmp_path))
    monkeypatch.setenv("D2L_DEVICE", "cpu")
    monkeypatch.setattr(study, "train_jobs", train_jobs)
    few = data.ImageSet(torch.zeros(3, 1, 28, 28), torch.arange(3), ())
    monkeypatch.setattr(study, "sets_of", lambda experiment: (few, few))
    monkeypatch.setattr(study_tool, "EXPERIMENTS", experiments)
    monkeypatch.setattr(study_tool, "RESULTS", tmp_path / "study.json")
    with room_for(4000):
        assert study_tool.main() == 1
    failed = tmp_path / "study" / f"{study.label(experiments['b'])}.json"
    assert capsys.readouterr().err == (
        f"{failed} cannot be written (File too large); it is left as it was; "
        "the results before it are kept\n"
    )
    [kept] = (tmp_path / "study").iterdir()
    assert kept.name == f"{study.label(experiments['a'])}.json"
    assert json.loads(kept.read_text(encoding="utf-8"))["histories"][0][
        "train_loss"
    ] == [0.1]
    assert not (tmp_path / "study.json").exists()


def test_a_full_disk_during_download_keeps_the_files_before(tmp_path, monkeypatch):
    content = {"small": b"s" * 100, "large": b"l" * 5000}
    sha256 = {name: hashlib.sha256(text).hexdigest() for name, text in content.items()}
    calls = []

    def source(folder):
        calls.append(folder)
        for name, text in content.items():
            (folder / name).write_bytes(text)

    sources = {"first": source, "second": source}
    entry = data.Dataset(data.MNIST, sha256, sources)
    monkeypatch.setenv("D2L_DATA", str(tmp_path))
    monkeypatch.setattr(data, "DATASETS", {"Two": entry})
    raw = tmp_path / "Two" / "raw"
    raw.mkdir(parents=True)
    (raw / "small").write_bytes(content["small"])
    with room_for(4000), pytest.raises(DataError) as caught:
        data.fetch("Two")
    assert "\n" not in str(caught.value)
    assert f"Two: cannot use the cache folder {raw} (" in str(caught.value)
    assert "File too large" in str(caught.value)
    assert len(calls) == 1  # the second would have been fetched in vain
    assert {p.name for p in raw.iterdir()} - {"lock"} == {"small"}
    assert (raw / "small").read_bytes() == content["small"]
    assert data.fetch("Two") == ("first", raw)

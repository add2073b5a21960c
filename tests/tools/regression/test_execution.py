"""One executor: what it runs, in which environment, and when it stops a cell."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import nbformat.v4 as v4
import psutil
import pytest
from jupyter_client.provisioning import LocalProvisioner
from nbclient import NotebookClient

from solutions.system import processes
from tools.regression import execution
from tools.regression.execution import CellFailedError, Kernel
from tools.regression.nbtol import fingerprint
from tools.regression.refresh import refresh

pytest_plugins = ["pytester"]


def notebook(*sources):
    return v4.new_notebook(cells=[v4.new_code_cell(source) for source in sources])


@pytest.fixture
def run(tmp_path):
    """Return how to execute cells in a fresh kernel, up to the last."""

    def run(*sources):
        kernel = Kernel(notebook(*sources), tmp_path)
        try:
            return [kernel.execute(n) for n in range(1, len(sources) + 1)]
        finally:
            kernel.close()

    return run


def printed(cell):
    [output] = cell.outputs
    return output.text


# What cells mean


CLEARED = """from IPython.display import clear_output
for i in range(3):
    clear_output(wait=True)
    print(i)"""
UPDATED = """shown = display(1, display_id="a")
shown.update(2)"""
LATER = "shown.update(3)"  # the output of the cell before stays as it was when it ended


def test_what_refresh_stores_is_green(pytester):
    cells = notebook(CLEARED, "x = 3\nx;", "In[2]", UPDATED, LATER, "", "x")
    path = pytester.path / "book.ipynb"
    path.write_text(json.dumps(cells), encoding="utf-8")
    refresh(path)
    stored = json.loads(path.read_text("utf-8"))["cells"]
    texts = [[o.get("text", o.get("data")) for o in cell["outputs"]] for cell in stored]
    plain = [[{"text/plain": [text]}] for text in ("'x = 3\\nx;'", "2", "3")]
    assert texts == [[["2\n"]], [], plain[0], plain[1], [], [], plain[2]]
    result = pytester.runpytest_inprocess("--nbval", "-p", "tools.regression.nbtol")
    result.assert_outcomes(passed=7)


def test_no_output_of_a_flood_is_lost(run, monkeypatch):
    """Not even if the reader sleeps until more waits than sockets keep by default."""
    process = NotebookClient.process_message

    def slow(client, message, *place):
        if message["content"].get("text") == "0\n":
            time.sleep(5)
        return process(client, message, *place)

    monkeypatch.setattr(NotebookClient, "process_message", slow)
    [cell] = run("for i in range(9000):\n    print(i, flush=True)")
    assert printed(cell) == "".join(f"{i}\n" for i in range(9000))


@pytest.mark.parametrize("call", ["exit()", "quit()", "exit"])
def test_a_cell_must_not_end_the_kernel(tmp_path, call):
    kernel = Kernel(notebook(call, "1"), tmp_path)
    with pytest.raises(CellFailedError, match=r"cell 1 `.*`: it ends Python: leave"):
        kernel.execute(1)
    with pytest.raises(CellFailedError, match="cell 2 `1`: not run, for a cell before"):
        kernel.execute(2)
    kernel.close()


def test_an_error_is_named_and_the_next_cell_runs(tmp_path):
    kernel = Kernel(notebook("1 / 0", "print(2)"), tmp_path)
    with pytest.raises(CellFailedError) as caught:
        kernel.execute(1)
    assert str(caught.value) == "cell 1 `1 / 0`: ZeroDivisionError: division by zero"
    assert "Traceback" in caught.value.traceback
    assert printed(kernel.execute(2)) == "2\n"
    kernel.close()


@pytest.mark.parametrize("is_linux", [True, False])
def test_no_other_process_can_take_the_place_of_a_channel(run, monkeypatch, is_linux):
    """Each port of which the kernel is told is taken before the kernel is there."""
    launch, taken = LocalProvisioner.launch_kernel, contextlib.ExitStack()

    async def launch_late(self, command, **settings):
        for port in self.parent.ports:
            with contextlib.suppress(OSError):
                taken.enter_context(socket.create_server(("127.0.0.1", port)))
        return await launch(self, command, **settings)

    monkeypatch.setattr(LocalProvisioner, "launch_kernel", launch_late)
    monkeypatch.setattr(psutil, "LINUX", is_linux)
    with taken:
        [cell] = run("print(1)")
    assert printed(cell) == "1\n"


# Its environment


PROBE = """import locale, os, shutil, sys, time
import matplotlib, numpy, solutions, torch
assert sys.flags.optimize == 0 and sys.flags.inspect == 0
print(sys.executable, sys.warnoptions, sys.flags.utf8_mode, locale.getencoding())
print(solutions.__file__, numpy.array([1 / 3]), torch.tensor([1 / 3]), time.tzname)
print(shutil.get_terminal_size(), matplotlib.get_backend(), matplotlib.get_configdir())
print([matplotlib.rcParams[k] for k in ("font.size", "font.family", "axes.grid")])
print(sorted(name for name in globals() if not name.startswith("_")))
1
2"""
STARTUP = """import numpy, torch
numpy.set_printoptions(precision=2); torch.set_printoptions(precision=2)
left_by_the_user = 1
print("hello")"""
CONFIG = """c = get_config()
c.InteractiveShell.ast_node_interactivity = "all"
c.InteractiveShellApp.exec_lines = ["%precision 3"]"""
KERNELSPEC = {"argv": ["no-such-python"], "display_name": "", "language": "python"}


def user_settings(home):
    """Write what users may have in their home; return their environment."""
    files = {
        "ipython/profile_default/startup/00.py": STARTUP,
        "ipython/profile_default/ipython_config.py": CONFIG,
        ".ipython/profile_default/startup/00.py": STARTUP,
        ".config/matplotlib/matplotlibrc": "font.size: 30\n",
        "mpl/matplotlibrc": "font.size: 20\naxes.grid: True\n",
        "startup.py": STARTUP,
        "path/solutions/__init__.py": "raise ImportError",
        "path/sitecustomize.py": STARTUP,
        "jupyter/kernels/python3/kernel.json": json.dumps(KERNELSPEC),
        "jupyter/jupyter_config.json": '{"KernelManager": {"ip": "1.2.3.4"}}',
    }
    for name, text in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return {
        "HOME": str(home),
        "IPYTHONDIR": str(home / "ipython"),
        "MATPLOTLIBRC": str(home / "mpl"),
        "MPLCONFIGDIR": str(home / "mpl"),
        "MPLBACKEND": "agg",
        "PYTHONSTARTUP": str(home / "startup.py"),
        "PYTHONPATH": str(home / "path"),
        "PYTHONOPTIMIZE": "2",
        "PYTHONINSPECT": "1",
        "PYTHONWARNINGS": "always",
        "PYTHONIOENCODING": "latin-1",
        "PYTHONBREAKPOINT": "no.such",
        "PYTHONDEVMODE": "1",
        "JUPYTER_PATH": str(home / "jupyter"),
        "JUPYTER_CONFIG_DIR": str(home / "jupyter"),
        "JUPYTER_RUNTIME_DIR": "/no/such/folder",
        "JUPYTER_DEFAULT_PROVISIONER_NAME": "none",
        "LC_ALL": "C",
        "LANG": "zh_CN.GBK",
        "TZ": "Asia/Shanghai",
        "COLUMNS": "40",
        "FORCE_COLOR": "1",
        "TORCH_LOGS": "+dynamo",
        "OMP_DISPLAY_ENV": "TRUE",
    }


def test_no_setting_of_the_user_reaches_a_kernel(run, tmp_path, monkeypatch):
    [before] = run(PROBE)
    for name, value in user_settings(tmp_path / "home").items():
        monkeypatch.setenv(name, value)
    [after] = run(PROBE)
    assert after.outputs == before.outputs
    assert printed_lines(after)[0].startswith(sys.executable)


def printed_lines(cell):
    return cell.outputs[0].text.splitlines()


def test_what_the_project_and_the_machine_define_is_passed_on(run, monkeypatch):
    values = {"D2L_DATA": "/a", "OMP_NUM_THREADS": "3", "CUDA_VISIBLE_DEVICES": ""}
    values |= {"PYTHONHASHSEED": "7", "LOKY_MAX_CPU_COUNT": "5", "https_proxy": "p"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    [cell] = run(f"import os\nprint([os.environ[n] for n in {list(values)}])")
    assert printed(cell) == f"{list(values.values())}\n"


def test_a_variant_changes_the_kernel_by_its_own_path(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert execution.environment(tmp_path)["PYTHONPATH"] == str(execution.ROOT)
    monkeypatch.setenv("D2L_VARIANT", "one thread")
    assert execution.environment(tmp_path)["PYTHONPATH"] == str(tmp_path)


@pytest.mark.parametrize(
    ("processes", "asked", "threads"),
    [(None, None, None), (1, None, None), (2, None, "1"), (2, "4", "4")],
)
def test_kernels_and_processes_side_by_side_have_one_thread_each(
    pytester, monkeypatch, processes, asked, threads
):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    pytester.makeconftest((execution.ROOT / "conftest.py").read_text("utf-8"))
    monkeypatch.setenv("PYTHONPATH", str(execution.ROOT))
    pytester.makepyfile(
        f"""
        import os
        from tools.regression.execution import environment

        def test(tmp_path):
            assert os.environ.get("OMP_NUM_THREADS") == {threads!r}
            assert environment(tmp_path)["OMP_NUM_THREADS"] == {threads or "1"!r}
        """
    )
    options = ("-n", str(processes)) if processes else ()
    pytester.runpytest_subprocess(*options).assert_outcomes(passed=1)


def test_python_without_asserts_is_refused():
    command = [sys.executable, "-m", "pytest", "tests/tools/regression/test_alarms.py"]
    environment = {**os.environ, "PYTHONOPTIMIZE": "1"}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=environment,
        cwd=execution.ROOT,
        encoding="utf-8",
    )
    said = "ERROR: -O and PYTHONOPTIMIZE remove the asserts: do without"
    assert (done.stdout + done.stderr).strip() == said
    assert done.returncode == pytest.ExitCode.USAGE_ERROR


# When it stops a cell


SPIN = "while True: pass"
SPINNING_CHILD = f"""import subprocess, sys
subprocess.run([sys.executable, "-c", "{SPIN}"])"""
WAITING_THREADS = """import threading, time
thread = threading.Thread(target=time.sleep, args=(60,))
thread.start()
thread.join()"""
POLLING = """import time
while True:
    time.sleep(0.01)"""
STOPPED = """import os, signal, subprocess
me = os.getpid()
waker = subprocess.Popen(["sh", "-c", f"sleep 4; kill -CONT {me}"])
os.kill(me, signal.SIGSTOP)
print("again", waker.wait())"""
BRAKED = """import os, subprocess, sys
brake = f'''import os, signal, time
for _ in range(10):
    for sent, seconds in ((signal.SIGSTOP, 0.3), (signal.SIGCONT, 0.02)):
        os.kill({os.getpid()}, sent)
        time.sleep(seconds)'''
running = subprocess.Popen([sys.executable, "-c", brake])
while running.poll() is None:
    pass
print("slow", running.wait())"""


@pytest.mark.parametrize(
    ("source", "spent"),
    [
        ("import time; time.sleep(60)", "rest"),
        (WAITING_THREADS, "rest"),
        (POLLING, "rest"),
        (SPIN, "work"),
        (SPINNING_CHILD, "work"),
    ],
)
def test_a_cell_that_never_ends_is_stopped(run, monkeypatch, source, spent):
    monkeypatch.setenv("CELL_LIMIT", "1.5")
    with pytest.raises(CellFailedError) as caught:
        run(source)
    name = source.splitlines()[0]
    said = f"cell 1 `{name}`: stopped after 1.5 seconds of {spent}"
    assert str(caught.value) == said
    assert caught.value.is_hung and "KeyboardInterrupt" in caught.value.traceback


@pytest.mark.parametrize(
    ("source", "output"), [(STOPPED, "again 0\n"), (BRAKED, "slow 0\n")]
)
def test_a_cell_that_is_slow_is_not_hung(run, monkeypatch, source, output):
    monkeypatch.setenv("CELL_LIMIT", "1.5")
    [cell] = run(source)
    assert printed(cell) == output


def test_a_process_that_could_run_does_not_rest_whether_or_not_it_is_let():
    spinning = subprocess.Popen([sys.executable, "-c", SPIN])
    process = psutil.Process(spinning.pid)
    try:
        assert not processes._rests(process)
        spinning.send_signal(signal.SIGSTOP)
        while process.status() != psutil.STATUS_STOPPED:
            pass
        assert not processes._rests(process)
    finally:
        spinning.kill()
        spinning.wait()


def test_a_hash_of_outputs_tells_them_apart_and_leaves_out_what_varies():
    def error(count, traceback, value="a"):
        outputs = [v4.new_output("error", ename="E", evalue=value, traceback=traceback)]
        data = {"image/png": "iVBO"}
        outputs.append(v4.new_output("execute_result", data, execution_count=count))
        return fingerprint(outputs)

    assert error(1, ["/tmp/1"]) == error(2, ["/tmp/2"]) != error(1, ["/tmp/1"], "b")
    assert len(error(1, [])) == 16


def test_a_kernel_ends_with_the_test_run_that_started_it(tmp_path):
    script = f"""from pathlib import Path
import nbformat.v4 as v4, time
from tools.regression.execution import Kernel
cell = v4.new_code_cell("import os; print(os.getpid())")
kernel = Kernel(v4.new_notebook(cells=[cell]), Path({str(tmp_path)!r}))
print(kernel.execute(1).outputs[0].text, flush=True)
time.sleep(600)"""
    program = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=execution.ROOT,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    pid = int(program.stdout.readline())
    program.send_signal(signal.SIGKILL)
    program.communicate()
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not Path(f"/proc/{pid}").exists()

"""What a newcomer reads when the machine will not do: one line, no traceback."""

import ast
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from tools import environment

Usage = namedtuple("Usage", "total used free")


def test_this_machine_passes(monkeypatch):
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: Usage(0, 0, 1e11))
    environment.check_python()
    environment.check_disk()


@pytest.mark.parametrize("version", [(3, 10, 13), (3, 14, 0)])
def test_refuses_another_python(monkeypatch, version):
    monkeypatch.setattr(environment.sys, "version_info", version)
    found = r"\.".join(map(str, version))
    with pytest.raises(SystemExit, match=rf"3\.11, 3\.12 or 3\.13 .* is {found};"):
        environment.main()


def test_refuses_a_small_disk(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "VENV", tmp_path)
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: Usage(0, 0, 2.5e9))
    with pytest.raises(SystemExit, match=r"about 9 GB .* but 2\.5 GB are free"):
        environment.check_disk()


def test_what_the_old_environment_takes_will_be_free(monkeypatch, tmp_path):
    with (tmp_path / "old").open("wb") as file:
        file.truncate(7 * 10**9)  # takes no room until something is written
    monkeypatch.setattr(environment, "VENV", tmp_path)
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: Usage(0, 0, 2.5e9))
    environment.check_disk()


@pytest.mark.parametrize(
    ("version", "lock"),
    [
        ((3, 11, 7), "requirements.lock"),
        ((3, 12, 1), "requirements-current.lock"),
        ((3, 13, 0), "requirements-current.lock"),
    ],
)
def test_installs_the_lock_of_this_python(monkeypatch, tmp_path, version, lock):
    calls = []
    monkeypatch.setattr(environment, "VENV", tmp_path)
    monkeypatch.setattr(environment, "LOG", tmp_path / "log")
    monkeypatch.setattr(environment.sys, "version_info", version)
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: Usage(0, 0, 1e11))
    monkeypatch.setattr(environment.subprocess, "run", lambda *_, **__: None)
    monkeypatch.setattr(environment, "pip", lambda *arguments: calls.append(arguments))
    environment.main()
    path = str(environment.ROOT / lock)
    assert calls[0] == ("--no-deps", "--require-hashes", "-r", path)
    assert (tmp_path / "installed").read_text(
        encoding="utf-8"
    ) == environment.fingerprint()


def test_each_lock_has_its_own_fingerprint(monkeypatch):
    found = set()
    for version in environment.LOCKS:
        monkeypatch.setattr(environment.sys, "version_info", version)
        found.add(environment.fingerprint())
    assert len(found) == len(set(environment.LOCKS.values()))


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("NewConnectionError: Failed to establish a new connection", "no network"),
        ("ERROR: Could not find a version (from versions: none)", "no network"),
        ("THESE PACKAGES DO NOT MATCH THE HASHES", "differs from the lock"),
        ("a\nERROR: something new\nb", "ERROR: something new"),
        ("", "pip failed"),
    ],
)
def test_says_why_pip_failed(log, reason):
    assert reason in environment.reason_of(log)


def test_a_failing_pip_is_one_line(monkeypatch, tmp_path):
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(
        "#!/bin/sh\necho Temporary failure in name resolution; exit 1\n",
        encoding="utf-8",
    )
    python.chmod(0o755)
    monkeypatch.setattr(environment, "VENV", tmp_path)
    monkeypatch.setattr(environment, "LOG", tmp_path / "log")
    with pytest.raises(SystemExit) as stopped:
        environment.pip("anything")
    assert "no network" in str(stopped.value)
    assert "\n" not in str(stopped.value)


def test_an_up_to_date_environment_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "VENV", tmp_path)
    (tmp_path / "installed").write_text(environment.fingerprint(), encoding="utf-8")
    monkeypatch.setattr(environment.subprocess, "run", pytest.fail)
    environment.main()


def test_runs_before_anything_is_installed():
    # -S: without site-packages; -I: without this folder.
    path = Path(environment.__file__)
    code = f"import runpy; runpy.run_path({str(path)!r})"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


def test_can_be_read_by_an_old_python_so_that_it_can_say_that_it_is_too_old():
    ast.parse(
        Path(environment.__file__).read_text(encoding="utf-8"), feature_version=(3, 7)
    )

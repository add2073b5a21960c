"""What a newcomer reads when the machine will not do: one line, no traceback."""

import ast
import hashlib
import re
import subprocess
import sys
import zipfile
from collections import namedtuple
from pathlib import Path

import pytest

from tools import environment

Usage = namedtuple("Usage", "total used free")


def test_this_machine_passes(monkeypatch):
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: Usage(0, 0, 1e11))
    environment.check_machine()
    environment.check_python()
    environment.check_disk(9)


@pytest.mark.parametrize(
    ("system", "machine", "libc", "message"),
    [
        (
            "win32",
            "AMD64",
            None,
            "Linux or macOS is needed, .* on Windows, work in WSL",
        ),
        ("cygwin", "x86_64", None, "on Windows, work in WSL"),
        ("darwin", "x86_64", None, "a Mac and a Python for arm64, but this is x86_64"),
        ("linux", "x86_64", None, "but this is x86_64 with no glibc"),
        ("linux", "x86_64", "glibc 2.17", "2.28 or newer, .* x86_64 with glibc 2.17"),
        ("linux", "i686", "glibc 2.36", "but this is i686 with glibc 2.36"),
        ("linux", "aarch64", "glibc 2.28", None),
        ("darwin", "arm64", None, None),
    ],
)
def test_refuses_a_machine_without_pytorch(monkeypatch, system, machine, libc, message):
    monkeypatch.setattr(environment.sys, "platform", system)
    monkeypatch.setattr(environment.platform, "machine", lambda: machine)
    monkeypatch.setattr(environment.os, "confstr", lambda _: libc)
    if message is None:
        environment.check_machine()
        return
    with pytest.raises(SystemExit, match=f"^make: .*{message}$"):
        environment.main("site")


@pytest.mark.parametrize("version", [(3, 10, 13), (3, 15, 0)])
def test_refuses_another_python(monkeypatch, version):
    monkeypatch.setattr(environment.sys, "version_info", version)
    found = r"\.".join(map(str, version))
    with pytest.raises(
        SystemExit, match=rf"3\.11, 3\.12, 3\.13 or 3\.14 .* is {found};"
    ):
        environment.main("site")


def test_refuses_a_small_disk(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "VENV", tmp_path)
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: Usage(0, 0, 2.5e9))
    with pytest.raises(SystemExit, match=r"about 9 GB .* but 2\.5 GB are free"):
        environment.check_disk(9)


def test_what_the_old_environment_takes_will_be_free(monkeypatch, tmp_path):
    with (tmp_path / "old").open("wb") as file:
        file.truncate(7 * 10**9)  # takes no room until something is written
    monkeypatch.setattr(environment, "VENV", tmp_path)
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: Usage(0, 0, 2.5e9))
    environment.check_disk(9)


@pytest.mark.parametrize(("part", "creates"), [("site", True), ("all", False)])
def test_installs_a_part_of_the_lock(monkeypatch, tmp_path, part, creates):
    calls, created = [], []
    monkeypatch.setattr(environment, "VENV", tmp_path)
    monkeypatch.setattr(environment, "LOG", tmp_path / "log")
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: Usage(0, 0, 1e11))
    monkeypatch.setattr(environment, "create", lambda: created.append(True))
    monkeypatch.setattr(environment, "check_installed", lambda _: None)
    monkeypatch.setattr(environment, "pip", lambda *arguments: calls.append(arguments))
    environment.main(part)
    path = tmp_path / "lock"
    assert "--require-hashes" in calls[0] and calls[0][-1] == str(path)
    lock = environment.LOCK.read_text(encoding="utf-8")
    assert path.read_text(encoding="utf-8") == environment.part_of(lock, part)
    stamp = tmp_path / f"installed-{part}"
    assert stamp.read_text(encoding="utf-8") == environment.fingerprint()
    assert bool(created) is creates


def names_in(lock):
    return set(re.findall(r"^([\w.-]+)==", lock, re.MULTILINE))


def test_the_sites_part_is_what_it_asks_for_and_what_that_pulls_in():
    lock = environment.LOCK.read_text(encoding="utf-8")
    part = environment.part_of(lock, "site")
    assert names_in((environment.ROOT / environment.SITE).read_text("utf-8")) < (
        names_in(part)
    )
    assert {"sphinx", "docutils", "markupsafe"} < names_in(part) < names_in(lock)
    too_much = {"torch", "numpy", "matplotlib", "jupyterlab", "uv", "playwright"}
    assert not too_much & names_in(part)
    entries = re.split(r"\n(?=\w)", lock)
    assert set(part.splitlines()) <= set(lock.splitlines())
    assert [e for e in entries if e.partition("==")[0] in names_in(part)] == (
        re.split(r"\n(?=\w)", part)
    )
    assert environment.part_of(lock, "all") == lock


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


def wheel(folder, name="tiny"):
    """Write a wheel that installs one empty module, version 1.0; return its path."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    files = {
        f"{name}.py": "",
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nTag: py3-none-any\n",
    }
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for file in [*files, f"{info}/RECORD"]:
            record = "\n".join(f"{f},," for f in [*files, f"{info}/RECORD"])
            archive.writestr(file, files.get(file, record))
    return path


def digest_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def checkout(monkeypatch, tmp_path):
    """A project in a folder with a blank, and its lock of two packages in two parts."""
    root = tmp_path / "the project 书"
    package = wheel(root / "wheels")
    rest = wheel(root / "wheels", "other")
    project = wheel(root / "wheels", "project")
    (root / "backend.py").write_text(
        "import shutil\n"
        "def build_editable(folder, *_):\n"
        f"    return shutil.copy({str(project)!r}, folder).rpartition('/')[2]\n",
        encoding="utf-8",
    )
    (root / "pyproject.toml").write_text(
        "[build-system]\nrequires = []\n"
        'build-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "project"\nversion = "1.0"\n',
        encoding="utf-8",
    )
    (root / "tools").mkdir()
    script = Path(environment.ROOT, "tools", "installed.py")
    (root / "tools" / "installed.py").symlink_to(script)
    lock = root / "requirements.lock"
    lock.write_text(
        "absent==3 ; python_version < '3' \\\n    --hash=sha256:00\n"
        f"tiny==1.0 \\\n    --hash=sha256:{digest_of(package)}\n"
        "    # via\n    #   -r requirements-site.txt\n    #   other\n"
        f"other==1.0 \\\n    --hash=sha256:{digest_of(rest)}\n"
        "    # via -r requirements.txt\n",
        encoding="utf-8",
    )
    for name, path in (("ROOT", "."), ("VENV", ".venv"), ("LOG", "log")):
        monkeypatch.setattr(environment, name, root / path)
    monkeypatch.setattr(environment, "LOCK", lock)
    monkeypatch.setattr(environment, "NEEDED_GB", {"site": 0, "all": 0})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", (root / "wheels").as_uri())
    return root


def test_no_variable_of_the_reader_puts_packages_elsewhere(
    checkout, monkeypatch, tmp_path
):
    # A package that seems to be installed already, and settings that lead elsewhere.
    with zipfile.ZipFile(wheel(tmp_path / "wheels")) as archive:
        archive.extractall(tmp_path / "path")
    for name, value in {
        "PYTHONPATH": str(tmp_path / "path"),
        "PYTHONHOME": str(tmp_path),
        "PIP_TARGET": str(tmp_path / "target"),
        "PIP_PREFIX": str(tmp_path / "prefix"),
        "PIP_ROOT": str(tmp_path / "root"),
        "PIP_USER": "1",
        "PIP_DRY_RUN": "1",
        "PIP_REQUIRE_VIRTUALENV": "1",
    }.items():
        monkeypatch.setenv(name, value)
    environment.main("site")
    assert (checkout / ".venv" / "installed-site").read_text(encoding="utf-8")
    monkeypatch.delenv("PYTHONHOME")
    monkeypatch.delenv("PYTHONPATH")
    python = checkout / ".venv" / "bin" / "python"
    subprocess.run([python, "-c", "import tiny, project"], check=True)


def test_an_incomplete_environment_is_never_stamped(checkout, monkeypatch, tmp_path):
    settings = tmp_path / "pip.conf"
    folder = tmp_path / "elsewhere"
    settings.write_text(f"[install]\ntarget = {folder}\n", encoding="utf-8")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    with pytest.raises(SystemExit, match=r"not complete: .venv lacks tiny 1\.0; see "):
        environment.main("site")
    assert not (checkout / ".venv" / "installed-site").exists()
    monkeypatch.delenv("PIP_CONFIG_FILE")
    environment.main("site")
    assert (checkout / ".venv" / "installed-site").exists()


def test_the_rest_is_added_to_the_sites_part(checkout, monkeypatch):
    python = checkout / ".venv" / "bin" / "python"
    environment.main("site")
    assert subprocess.run([python, "-c", "import tiny, project"]).returncode == 0
    absent = [python, "-c", "import other"]
    assert subprocess.run(absent, capture_output=True).returncode == 1
    stamp = checkout / ".venv" / "installed-site"
    before = stamp.stat().st_mtime_ns
    environment.main("all")
    subprocess.run([python, "-c", "import tiny, other, project"], check=True)
    monkeypatch.setattr(environment, "create", pytest.fail)
    monkeypatch.setattr(environment, "pip", pytest.fail)
    for part in ("site", "all", "site"):
        environment.main(part)
    assert stamp.stat().st_mtime_ns == before  # a newer one would build the site anew


def test_the_rest_is_never_stamped_unless_it_is_there(checkout, monkeypatch):
    environment.main("site")
    monkeypatch.setattr(environment, "pip", lambda *_: None)
    with pytest.raises(SystemExit, match=r"not complete: .venv lacks other 1\.0; see "):
        environment.main("all")
    assert not (checkout / ".venv" / "installed-all").exists()


def test_another_lock_makes_the_environment_anew(checkout):
    for part in ("site", "all"):
        environment.main(part)
    lock = environment.LOCK.read_text(encoding="utf-8")
    environment.LOCK.write_text(lock + "# changed\n", encoding="utf-8")
    environment.main("site")
    assert not (checkout / ".venv" / "installed-all").exists()


def test_what_is_missing_or_of_another_version_is_named(monkeypatch):
    monkeypatch.setattr(environment, "VENV", Path(sys.prefix))
    there = f"pytest=={pytest.__version__} \\\n    --hash=sha256:00\n"
    environment.check_installed(there)
    other = rf"lacks pytest 0\.1 \(has {pytest.__version__}\);"
    with pytest.raises(SystemExit, match=other):
        environment.check_installed("pytest==0.1")
    with pytest.raises(SystemExit, match=r"lacks a 1, b 1, c 1, and 2 more;"):
        environment.check_installed(f"a==1\nb==1\nc==1\nd==1\n{there}e==1")


def test_how_pip_reaches_the_packages_is_the_readers(monkeypatch):
    kept = {"PIP_INDEX_URL": "a", "PIP_CERT": "b", "PIP_CACHE_DIR": "c", "HOME": "d"}
    kept |= {"PIP_PROXY": "e", "https_proxy": "f"}
    dropped = {"PIP_CERTAINLY": "1", "PIP_PYTHON": "2", "PYTHONSAFEPATH": "3"}
    monkeypatch.setattr(environment.os, "environ", kept | dropped)
    assert environment.pip_environment() == kept | {"PIP_USER": "0"}


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("... because ensurepip is not available.  On Debian\n\n", "apt-get install p"),
        ("/usr/bin/python3: No module named venv", r"python3\.\d+-venv$"),
        (
            "a\nError: [Errno 28] No space left\n",
            "be created: Error: .* No space left$",
        ),
    ],
)
def test_a_python_that_makes_no_environments_is_one_line(
    checkout, monkeypatch, tmp_path, said, message
):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho '{said}'; exit 1\n", encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setattr(environment.sys, "executable", str(python))
    with pytest.raises(SystemExit, match=message) as stopped:
        environment.main("site")
    assert "\n" not in str(stopped.value)


def test_an_up_to_date_environment_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "VENV", tmp_path)
    for part in ("site", "all"):
        stamp = tmp_path / f"installed-{part}"
        stamp.write_text(environment.fingerprint(), encoding="utf-8")
    monkeypatch.setattr(environment.subprocess, "run", pytest.fail)
    environment.main("site")
    environment.main("all")


def test_runs_before_anything_is_installed():
    # -S: without site-packages; -I: without this folder.
    path = Path(environment.__file__)
    code = f"import runpy; runpy.run_path({str(path)!r})"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


def test_can_be_read_by_an_old_python_so_that_it_can_say_that_it_is_too_old():
    ast.parse(
        Path(environment.__file__).read_text(encoding="utf-8"), feature_version=(3, 7)
    )

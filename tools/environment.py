"""Install a part of the lock into `.venv`, once; `make` runs this before all else.

`site` makes `.venv` and installs what building the site needs; `all` adds the rest.

Belongs here: the checks a newcomer's machine may fail, each with one clear line.
Only the standard library is used, since nothing is installed yet, and only syntax
that older Pythons read, so that they can say that they are too old.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOG = ROOT / ".venv-install.log"
LOCK = ROOT / "requirements.lock"
SUPPORTED = (3, 11), (3, 12), (3, 13), (3, 14)  # Pythons
# Variables that pip must not see: all of Python's, and those of pip itself that could
# put packages elsewhere or put in others. How pip reaches the packages is the reader's.
NOT_FOR_PIP = re.compile(
    "PYTHON|PIP_(?!(CACHE_DIR|CERT|CLIENT_CERT|CONFIG_FILE|DEFAULT_TIMEOUT"
    "|DISABLE_PIP_VERSION_CHECK|EXTRA_INDEX_URL|FIND_LINKS|INDEX_URL|KEYRING_PROVIDER"
    "|NO_CACHE_DIR|NO_INDEX|PROXY|TIMEOUT|TRUSTED_HOST|USE_FEATURE)$)"
)
# The site's part of the lock is what this file asks for, and what that pulls in.
SITE = "requirements-site.txt"
# PyTorch's wheel for Linux brings CUDA's libraries: 6 GB, plus what pip unpacks.
NEEDED_GB = {"site": 1, "all": 9}
ANNOUNCED = {
    "site": "Installing what the site needs into .venv (half a minute, 300 MB)",
    "all": "Adding the rest to .venv (a few minutes, about 6 GB on Linux)",
}

REASONS = {
    "No space left on device": "the disk is full",
    "Failed to establish a new connection|Temporary failure in name resolution"
    "|Max retries exceeded|Read timed out|ProxyError|ConnectionError"
    "|from versions: none": "the package index cannot be reached (no network?)",
    "DO NOT MATCH THE HASHES": "a downloaded package differs from the lock",
}


def fingerprint() -> str:
    """Return a hash of everything that decides what is installed."""
    lock = LOCK.read_text(encoding="utf-8")
    return hashlib.sha256(
        "\n".join([sys.version, str(ROOT), lock]).encode()
    ).hexdigest()


def part_of(lock: str, part: str) -> str:
    r"""Return the entries of the lock that belong to a part of it.

    >>> lock = "a==1\n    # via\n    #   -r requirements-site.txt\nb==2\n    # via a"
    >>> part_of(lock + "\nc==3\n    # via -r requirements.txt", "site") == lock
    True
    """
    if part == "all":
        return lock
    entries = {e.partition("==")[0]: e for e in re.split(r"\n(?=\w)", lock)}
    pulled_in_by = {
        name: set(re.findall(r"^ +#.*?([^\s/]+)$", entry, re.MULTILINE))
        for name, entry in entries.items()
    }
    found, size = {SITE}, 0
    while len(found) > size:
        size = len(found)
        found |= {name for name, by in pulled_in_by.items() if by & found}
    return "\n".join(entry for name, entry in entries.items() if name in found)


def check_machine() -> None:
    """Stop with one line if PyTorch has no wheel for this machine."""
    machine = platform.machine()
    if sys.platform not in ("linux", "darwin"):
        here = platform.system()
        stop(f"Linux or macOS is needed, but this is {here}; on Windows, work in WSL")
    if sys.platform == "darwin" and machine != "arm64":
        stop(f"PyTorch needs a Mac and a Python for arm64, but this is {machine}")
    if sys.platform == "linux":
        libc = libc_version()
        if machine not in ("x86_64", "aarch64") or libc < (2, 28):
            found = "glibc {}.{}".format(*libc) if any(libc) else "no glibc"
            stop(
                "PyTorch needs x86_64 or aarch64 and glibc 2.28 or newer, "
                f"but this is {machine} with {found}"
            )


def libc_version() -> "tuple[int, int]":
    """Return the version of glibc, (0, 0) where there is another C library."""
    name = "CS_GNU_LIBC_VERSION"
    text = os.confstr(name) if name in os.confstr_names else None
    major, minor = re.findall(r"\d+", text or "0.0")[:2]
    return int(major), int(minor)


def check_python() -> None:
    """Stop with one line if this Python is not supported."""
    if sys.version_info[:2] not in SUPPORTED:
        stop(
            "Python 3.11, 3.12, 3.13 or 3.14 is needed, but {} is {}.{}.{}; "
            "install one, or say make PYTHON=/path/to/python3.11".format(
                sys.executable, *sys.version_info[:3]
            )
        )


def check_disk(needed: int) -> None:
    """Stop with one line if `.venv` cannot become so many GB large on this disk."""
    old = sum(p.lstat().st_size for p in VENV.rglob("*"))
    free = (shutil.disk_usage(str(ROOT)).free + old) / 1e9
    if free < needed:
        stop(f"about {needed} GB of disk are needed here, but {free:.1f} GB are free")


def stop(message: str) -> NoReturn:
    """Print one line to stderr and exit with status 1."""
    sys.exit("make: " + message)


def reason_of(log: str) -> str:
    """Say in a few words why pip failed."""
    for pattern, reason in REASONS.items():
        if re.search(pattern, log):
            return reason
    errors = [line for line in log.splitlines() if line.startswith("ERROR")]
    return errors[-1] if errors else "pip failed"


def create() -> None:
    """Make an empty `.venv`, whatever is there now."""
    done = subprocess.run(
        [sys.executable, "-I", "-m", "venv", "--clear", str(VENV)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    if re.search("ensurepip is not available|No module named venv", done.stdout):
        stop(
            "{} cannot make environments; on Debian and Ubuntu: apt-get install "
            "python{}.{}-venv".format(sys.executable, *sys.version_info[:2])
        )
    if done.returncode:
        why = done.stdout.strip().splitlines() or ["python -m venv failed"]
        stop("the environment could not be created: " + why[-1])


def pip_environment() -> "dict[str, str]":
    """Return this environment without what changes where or what pip installs."""
    kept = {k: v for k, v in os.environ.items() if not NOT_FOR_PIP.match(k)}
    return {**kept, "PIP_USER": "0"}  # wins over a file of pip's settings


def pip(*arguments: str) -> None:
    """Run pip in the new environment; count the packages on a terminal."""
    command = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--retries", "2"]
    packages = 0
    process = subprocess.Popen(
        [*command, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env=pip_environment(),
    )
    with process, LOG.open("a", encoding="utf-8") as log:
        for line in process.stdout or []:
            log.write(line)
            packages += line.startswith("Collecting")
            if sys.stdout.isatty():
                print(f"\r  {packages} packages", end="", flush=True)
    if sys.stdout.isatty():
        print("\r", end="")
    if process.returncode:
        why = reason_of(LOG.read_text(encoding="utf-8"))
        stop(f"the environment could not be installed: {why}; details in {LOG.name}")


def check_installed(lock: str) -> None:
    """Stop with one line if `.venv` lacks anything of the lock."""
    command = [str(VENV / "bin" / "python"), "-I", str(ROOT / "tools/installed.py")]
    done = subprocess.run(
        command,
        input=lock,
        stdout=subprocess.PIPE,
        check=True,
        encoding="utf-8",
    )
    missing = done.stdout.splitlines()
    if missing:
        more = f", and {len(missing) - 3} more" if missing[3:] else ""
        stop(
            f"the environment is not complete: .venv lacks {', '.join(missing[:3])}"
            f"{more}; see what '{command[0]} -m pip config list' says"
        )


def main(part: str) -> None:
    """Install a part of the lock unless it is there and up to date.

    Args:
        part: "site", or "all" once the site's part is there.
    """
    check_machine()
    check_python()
    stamp = VENV / f"installed-{part}"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == fingerprint():
        return
    check_disk(NEEDED_GB[part])
    print(f"{ANNOUNCED[part]} ...", flush=True)
    LOG.write_text("", encoding="utf-8")
    if part == "site":
        create()
    # To compile what the site never imports would take as long as to install it.
    options = ["--no-compile"] if part == "site" else []
    install(part_of(LOCK.read_text(encoding="utf-8"), part), *options)
    stamp.write_text(fingerprint(), encoding="utf-8")
    LOG.unlink()


def install(lock: str, *options: str) -> None:
    """Install what a lock names, with options of pip, and this project."""
    path = VENV / "lock"
    path.write_text(lock, encoding="utf-8")
    # The lock is complete, so that nothing has to be resolved.
    pip(*options, "--no-deps", "--require-hashes", "-r", str(path))
    pip("--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    check_installed(lock)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        stop("interrupted; run the same command again to install the rest")
    except (OSError, subprocess.CalledProcessError) as error:
        stop(f"the environment could not be created: {error}")

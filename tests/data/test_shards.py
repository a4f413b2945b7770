"""Shards: what is packed again and what is not, kills, damage, and the order of rows."""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reconscale.data import ImageSet, write_image
from reconscale.data.build_store import open_store
from reconscale.data.image_files import Header
from reconscale.data.listing import Listing
from reconscale.data.store import Store
from reconscale.errors import UserError

from .conftest import picture

Open = Callable[..., ImageSet]

CHILD = """
import sys, time
from pathlib import Path
from reconscale.data import folders as folder, packing
from reconscale.data.image_set import open_images
from reconscale.study import Images
data, cache, pause = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
plain, seen, packing.MOST_IMAGES = folder.read_image, [], 2
def slow(path, *how):
    time.sleep(pause)
    seen.append(path)
    return plain(path, *how)
folder.read_image = slow
images = open_images(Images(source="folder", val=1, test=1, patch=16), data=data, cache=cache)
print(len(seen), images.digest)
"""


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconscale.data.packing.MOST_IMAGES", 4)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are decoded from now on; of others not even the header is read."""
    from reconscale.data import folders as folder

    seen: list[str] = []
    headers: list[str] = []
    read_image, read_header = folder.read_image, folder.read_header

    def image(path: Path, *how: Any) -> np.ndarray:
        seen.append(path.name)
        assert path.name in headers
        return read_image(path, *how)

    def header(path: Path, *how: Any) -> Header:
        headers.append(path.name)
        return read_header(path, *how)

    monkeypatch.setattr(folder, "read_image", image)
    monkeypatch.setattr(folder, "read_header", header)
    return seen


def builder(data: Path, cache: Path, pause: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(data), str(cache), str(pause)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def pixel_files(cache: Path) -> list[Path]:
    return sorted((cache / "images" / "shards").glob("*/*.bin"))


def test_a_killed_build_goes_on(data: Path, tmp_path: Path, opened: Open, decoded: list[str]) -> None:
    process = builder(data, tmp_path / "cache", 0.1)
    try:
        while len(list(tmp_path.glob("cache/images/shards/*/*.npz"))) < 2:
            assert process.poll() is None
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    finished = len(list(tmp_path.glob("cache/images/shards/*/*.npz")))
    before = {path: path.stat().st_mtime_ns for path in pixel_files(tmp_path / "cache")}
    assert 2 <= finished < 6
    images = opened(data)
    assert len(decoded) == 12 - 2 * finished and images.digest == DIGESTS["folder"]
    assert all(path.stat().st_mtime_ns == changed for path, changed in list(before.items())[:finished])
    assert not list(tmp_path.rglob("*.part"))


def test_two_processes_build_at_once(data: Path, tmp_path: Path) -> None:
    processes = [builder(data, tmp_path / "cache", 0.02) for _ in range(2)]
    told = [process.communicate()[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(int(count) for count, _ in told) == [0, 12] and told[0][1] == told[1][1] == DIGESTS["folder"]


def test_only_what_changed_is_read(data: Path, opened: Open, decoded: list[str], tmp_path: Path) -> None:
    first = opened(data)
    assert len(decoded) == 12 and len(pixel_files(tmp_path / "cache")) == 3
    decoded.clear()
    write_image(data / "scene0" / "new.png", picture(50))
    added = opened(data)
    assert decoded == ["new.png"] and len(added.train.store) == 13
    decoded.clear()
    write_image(data / "scene1" / "01.png", picture(51))
    os.utime(data / "scene2" / "02.png", (1, 1))
    changed = opened(data)
    assert sorted(decoded) == ["01.png", "02.png"]
    decoded.clear()
    (data / "scene0" / "00.png").unlink()
    (data / "scene0" / "new.png").unlink()
    removed = opened(data)
    assert not decoded and "scene0/00.png" not in removed.train.store.names
    store = removed.train.store
    expected = {f"scene{i % 4}/{i:02d}.png": picture(51 if i == 1 else i) for i in range(1, 12)}
    assert store.names == tuple(sorted(expected))
    assert all(np.array_equal(store.image(row), expected[name]) for row, name in enumerate(store.names))
    assert len({first.digest, added.digest, changed.digest, removed.digest}) == 4


def test_other_options_read_anew_and_the_same_ones_do_not(data: Path, opened: Open, decoded: list[str]) -> None:
    opened(data)
    decoded.clear()
    opened(data, val=2, patch=8, split_seed=3)
    assert not decoded
    opened(data, folders=("scene0", "scene1"))
    assert not decoded
    opened(data, channels="gray")
    opened(data, downscale=2, patch=8)
    assert len(decoded) == 24


def test_the_folder_of_another_study_with_equal_stamps(data: Path, opened: Open, decoded: list[str]) -> None:
    """Shards are shared below one place only: elsewhere a file of the same name, size and time may be another."""
    other = data.parent / "other"
    for path in sorted(data.rglob("*.png")):
        write_image(other / path.relative_to(data), picture(int(path.stem), 40, 36, 3))
        os.utime(path, (5, 5))
        os.utime(other / path.relative_to(data), (5, 5))
    write_image(other / "one more.png", picture(99))
    opened(data)
    decoded.clear()
    opened(other)
    assert len(decoded) == 13


class TestDamage:
    def flip(self, path: Path, at: int) -> None:
        path.chmod(0o644)
        with path.open("r+b") as file:
            file.seek(at)
            value = file.read(1)[0]
            file.seek(at)
            file.write(bytes([value ^ 1]))

    def test_a_flipped_byte_never_reaches_training(self, data: Path, opened: Open, decoded: list[str]) -> None:
        before = opened(data)
        store, row = before.train.store, int(before.train.rows[4])
        path = store.folder / f"{store.manifest['shards'][int(store.shards[row])]['name']}.bin"
        self.flip(path, int(store.starts[row]) + 17)
        images = opened(data)  # as large as ever: nothing is seen yet
        pixels = pickle.loads(pickle.dumps(images.training(10, 0)))
        everything = [images.train, images.val, *images.tests.values(), pixels]
        message = rf"image '.*' in {path}: does not match its checksum: .*; delete {path.name}: it is packed again on"
        bad = [name for p in everything[:3] for name in p.names if self.is_bad(p, name, message)]
        assert bad == [before.train.names[4]]
        with pytest.raises(UserError, match=message):
            for start in range(10):
                pixels.crops([start], 16, generator=torch.Generator().manual_seed(0))
        path.unlink()
        decoded.clear()
        again = opened(data)
        assert len(decoded) == 4 and f"{bad[0][-6:]}" in decoded and again.digest == before.digest
        assert again.train.store.path == before.train.store.path
        again.train.store.check(np.arange(12))

    def is_bad(self, pixels: object, name: str, message: str) -> bool:
        try:
            pixels.tensor(pixels.names.index(name))  # type: ignore[attr-defined]
        except UserError as mistake:
            import re

            assert re.match(message, str(mistake)) and f"'{name}'" in str(mistake)
            return True
        return False

    @pytest.mark.parametrize("damage", ["cut", "missing", "longer", "no thumbnails", "no index", "bad index"])
    def test_shards_are_packed_anew(
        self, data: Path, opened: Open, decoded: list[str], tmp_path: Path, damage: str
    ) -> None:
        before = opened(data)
        path = pixel_files(tmp_path / "cache")[0]
        path.chmod(0o644)
        if damage in ("cut", "longer"):
            os.truncate(path, path.stat().st_size + (1 if damage == "longer" else -1))
        elif damage == "bad index":
            self.flip(path.with_suffix(".npz"), path.with_suffix(".npz").stat().st_size // 2)
            path.unlink()
        else:
            {"missing": path, "no index": path.with_suffix(".npz")}.get(
                damage, path.with_name(f"{path.stem}.thumbs.npy")
            ).unlink()
        decoded.clear()
        again = opened(data)
        assert len(decoded) == 4 and again.digest == before.digest
        assert again.train.store.path == before.train.store.path and not list(tmp_path.rglob("*.damaged"))

    @pytest.mark.parametrize("damage", ["cut", "missing"])
    def test_shards_that_are_damaged_while_at_work(self, data: Path, opened: Open, tmp_path: Path, damage: str) -> None:
        images = opened(data)
        for path in pixel_files(tmp_path / "cache"):
            path.chmod(0o644)
            os.truncate(path, 5000) if damage == "cut" else path.unlink()
        with pytest.raises(
            UserError,
            match=r"packed images, .*bin: is (missing|cut short \(5000 of 17280 bytes\)); run the command again",
        ):
            images.train.crops([0], 16, generator=None)

    def test_images_are_checked_once(self, data: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        from reconscale.data import store

        hashed: list[int] = []
        plain = store.pixel_hash
        monkeypatch.setattr(store, "pixel_hash", lambda image: hashed.append(1) or plain(image))  # type: ignore[func-returns-value]
        pixels = opened(data).train
        for _ in range(3):
            pixels.crops([0, 1, 2, 1, 0], 16, generator=None)
            pixels.image(2), pixels.tensor(1)
        assert len(hashed) == 3


def test_more_shards_than_files_may_be_open(data: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconscale.data.packing.MOST_IMAGES", 1)
    monkeypatch.setattr("reconscale.data.store._most_opened", lambda: 2)
    store = opened(data).train.store
    for row in [*range(12), *range(12)]:
        name = store.names[row]
        assert np.array_equal(store.image(row), picture(int(name[-6:-4]))) and len(store._opened) <= 2


def test_shards_are_bounded_in_bytes(data: Path, opened: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_image(data / "scene0" / "large.png", picture(70, 100, 100))
    monkeypatch.setattr("reconscale.data.packing.MOST_BYTES", 9000)
    store = opened(data).train.store
    sizes = sorted(path.stat().st_size for path in pixel_files(tmp_path / "cache"))
    assert sizes == [4320] * 2 + [8640] * 5 + [30000]
    assert all(store.image(row).size for row in range(13))


def test_the_files_of_an_image_set_are_all_it_needs(data: Path, opened: Open, tmp_path: Path) -> None:
    images = opened(data, folders=("scene0", "scene1", "scene2"), test_sets={"more": "scene3"})
    files = images.files()
    assert all(path.is_absolute() and path.is_file() for path in files) and len(set(files)) == len(files)
    for path in files:
        target = tmp_path / "node" / path.relative_to(tmp_path / "cache")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    for pixels in images.sets.values():
        copy = Store(tmp_path / "node" / pixels.store.path.relative_to(tmp_path / "cache"))
        assert copy.is_whole() and copy.names == pixels.store.names
        copy.check(np.arange(len(copy)))


EDITS = st.lists(st.dictionaries(st.text("ab/-", min_size=1, max_size=3), st.integers(0, 3), min_size=1), min_size=1)


@settings(derandomize=True, deadline=None, max_examples=12)
@given(states=EDITS)
def test_rows_are_in_the_order_of_names_whatever_came_before(states: list[dict[str, int]]) -> None:
    """A place goes through states: name -> stamp. Each is opened, each image is read once as long as it is known."""
    read: list[tuple[str, int]] = []

    def value(name: str, stamp: int) -> np.ndarray:
        seed = int.from_bytes(hashlib.sha256(f"{name} {stamp}".encode()).digest()[:4], "big")
        return np.random.default_rng(seed).integers(256, size=(2 + seed % 3, 3, 1), dtype=np.uint8)

    with tempfile.TemporaryDirectory() as place:
        for state in states:
            names = tuple(sorted(state))

            def load(index: int, names: tuple[str, ...] = names, state: dict[str, int] = state) -> np.ndarray:
                read.append((names[index], state[names[index]]))
                return value(*read[-1])

            listing = Listing(
                place="here",
                identity="states",
                names=names,
                unit="file",
                header=lambda index, names=names, state=state: Header(  # type: ignore[misc]
                    *value(names[index], state[names[index]]).shape, "uint8"
                ),
                load=load,
                stamps=[str(state[name]) for name in names],
            )
            store = open_store(listing, Path(place), channels="auto", downscale=1, unreadable="refuse")
            assert store.names == names and len(set(read)) == len(read)
            for row, name in enumerate(names):
                assert np.array_equal(store.image(row), value(name, state[name]))


class TestUnchanged:
    """Digests, splits, subsets and crops that the first layout (one file of pixels) gave."""

    def found(self, images: ImageSet) -> tuple[str, ...]:
        def short(names: tuple[str, ...]) -> str:
            return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]

        generators = [torch.Generator().manual_seed(seed) for seed in (5, 6)]
        crops = images.train.crops([0, 1, 2, 1] * 3, 16, generator=generators[0], turns=generators[1])
        return (
            images.digest,
            *(short(pixels.names) for pixels in images.sets.values()),
            short(images.training(images.available, 3).names),
            hashlib.sha256(crops.numpy().tobytes()).hexdigest()[:16],
        )

    @pytest.mark.parametrize("name", ["bundled", "bundled gray", "deadleaves", "folder", "folder units", "test set"])
    def test_image_sets(self, name: str, data: Path, opened: Open) -> None:
        options = {
            "bundled": {"source": "bundled"},
            "bundled gray": {
                "source": "bundled", "channels": "gray", "counts": "images", "val": 2, "test": 3, "split_seed": 4,
            },
            "deadleaves": {"source": "deadleaves", "size": 32, "total": 40},
            "folder": {},
            "folder units": {"unit": "folder", "downscale": 2},
            "test set": {"folders": ("scene0", "scene1"), "test_sets": {"more": "scene2"}},
        }[name]  # fmt: skip
        assert self.found(opened(data, **options)) == GOLDEN[name]

    def test_arrays(self, tmp_path: Path, opened: Open) -> None:
        (tmp_path / "data").mkdir()
        np.save(tmp_path / "data" / "a.npy", np.stack([picture(100 + i, 20, 24, 1, "uint16") for i in range(9)]))
        assert self.found(opened(tmp_path / "data", source="array", folders=("a.npy",))) == GOLDEN["array"]


def golden() -> Iterator[tuple[str, tuple[str, ...]]]:
    for entry in RECORDED.strip().split(";"):
        name, values = entry.split(":")
        yield name.strip(), tuple(values.split())


RECORDED = """
bundled:
6e26ab760a826dd211b6cc02441b981ec2ed4e79bad924c5244e4fd05130ee1d
16c75f954f924189 64251c5ef7126c43 364172d0435c1df1 5634d815d06efe42 bd39f15e2d44fbf4;
bundled gray:
56043f156e89d6f2d90b5476c06c76d714d4fd79d3dde2a86758cfdcd60c35fa
1ed3cc16bffa4d1b 17ed2c4f2331b8ad c523aec6faafc538 8d4aacc71ef08279 b82a70154bb47ba1;
deadleaves:
36aa796b726d84143904ae8437c2d389c2e88b90a6886b1d742d7b01c2cd5431
88c42d8e932efd0a 2f783750815034be af1353dc357685f0 7fb670a716df6481 50ad007f3532daa2;
folder:
809e70c14e6ed494c6cf2b4bf6312ca96f95d246c1f8e11cbfa4a73539a97835
f29a09d9af161650 c1e92a6004642f10 4e0b2be5398db350 92dabee497143ef4 dc385ce06f56feec;
folder units:
da945c30ee2b3f682344a8f675901bef05e669d5130460d0c5a5721e39e8da7c
3ba4a73da18ef99c 18d08fc245ac787b 703ebf5e753f28f2 3ba4a73da18ef99c a5af7d7660e79a12;
array:
0de4b90534a3b7d49863ea12bb58108c0962f53603e84b75a88a3246e6b6f541
7707bf19aa9d97ee eedb4a6336499e6c 942fb2bc1c5ee49f 1c57ba7efebdcbed ae5a740dc8f3fd94;
test set:
55f9fce8de07008cc048430364ee4ad4ad4df55da173ef5db00a8558c84fcbdd
0800f84c72c62445 043ee3c492045b40 eca74f0c34f06522 b4ce70de648b2d03 657420d8968c8bd9 5eee8f581f69409f
"""
GOLDEN = dict(golden())
DIGESTS = {name: values[0] for name, values in GOLDEN.items()}

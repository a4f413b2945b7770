"""Image sets: splits, nested subsets, rules for bad images, duplicates, the store."""

from __future__ import annotations

import io
import json
import os
import pickle
import resource
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from reconscale.data import ImageSet, open_images, write_image
from reconscale.data.build_store import open_store
from reconscale.data.listing import Listing
from reconscale.data.sources import lister_of
from reconscale.errors import UserError
from reconscale.study import SOURCES, Images, Source

from .conftest import picture

Open = Callable[..., ImageSet]


def everything(images: ImageSet) -> dict[str, set[str]]:
    return {name: set(p.names) for name, p in {"train": images.train, "val": images.val, **images.tests}.items()}


class TestSplits:
    @settings(
        derandomize=True, deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(
        val=st.integers(1, 5),
        test=st.integers(1, 5),
        split_seed=st.integers(0, 50),
        counts=st.sampled_from(["units", "images"]),
    )
    def test_sets_are_disjoint_and_complete(
        self, opened: Open, val: int, test: int, split_seed: int, counts: str
    ) -> None:
        options = {"source": "bundled", "channels": "gray", "counts": counts}
        images = opened(None, **options, val=val, test=test, split_seed=split_seed)
        units = [set(p.units) for p in (images.train, images.val, images.tests["test"])]
        assert [len(u) for u in units[1:]] == [val, test]
        assert not (units[0] & units[1] or units[0] & units[2] or units[1] & units[2])
        assert len(set.union(*units)) == 15 and images.units == len(units[0]) == 15 - val - test
        assert images.available == (images.units if counts == "units" else len(images.train))

    def test_mixed_images_come_from_many_photographs(self, opened: Open) -> None:
        options = {"source": "bundled", "channels": "gray", "val": 2, "test": 3, "counts": "images", "tile": 128}
        grouped, mixed = (opened(None, **options, order=order) for order in ("grouped", "mixed"))
        photographs = lambda images: {name.split("/")[0] for name in images.training(20, 1).names}  # noqa: E731
        assert len(photographs(grouped)) < 5 <= len(photographs(mixed))
        assert mixed.training(20, 1).names == mixed.training(60, 1).names[:20] != mixed.training(20, 2).names
        held_out = {name.split("/")[0] for pixels in (mixed.val, mixed.tests["test"]) for name in pixels.names}
        assert not held_out & photographs(mixed)

    @settings(
        derandomize=True, deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(seed=st.integers(0, 10**6), counts=st.sampled_from(["units", "images"]), data=st.data())
    def test_subsets_are_nested(self, opened: Open, seed: int, counts: str, data: st.DataObject) -> None:
        images = opened(None, source="bundled", channels="gray", val=2, test=3, counts=counts)
        n, more = sorted(data.draw(st.tuples(*[st.integers(1, images.available)] * 2)))
        small, large = images.training(n, seed), images.training(more, seed)
        assert large.names[: len(small)] == small.names and set(large.names) <= set(images.train.names)
        assert len(set(large.names)) == len(large)
        assert (len(set(small.units)) if counts == "units" else len(small)) == n
        assert images.training(n, seed).names == small.names

    def test_seeds_differ_and_orders_never_change(self, opened: Open) -> None:
        images = opened(None, source="deadleaves", size=32, total=12, val=2, test=2)
        orders = [[n[-2:] for n in images.training(8, seed).names] for seed in range(3)]
        assert orders[0] != orders[1] != orders[2] and sorted(orders[0]) == sorted(orders[1])
        assert orders == GOLDEN_ORDERS
        assert [n[-2:] for n in (*images.val.names, *images.tests["test"].names)] == GOLDEN_HELD_OUT

    @pytest.mark.parametrize("n", [0, 11])
    def test_n_that_the_images_do_not_allow(self, data: Path, opened: Open, n: int) -> None:
        with pytest.raises(UserError, match=rf"sweep.n: found {n}; the images allow 1 to 10 units for training"):
            opened(data).training(n, 0)

    def test_nothing_left_to_train_on(self, data: Path, opened: Open) -> None:
        with pytest.raises(
            UserError, match=r"images.val and images.test: hold out 6 \+ 6 of 12 units; nothing is left"
        ):
            opened(data, val=6, test=6)
        with pytest.raises(UserError, match=r"hold out 2 \+ 2 of 4 units; .* \(a unit is a folder"):
            opened(data, val=2, test=2, unit="folder")

    def test_units_may_be_folders(self, data: Path, opened: Open) -> None:
        images = opened(data, unit="folder")
        assert images.units == 2 and len(images.train) == 6
        assert len(images.training(1, 0)) == 3 and len(set(images.training(1, 0).units)) == 1

    def test_a_study_without_held_out_test_units(self, data: Path, opened: Open) -> None:
        images = opened(data, test=0, test_sets={"three": "scene3"})
        assert list(images.tests) == ["three"] and images.units == 8

    def test_description_is_json_and_digest_is_of_the_content(self, data: Path, opened: Open, tmp_path: Path) -> None:
        images = opened(data, test_sets={"three": "scene3"})
        described = json.loads(json.dumps(images.describe(), allow_nan=False))
        assert described["sets"]["train"]["images"] == 7 and described["digest"] == images.digest
        elsewhere = open_images(images.images, data=data, cache=tmp_path / "other")
        assert elsewhere.digest == images.digest and len(images.digest) == 64
        write_image(data / "scene0" / "00.png", picture(99))
        assert opened(data, test_sets={"three": "scene3"}).digest != images.digest

    def test_workers_get_it_cheaply(self, opened: Open) -> None:
        images = opened(None, source="deadleaves", size=32, total=40)
        images.train.image(0), images.digest, images.train.names
        packed = pickle.dumps(images)
        assert len(packed) < 3000
        back = pickle.loads(packed)
        assert back.digest == images.digest and back.training(5, 1).names == images.training(5, 1).names
        assert np.array_equal(back.val.image(0), images.val.image(0))
        pixels = pickle.loads(pickle.dumps(images.training(3, 0)))
        assert np.array_equal(pixels.image(2), images.training(3, 0).image(2))


GOLDEN_ORDERS = [
    ["01", "04", "09", "02", "00", "10", "07", "05"],
    ["07", "04", "02", "10", "00", "01", "05", "09"],
    ["10", "01", "02", "07", "04", "05", "00", "09"],
]
GOLDEN_HELD_OUT = ["03", "08", "06", "11"]


class TestConversions:
    def test_mixed_channels(self, data: Path, opened: Open) -> None:
        write_image(data / "scene0" / "gray.png", picture(50, channels=1))
        with pytest.raises(
            UserError, match=r"mixes 1 grey and 12 RGB images \('scene0/gray.png' is grey, 'scene0/00.png'"
        ):
            opened(data)
        assert opened(data, channels="rgb").channels == 3
        gray = opened(data, channels="gray", val=6)
        for pixels in (gray.train, gray.val):
            for index, name in enumerate(pixels.names):
                expected = Image.open(data / name).convert("L")
                assert np.array_equal(pixels.image(index)[..., 0], np.asarray(expected))

    def test_mixed_depths_are_widened_exactly(self, data: Path, opened: Open) -> None:
        deep = picture(50, dtype="uint16")
        write_image(data / "scene0" / "deep.png", deep)
        images = opened(data, val=6)
        for pixels in (images.train, images.val):
            assert pixels.scale == 65535
            for index, name in enumerate(pixels.names):
                truth = deep if "deep" in name else picture(int(name[-6:-4])).astype(np.uint16) * 257
                assert np.array_equal(pixels.image(index), truth)
        write_image(data / "scene0" / "float.tif", picture(51, dtype="float32"))
        images = opened(data, val=6)
        for index, name in enumerate(images.train.names):
            if name[-6:-4].isdigit():
                assert np.allclose(images.train.image(index), picture(int(name[-6:-4])) / 255, atol=1e-7)
        assert images.train.scale == 1 and images.train.image(0).dtype == np.float32

    def test_downscaling_averages_areas(self, data: Path, opened: Open) -> None:
        images = opened(data, downscale=3, patch=8)
        index = images.train.names.index(name := images.train.names[0])
        full = picture(int(name[-6:-4]))[:39].astype(float)
        assert np.array_equal(images.train.image(index), np.rint(full.reshape(13, 3, 12, 3, 3).mean((1, 3))))

    def test_a_test_set_with_other_channels(self, data: Path, opened: Open) -> None:
        write_image(data / "gray" / "a.png", picture(50, channels=1))
        with pytest.raises(
            UserError, match=r"images.test_sets.mine: is grey, the training images are RGB; set images.chan"
        ):
            opened(data, test_sets={"mine": "gray"})


class TestRules:
    def test_unreadable(self, data: Path, opened: Open) -> None:
        (data / "scene1" / "bad.png").write_text("text")
        buffer = io.BytesIO()
        Image.fromarray(picture(60)).save(buffer, "JPEG")
        (data / "scene1" / "cut.jpg").write_bytes(buffer.getvalue()[:-200])
        with pytest.raises(UserError, match=r'bad.png: is not a PNG.*, or set images.unreadable = "skip"$'):
            opened(data)
        for _ in range(2):
            images = opened(data, unreadable="skip")
            assert [name for name, _ in images.skipped] == ["scene1/bad.png", "scene1/cut.jpg"]
            assert "truncated" in images.skipped[1][1] and images.units == 10
        with pytest.raises(UserError, match=r'bad.png: is not a PNG.*, or set images.unreadable = "skip"$'):
            opened(data)

    def test_nothing_readable(self, tmp_path: Path, opened: Open) -> None:
        for index in range(3):
            (tmp_path / "data").mkdir(exist_ok=True)
            (tmp_path / "data" / f"{index}.png").write_text("text")
        with pytest.raises(UserError, match=r"none of the 3 images can be read; check images.folders and --data"):
            opened(tmp_path / "data", unreadable="skip")
        for index in range(3):
            Image.fromarray(np.zeros((9, 9, 4), np.uint8)).save(tmp_path / "data" / f"{index}.png")
        with pytest.raises(UserError, match=r"none of the 3 images can be read"):
            opened(tmp_path / "data", unreadable="skip")

    def test_small(self, data: Path, opened: Open) -> None:
        write_image(data / "scene1" / "dot.png", picture(60, 1, 1))
        with pytest.raises(
            UserError, match=r"dot.png: is 1 x 1 pixels, and patches need 16 x 16; lower images.patch, or set"
        ):
            opened(data)
        for downscale in (1, 2):
            images = opened(data, small="skip", downscale=downscale)
            assert [name for name, _ in images.skipped] == ["scene1/dot.png"] and images.units == 10
        with pytest.raises(UserError, match=r"none of the 13 images has 64 pixels a side; lower images.patch"):
            opened(data, small="skip", patch=64)
        with pytest.raises(UserError, match=r"is 18 x 20 pixels after images.downscale = 2, and patches need 19 x 19"):
            opened(data, patch=19, downscale=2)

    def test_small_images_of_a_test_set(self, data: Path, opened: Open) -> None:
        write_image(data / "mine" / "a.png", picture(60, 10, 12))
        assert len(opened(data, test_sets={"mine": "mine"}).tests["mine"]) == 1
        write_image(data / "mine" / "b.png", picture(61, 6, 12))
        with pytest.raises(UserError, match=r"b.png: is 12 x 6 pixels, and measurements need 8 x 8; remove it, or set"):
            opened(data, test_sets={"mine": "mine"})

    @pytest.mark.parametrize("change", ["none", "mirror", "jpeg", "half", "darker"])
    def test_duplicates(self, tmp_path: Path, opened: Open, change: str) -> None:
        data = tmp_path / "data"
        smooth = [Image.fromarray(picture(i, 8, 8)).resize((64, 64), Image.Resampling.BICUBIC) for i in range(12)]
        for index, image in enumerate(smooth):
            (data / "own").mkdir(parents=True, exist_ok=True)
            image.save(data / "own" / f"{index:02d}.png")
        before = opened(data, folders=("own",))
        twin = smooth[int(before.train.names[3][-6:-4])]
        (data / "held").mkdir()
        if change == "mirror":
            twin = twin.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        elif change == "half":
            twin = twin.resize((32, 32), Image.Resampling.BICUBIC)
        elif change == "darker":
            twin = twin.point(lambda value: value * 0.7 + 10)
        twin.save(data / "held" / ("a.jpg" if change == "jpeg" else "a.png"), quality=30)
        same = "the same" if change == "none" else "nearly the same"
        with pytest.raises(
            UserError, match=rf"training image 'own/.*': is {same} as 'held/a.*' of mine; remove one of"
        ):
            opened(data, folders=("own",), test_sets={"mine": "held"})
        images = opened(data, folders=("own",), test_sets={"mine": "held"}, duplicates="skip")
        assert set(before.train.names) - set(images.train.names) == {before.train.names[3]}
        assert images.duplicates == 1 and images.skipped[0][0] == before.train.names[3]
        assert images.available == 9 and len(images.training(9, 0)) == 9

    def test_duplicates_of_validation_images(self, data: Path, opened: Open) -> None:
        before = opened(data)
        (data / "held").mkdir()
        (data / "held" / "a.png").write_bytes((data / before.val.names[0]).read_bytes())
        with pytest.raises(UserError, match=r"val image '.*': is the same as 'held/a.png' of mine; remove one"):
            opened(data, test_sets={"mine": "held"})
        with pytest.raises(UserError, match=r"val images: every unit has a duplicate in mine; add images"):
            opened(data, test_sets={"mine": "held"}, duplicates="skip")
        images = opened(data, test_sets={"mine": "held"}, duplicates="skip", val=3)
        assert len(images.val) == 2

    def test_flat_images_are_not_duplicates(self, data: Path, opened: Open) -> None:
        for index in range(10):
            write_image(data / "scene0" / f"black{index}.png", np.zeros((20, 20, 3), np.uint8))
        images = opened(data, val=5, test=5)
        assert images.describe()["repeated training images"] >= 1


def remains(root: Path) -> list[Path]:
    """Stores, parts of them, and files of shards; locks aside."""
    shards = [path for path in root.glob("shards/*/*") if path.name != ".lock"]
    return sorted(path for path in root.iterdir() if path.name != "shards") + sorted(shards)


class TestStore:
    def store(self, images: ImageSet) -> Path:
        return images.train.store.path

    def test_built_once_and_found_again(self, data: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        first = opened(data)
        monkeypatch.setattr("reconscale.data.folders.read_image", lambda *how: pytest.fail("was decoded again"))
        assert opened(data, val=2, patch=8, split_seed=3).train.store.path == self.store(first)

    def test_progress_is_told(self, data: Path, tmp_path: Path) -> None:
        told: list[tuple[str, int, int]] = []
        images = Images(source="folder", val=1, test=1, patch=16)
        open_images(images, data=data, cache=tmp_path / "c", progress=lambda *args: told.append(args))
        assert told[-1] == ("packing images", 12, 12) and told[0] == ("checking images", 1, 12)
        told.clear()
        open_images(images, data=data, cache=tmp_path / "c", progress=lambda *args: told.append(args))
        assert not told

    def test_changed_files_make_another_store(self, data: Path, opened: Open) -> None:
        first = opened(data)
        os.utime(data / "scene0" / "00.png", (1, 1))
        second = opened(data)
        assert self.store(first) != self.store(second) and first.digest == second.digest

    @pytest.mark.parametrize("damage", ["cut", "no manifest", "not json", "a list", "missing file", "other format"])
    def test_damaged_stores_are_rebuilt(self, data: Path, opened: Open, damage: str) -> None:
        first = opened(data)
        path, digest = self.store(first), first.digest
        manifest = json.loads((path / "manifest.json").read_text())
        if damage == "cut":
            (path / "hashes.npy").chmod(0o644)
            os.truncate(path / "hashes.npy", 100)
        elif damage == "missing file":
            (path / "names.txt").unlink()
        elif damage == "no manifest":
            (path / "manifest.json").unlink()
        else:
            content = {"not json": "{", "a list": "[]", "other format": json.dumps(manifest | {"format": 0})}[damage]
            (path / "manifest.json").write_text(content)
        again = opened(data)
        assert again.digest == digest and again.train.store.is_whole() and self.store(again) == path

    def test_a_cache_that_cannot_be_written(self, data: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(
            UserError, match=r"the cache cannot be written \(.*\); choose another one with RECONSCALE_CACHE"
        ):
            open_images(Images(source="folder", val=1, test=1, patch=16), data=data, cache=tmp_path / "file")

    def test_the_disk_fills_up(self, data: Path, opened: Open, tmp_path: Path) -> None:
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, limit[1]))
        try:
            with pytest.raises(UserError, match=r"the disk is full; free some space, or choose another cache"):
                opened(data)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        assert remains(tmp_path / "cache" / "images") == []
        assert opened(data).units == 10

    def test_too_little_space(self, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        usage = type("Usage", (), {"free": 10_000})
        monkeypatch.setattr("reconscale.data.build_store.shutil.disk_usage", lambda path: usage)
        with pytest.raises(UserError, match=r"the packed images need 0.00 GB and 0.00 GB are free; free some space"):
            opened(None, source="deadleaves", size=32, total=20)

    def test_an_interrupted_build_leaves_nothing(self, data: Path, tmp_path: Path) -> None:
        class Stop(Exception):
            pass

        def stop(label: str, done: int, total: int) -> None:
            if label == "packing images" and done == 5:
                raise Stop

        images = Images(source="folder", val=1, test=1, patch=16)
        with pytest.raises(Stop):
            open_images(images, data=data, cache=tmp_path / "c", progress=stop)
        assert remains(tmp_path / "c" / "images") == []

    def test_leftovers_of_a_killed_builder_are_removed(self, data: Path, opened: Open) -> None:
        path = self.store(opened(data))
        shard = next((path.parent / "shards").glob("*/*.bin"))
        left = path.with_name(f"{path.name.partition('-')[0]}.{shard.parent.name}.abc.part")
        left.mkdir()
        (shard.parent / "abc.part").write_text("half")
        (path / "manifest.json").unlink()
        opened(data)
        assert remains(path.parent) == [path, *sorted(shard.parent.iterdir())[1:]]

    def test_two_builders_of_the_same_store(self, opened: Open, tmp_path: Path) -> None:
        with ThreadPoolExecutor(3) as pool:
            asked = [pool.submit(opened, None, source="deadleaves", size=32, total=60) for _ in range(3)]
        assert len({future.result().digest for future in asked}) == 1
        assert len(list((tmp_path / "cache" / "images").glob("*-*"))) == 1
        assert len(list((tmp_path / "cache" / "images" / "shards").glob("*/*.bin"))) == 1


@pytest.fixture
def gradient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A further source, as a user would add it: one function and one entry."""
    from reconscale.data.image_files import Header

    def listing(images: Images, data: Path | None) -> Listing:
        return Listing(
            place="gradients",
            identity="gradients",
            names=tuple(f"g{i}" for i in range(4)),
            unit="file",
            header=lambda index: Header(16, 16, 1, "float32"),
            load=lambda index: np.full((16, 16, 1), index / 4, np.float32),
        )

    monkeypatch.setitem(SOURCES, "gradients", Source(listing))
    yield


def test_a_new_source_is_one_entry(gradient: None, tmp_path: Path) -> None:
    images = Images(source="gradients", val=1, test=1)
    store = open_store(lister_of(images)(images, None), tmp_path, channels="auto", downscale=1, unreadable="refuse")
    assert len(store) == 4 and store.dtype == "float32" and float(store.image(1)[0, 0, 0]) == 0.25

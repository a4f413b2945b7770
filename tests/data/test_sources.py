"""Sources: what each offers, and what is refused before anything is read."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reconscale.data import ImageSet, lister_of, write_image
from reconscale.data import array_files as reading
from reconscale.data.listing import Listing, unit_of
from reconscale.data.sources import PHOTOGRAPHS, draw_leaves, list_bundled
from reconscale.errors import UserError
from reconscale.study import SOURCES, Images
from tests import camera
from tests.zarr_images import write_zarr

from .conftest import picture

Open = Callable[..., ImageSet]


@pytest.fixture
def listing(request: pytest.FixtureRequest, tmp_path: Path) -> Listing:
    options = {
        "bundled": {"channels": "gray"},
        "folder": {"folders": ("photos",)},
        "deadleaves": {"size": 32, "total": 20},
        "array": {"folders": ("arrays",)},
        "ome-zarr": {"folders": ("zarrs",)},
        "pairs": {"inputs": "noisy", "truths": "clean"},
    }.get(request.param, {})
    for index in range(5):
        write_image(tmp_path / "photos" / f"{index}.png", picture(index))
    camera.write_pairs(tmp_path, scenes=5)
    (tmp_path / "arrays").mkdir()
    np.save(tmp_path / "arrays" / "a.npy", np.stack([picture(i) for i in range(4)]))
    if request.param == "ome-zarr":
        pytest.importorskip("zarr")
        for index in range(5):
            write_zarr(
                tmp_path / "zarrs" / f"{index}.zarr",
                np.stack([picture(9 * index + z)[..., 0] for z in range(2)]),
                "zyx",
            )
    np.savez(tmp_path / "arrays" / "b.npz", x=np.stack([picture(i) for i in range(5, 8)]))
    images = Images(source=request.param, val=1, test=1, **options)
    return lister_of(images)(images, tmp_path)


@pytest.mark.parametrize("listing", [name for name, source in SOURCES.items() if not source.volumes], indirect=True)
class TestContract:
    def test_names_are_sorted_and_unique(self, listing: Listing) -> None:
        assert list(listing.names) == sorted(set(listing.names)) and len(listing.names) >= 5

    def test_headers_tell_the_truth(self, listing: Listing) -> None:
        for index in range(len(listing.names)):
            header, image = listing.header(index), listing.load(index)
            assert image.shape == (header.height, header.width, header.channels)
            assert image.dtype.name == header.dtype
            assert image.dtype.kind == "u" or (image.min() >= 0 and image.max() <= 1)

    def test_images_are_repeatable(self, listing: Listing) -> None:
        assert all(np.array_equal(listing.load(i), listing.load(i)) for i in (0, len(listing.names) - 1))

    def test_there_are_enough_units(self, listing: Listing) -> None:
        assert len({unit_of(name, listing.unit) for name in listing.names}) >= 3


def test_unknown_source() -> None:
    images = Images(source="folder", val=1, test=1).model_copy(update={"source": "foldr"})
    with pytest.raises(UserError, match=r"images.source: found 'foldr'; did you mean 'folder'"):
        lister_of(images)


class TestBundled:
    def test_nothing_is_downloaded(self, monkeypatch: pytest.MonkeyPatch, opened: Open) -> None:
        def refused(*args: object, **kwargs: object) -> None:
            raise AssertionError("the network was touched")

        monkeypatch.setattr(socket.socket, "connect", refused)
        assert opened(None, source="bundled", val=1, test=2).channels == 3

    def test_colour_and_grey(self, opened: Open) -> None:
        colour = opened(None, source="bundled", val=1, test=2)
        rgb = opened(None, source="bundled", channels="rgb", val=1, test=2)
        gray = opened(None, source="bundled", channels="gray", val=2, test=3)
        assert (colour.channels, colour.units) == (rgb.channels, rgb.units) == (3, 5)
        assert (gray.channels, gray.units) == (1, 10)
        assert colour.digest == rgb.digest != gray.digest

    def test_tiles_of_a_scene_are_one_unit_and_do_not_overlap(self) -> None:
        listing = list_bundled(Images(source="bundled", channels="gray", val=1, test=1), None)
        sizes: dict[str, int] = {}
        for index, name in enumerate(listing.names):
            header = listing.header(index)
            assert min(header.height, header.width) >= 172
            scene = unit_of(name, listing.unit)
            sizes[scene] = sizes.get(scene, 0) + header.height * header.width
        assert set(sizes) == {photo.name for photo in PHOTOGRAPHS}
        assert all(photo.origin for photo in PHOTOGRAPHS) and sizes["astronaut"] == 512 * 512


class TestDeadLeaves:
    def test_an_image_is_a_function_of_seed_and_index(self) -> None:
        assert np.array_equal(draw_leaves(1, 2, 32, 3), draw_leaves(1, 2, 32, 3))
        others = [draw_leaves(0, 2, 32, 3), draw_leaves(1, 3, 32, 3), draw_leaves(1, 2, 32, 1)]
        assert not any(np.array_equal(draw_leaves(1, 2, 32, 3), other) for other in others)

    def test_looks_like_leaves(self) -> None:
        image = draw_leaves(0, 0, 128, 1)[..., 0].astype(float)
        assert 30 < image.std() < 110 and (np.diff(image) == 0).mean() > 0.4

    def test_the_split_seed_is_another_family(self, opened: Open) -> None:
        sets = [opened(None, source="deadleaves", size=32, total=6, split_seed=seed) for seed in (0, 1)]
        assert sets[0].digest != sets[1].digest


class TestFolder:
    def test_names_are_paths_below_the_data_folder(self, data: Path, opened: Open) -> None:
        images = opened(data, folders=("scene1", "scene0"))
        names = {n for p in (images.train, images.val, *images.tests.values()) for n in p.names}
        assert names == {f"scene{i % 4}/{i:02d}.png" for i in (0, 1, 4, 5, 8, 9)}

    def test_other_and_hidden_files_do_not_count(self, data: Path, opened: Open) -> None:
        before = opened(data).digest
        (data / "README.txt").write_text("hello")
        (data / "scene0" / "._00.png").write_text("resource fork")
        (data / ".thumbs").mkdir()
        (data / ".thumbs" / "a.png").write_text("thumb")
        assert opened(data).digest == before

    def test_files_of_a_test_set_are_not_trained_on(self, data: Path, opened: Open) -> None:
        images = opened(data, test_sets={"third": "scene3"})
        assert len(images.tests["third"]) == 3 and len(images.train) == 12 - 3 - 2
        assert not any("scene3" in name for name in images.train.names)

    def test_files_may_be_links(self, data: Path, opened: Open) -> None:
        (data.parent / "elsewhere").mkdir()
        (data / "scene0" / "00.png").rename(data.parent / "elsewhere" / "00.png")
        (data / "scene0" / "00.png").symlink_to(data.parent / "elsewhere" / "00.png")
        assert opened(data).units == 10

    def test_no_data_folder(self, opened: Open) -> None:
        with pytest.raises(UserError, match=r"images.folders: needs a data folder; give it with --data or set RECONSC"):
            opened(None)
        with pytest.raises(UserError, match=r"images.test_sets.mine: needs a data folder"):
            opened(None, source="bundled", test_sets={"mine": "kodak"})

    def test_data_folder_is_not_there(self, tmp_path: Path, opened: Open) -> None:
        with pytest.raises(UserError, match=r"nowhere: is not a folder"):
            opened(tmp_path / "nowhere")

    @pytest.mark.parametrize("place", ["../other", "a/../../other", "/etc", "~/pictures", "..\\other"])
    def test_places_outside_are_refused(self, data: Path, opened: Open, place: str) -> None:
        with pytest.raises(
            UserError, match=r"images.folders: found '.*', which is not below the data folder; name places"
        ):
            opened(data, folders=(place,))
        with pytest.raises(UserError, match=r"images.test_sets.mine: found"):
            opened(data, test_sets={"mine": place})

    def test_links_that_lead_out_are_refused(self, data: Path, opened: Open) -> None:
        (data.parent / "secret").mkdir()
        (data / "link").symlink_to(data.parent / "secret")
        with pytest.raises(UserError, match=r"images.folders: found 'link', a link that leads out of the data folder"):
            opened(data, folders=("link",))
        with pytest.raises(UserError, match=r"link: is a link to a folder; name the real folder"):
            opened(data)

    def test_missing_empty_and_overlapping_folders(self, data: Path, opened: Open) -> None:
        with pytest.raises(UserError, match=r"images.folders: found 'scene9', which does not exist below"):
            opened(data, folders=("scene9",))
        (data / "empty").mkdir()
        (data / "empty" / "notes.txt").write_text("none")
        with pytest.raises(
            UserError,
            match=r"empty: holds no PNG, .* or WebP image \(1 other files; not read: 1 .txt \(.*\)\); check",
        ):
            opened(data, folders=("empty",))
        for folders in (("scene0", "scene0"), (".", "scene0"), ("scene0", "./scene0")):
            with pytest.raises(
                UserError, match=r"images.folders: 'scene0/00.png' is named twice .*; list every place once"
            ):
                opened(data, folders=folders)
        with pytest.raises(UserError, match=r"00.png: is not a folder; images.folders names folders"):
            opened(data, folders=("scene0/00.png",))

    def test_names_that_cannot_be_printed(self, data: Path, opened: Open) -> None:
        (data / "scene0" / "00.png").rename(data / "scene0" / "a\nb.png")
        with pytest.raises(UserError, match=r"'scene0/a\\nb.png': has a name that cannot be printed; rename it"):
            opened(data)


class TestArray:
    def save(self, folder: Path, array: np.ndarray) -> Path:
        folder.mkdir()
        np.save(folder / "a.npy", array)
        return folder

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64", ">u2", ">f4"])
    @pytest.mark.parametrize("channels", [None, 1, 3])
    def test_values_survive(self, tmp_path: Path, opened: Open, dtype: str, channels: int | None) -> None:
        kind = "float32" if "f" in dtype else {">u2": "uint16"}.get(dtype, dtype)
        stack = np.stack([picture(i, 24, 20, channels or 1, kind) for i in range(6)])
        folder = self.save(tmp_path / "data", (stack[..., 0] if channels is None else stack).astype(dtype))
        images = opened(folder, source="array", folders=("a.npy",))
        for pixels in (images.train, images.val):
            for index, name in enumerate(pixels.names):
                assert pixels.image(index).dtype == kind
                assert np.array_equal(pixels.image(index), stack[int(name.split("/")[1])])

    def test_units_are_rows_or_stacks(self, tmp_path: Path, opened: Open) -> None:
        tmp_path.joinpath("data").mkdir()
        for volume in range(4):
            stack = np.stack([picture(10 * volume + i, 20, 20, 1) for i in range(5)])
            np.savez(tmp_path / "data" / f"v{volume}.npz", image=stack)
        assert opened(tmp_path / "data", source="array").units == 18
        volumes = opened(tmp_path / "data", source="array", unit="folder")
        assert (
            volumes.units == 2
            and len(volumes.train) == 10
            and all(u.endswith("npz/image") for u in volumes.train.units)
        )
        assert set(volumes.val.units).isdisjoint(volumes.train.units)

    def test_an_archive_that_would_fill_the_memory_is_refused(
        self, tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading, "MOST_UNPACKED", 100_000)
        (tmp_path / "data").mkdir()
        np.savez_compressed(tmp_path / "data" / "bomb.npz", image=np.zeros((50, 64, 64), np.uint8))
        assert (tmp_path / "data" / "bomb.npz").stat().st_size < 3000
        with pytest.raises(UserError, match="save its arrays as .npy files"):
            opened(tmp_path / "data", source="array")

    def test_a_test_set_may_be_an_array(self, data: Path, opened: Open) -> None:
        np.save(data / "t.npy", np.stack([picture(100 + i) for i in range(3)]))
        assert len(opened(data, test_sets={"mine": "t.npy"}).tests["mine"]) == 3

    @pytest.mark.parametrize(
        ("array", "message"),
        [
            (np.zeros((3, 4)), r"a.npy: has the shape \(3, 4\); expected \(N, H, W\)"),
            (np.zeros((3, 20, 20, 2)), r"a.npy: has the shape \(3, 20, 20, 2\); expected"),
            (np.zeros((5, 20, 20), np.int64), "a.npy: has the type int64; expected uint8, uint16, or floating point"),
            (np.zeros((5, 20, 20), bool), "a.npy: has the type bool; expected"),
            (np.array([None, 1]), r"a.npy: cannot be read \(it holds Python objects\); save numbers with numpy.save"),
            (np.full((5, 20, 20), 3.0), "holds values from 3 to 3; scale floating-point images to"),
            (np.full((5, 20, 20), np.nan), "a.npy/0000000: holds NaN or infinite values"),
            (np.zeros((0, 20, 20)), "the arrays hold no image; check images.folders"),
            (np.zeros((5, 20, 0)), "claims to have no pixels"),
        ],
    )
    def test_bad_arrays(self, tmp_path: Path, opened: Open, array: np.ndarray, message: str) -> None:
        with pytest.raises(UserError, match=message):
            opened(self.save(tmp_path / "data", array), source="array", folders=("a.npy",))

    @pytest.mark.parametrize("content", [b"", b"hello", b"\x93NUMPY", b"PK\x03\x04 no zip"])
    def test_damaged_arrays(self, tmp_path: Path, opened: Open, content: bytes) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "a.npy").write_bytes(content)
        with pytest.raises(UserError, match=r"a.npy: cannot be read .*; save numbers with numpy.save or numpy.savez"):
            opened(tmp_path / "data", source="array")

    def test_no_array(self, data: Path, opened: Open) -> None:
        for place in (".", "scene0/00.png"):
            with pytest.raises(UserError, match=r"holds no .npy, .npz or HDF5 array"):
                opened(data, source="array", folders=(place,))

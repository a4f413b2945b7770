"""Prepared volumes that a disk has damaged: never read as if nothing had happened."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reconscale.data import ImageSet, Slices, open_images
from reconscale.data.verify import verify_images
from reconscale.errors import DamagedFileError, UserError
from reconscale.study import Images
from tests import phantoms

MEASURED = Images(source="fastmri", val=1, test=1, folders=("data",))
SIMULATED = Images(source="complex", val=1, test=1, folders=("data",))


def fastmri(home: Path) -> Images:
    for index in range(5):
        phantoms.write_fastmri(home / "data" / f"file{index}.h5", phantoms.kspace(4, seed=10 * index))
    return MEASURED


def arrays(home: Path) -> Images:
    (home / "data").mkdir()
    for index in range(5):
        np.save(home / "data" / f"file{index}.npy", phantoms.images(3, seed=10 * index))
    return SIMULATED


@pytest.fixture(params=[fastmri, arrays])
def images(request: pytest.FixtureRequest, tmp_path: Path) -> Images:
    made: Callable[[Path], Images] = request.param
    return made(tmp_path)


def opened(images: Images, home: Path) -> ImageSet:
    return open_images(images, data=home, cache=home / "cache")


def train(images: ImageSet) -> Slices:
    assert isinstance(images.train, Slices)
    return images.train


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_a_bit_of_what_was_prepared(images: Images, tmp_path: Path) -> None:
    """It is seen when the slice is first read, also by another process, and named; then it is prepared again."""
    before = opened(images, tmp_path)
    file = "truth.bin" if images is MEASURED else "image.bin"
    path = train(before).volumes[int(train(before).rows[0, 0])].path / file
    flip(path, 40)
    with pytest.raises(DamagedFileError, match=f"{file}: does not match its checksum at slice 0.*delete its folder"):
        pickle.loads(pickle.dumps(train(before))).slice(0)
    found = verify_images(images, data=tmp_path, cache=tmp_path / "cache")
    assert len(found.damaged) == 1 and file in found.damaged[0] and not path.exists()
    again = opened(images, tmp_path)
    assert again.digest == before.digest
    assert np.array_equal(train(again).slice(0).truth, train(before).slice(0).truth)
    assert not verify_images(images, data=tmp_path, cache=tmp_path / "cache").damaged


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", None])
def test_damaged_facts_are_found_anew(images: Images, tmp_path: Path, content: str | None) -> None:
    """The last is a changed digit: valid JSON, and another range of values."""
    before = opened(images, tmp_path)
    expected = [train(before).peak(i) for i in range(len(train(before)))]
    for path in (tmp_path / "cache" / "volumes").glob("*/facts.json"):
        facts = json.loads(path.read_text())
        path.write_text(json.dumps(facts | {"peak": 2 * facts["peak"]}) if content is None else content)
    fresh = pickle.loads(pickle.dumps(train(before)))
    with pytest.raises(DamagedFileError, match=r"facts.json: .*delete its folder"):
        fresh.peak(0)
    again = opened(images, tmp_path)
    assert again.digest == before.digest
    assert [train(again).peak(i) for i in range(len(train(again)))] == expected


def test_a_file_that_was_cut_short_is_prepared_anew(images: Images, tmp_path: Path) -> None:
    before = opened(images, tmp_path)
    path = train(before).volumes[0].path / "truth.bin"
    path.write_bytes(path.read_bytes()[:-4])
    assert opened(images, tmp_path).digest == before.digest
    assert not verify_images(images, data=tmp_path, cache=tmp_path / "cache").damaged
    path.unlink()
    with pytest.raises(DamagedFileError, match="truth.bin: cannot be read"):
        train(before).volumes[0].truth(0)
    facts = path.with_name("facts.json")
    facts.unlink()
    facts.mkdir()
    found = verify_images(images, data=tmp_path, cache=tmp_path / "cache")
    assert len(found.damaged) == 1 and "facts.json" in found.damaged[0] and not path.parent.exists()


def test_measured_k_space_that_changes_where_it_lies(tmp_path: Path) -> None:
    """Also where neither its size nor its time says so."""
    images = fastmri(tmp_path)
    before = opened(images, tmp_path)
    volume = train(before).volumes[int(train(before).rows[0, 0])]
    assert volume.place is not None and volume.place.offset is not None
    flip(volume.place.path, volume.place.offset + 8)
    with pytest.raises(DamagedFileError, match="does not match its checksum at slice 0.*restore the file"):
        train(before).slice(0)


def test_what_was_never_prepared(images: Images, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--verify: found no prepared volumes of this study"):
        verify_images(images, data=tmp_path, cache=tmp_path / "cache")
    opened(images, tmp_path)
    whole = verify_images(images, data=tmp_path, cache=tmp_path / "cache")
    assert whole.counted == f"{20 if images is MEASURED else 15} slices in 5 volumes" and not whole.changed
    next((tmp_path / "data").iterdir()).touch()
    assert "1 volumes are new" in verify_images(images, data=tmp_path, cache=tmp_path / "cache").changed[0]

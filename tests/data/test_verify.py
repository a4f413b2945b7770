"""Packed images read again: ``reconscale data --verify``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from reconscale.data import ImageSet, write_image
from reconscale.data import kept_answers as remember
from tests.cli.calling import call, refused

from .conftest import picture

Open = Callable[..., ImageSet]

STUDY = """
name = "verified"
[problem]
kind = "denoising"
sigma = 25
[images]
source = "folder"
folders = ["."]
patch = 16
val = 1
test = 1
[network]
family = "unet"
depth = 1
[sweep]
n = [2]
width = [2]
[recipe]
steps = 2
batch = 1
"""


@pytest.fixture
def study(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[object, ...]:
    """The arguments of ``reconscale data`` for a study of 12 pictures in 3 shards, which are packed."""
    monkeypatch.setenv("RECONSCALE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("reconscale.data.packing.MOST_IMAGES", 4)
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.toml").write_text(STUDY)
    words = ("data", tmp_path / "study", "--data", data)
    assert call(*words)[0] == 0
    return words


def pixel_files(tmp_path: Path) -> list[Path]:
    return sorted(tmp_path.glob("cache/images/shards/*/*.bin"))


def damage(path: Path, at: int) -> None:
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_all_is_well(study: tuple[object, ...]) -> None:
    code, out, err = call(*study, "--verify")
    assert (code, out, err) == (0, "12 images in 3 shards checked: none damaged\n", "")
    assert json.loads(call(*study, "--verify", "--json")[1]) == {
        "shards": 3,
        "images": 12,
        "damaged": [],
        "changed": [],
    }


def test_damage_is_named_and_packed_anew(study: tuple[object, ...], tmp_path: Path) -> None:
    before = json.loads(call(*study, "--json")[1])
    first, second, third = pixel_files(tmp_path)
    damage(first, 40 * 36 * 3 + 5)
    second.unlink()
    damage(third.with_name(f"{third.stem}.thumbs.npy"), -1)
    code, out, err = call(*study, "--verify")
    assert code == 2 and out == "12 images in 3 shards checked: 3 damaged\n"
    lines = err.splitlines()
    assert lines[0] == "damaged:" and lines[4].startswith("set aside; read them again with: reconscale data ")
    reported = {Path(line.split(":")[0].strip()): line for line in lines[1:4]}
    assert set(reported) == {first, second, third}
    assert ": 1 of 4 images do not match their checksums (scene" in reported[first]
    assert reported[second].endswith(f": {second.name} missing")
    assert reported[third].endswith(": its thumbnails do not match their checksum")
    assert not pixel_files(tmp_path)
    assert json.loads(call(*study, "--json")[1]) == before
    assert call(*study, "--verify")[0] == 0 and not list(tmp_path.rglob("*.damaged"))


def test_an_index_that_was_damaged(study: tuple[object, ...], tmp_path: Path) -> None:
    store = next(tmp_path.glob("cache/images/*-*"))
    damage(store / "sizes.npy", -1)
    code, _, err = call(*study, "--verify")
    assert code == 2 and f"{store}: its index is damaged" in err
    assert call(*study)[0] == 0 and call(*study, "--verify")[0] == 0


def test_files_that_changed_since_are_named(study: tuple[object, ...], data: Path, tmp_path: Path) -> None:
    os.utime(data / "scene0" / "00.png", (1, 1))
    (data / "scene1" / "01.png").unlink()
    write_image(data / "scene2" / "new.png", picture(50))
    code, out, _ = call(*study, "--verify")
    assert code == 0 and out.splitlines() == [
        f"changed since: {data}: 1 added: scene2/new.png",
        f"changed since: {data}: 1 changed: scene0/00.png",
        f"changed since: {data}: 1 removed: scene1/01.png",
        "12 images in 3 shards checked: none damaged",
        "the next run reads the changed files",
    ]
    damage(pixel_files(tmp_path)[0], 5)
    assert call(*study, "--verify")[0] == 2  # what the next start would use again is read as well


def test_what_cannot_be_verified(study: tuple[object, ...], tmp_path: Path) -> None:
    (tmp_path / "cache").rename(tmp_path / "elsewhere")
    assert "--verify: found no packed images of this study; leave it out" in refused(*study, "--verify")


class TestRemembered:
    def test_answers_are_kept(self, data: Path, opened: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(remember, "LEAST", 1)
        first = opened(data)
        digest, described = first.digest, first.describe()
        kept = list(tmp_path.glob("cache/images/answers/*.json"))
        assert len(kept) == 8  # three comparisons of sets, the digest, the repeated ones, the values of three sets
        with monkeypatch.context() as patched:
            patched.setattr("reconscale.data.twins.find_duplicates", lambda *_: pytest.fail("compared again"))
            patched.setattr("reconscale.data.image_set._digest", lambda *_: pytest.fail("hashed again"))
            again = opened(data)
            assert again.digest == digest and again.describe() == described
        assert opened(data, val=2).digest != digest
        write_image(data / "scene0" / "00.png", picture(60))
        assert opened(data).digest not in (digest, opened(data, val=2).digest)

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"answer": "x", "sha256": "y"}'])
    def test_damaged_answers_are_found_anew(
        self, data: Path, opened: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str
    ) -> None:
        digest = opened(data).digest
        monkeypatch.setattr(remember, "LEAST", 1)
        assert opened(data).digest == digest
        for path in tmp_path.glob("cache/images/answers/*.json"):
            path.write_text(content)
        assert opened(data).digest == digest
        assert all(path.read_text() != content for path in tmp_path.glob("cache/images/answers/*.json"))

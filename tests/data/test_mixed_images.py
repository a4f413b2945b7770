"""Images of several sources: nested source by source, apart from what any source holds out, and of one kind."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reconscale.data import ImageSet, list_split, open_images, write_image
from reconscale.data.mixed_subset import MixedSubset
from reconscale.data.verify import verify_images
from reconscale.errors import UserError
from reconscale.study import Images, parse_study

from .conftest import picture

Open = Callable[..., ImageSet]


@pytest.fixture
def mixed(tmp_path: Path, data: Path) -> Open:
    """Open the 12 pictures of ``data`` and 9 of another folder, as two sources."""
    for index in range(9):
        write_image(data / "others" / f"o{index}.png", picture(100 + index, 30, 50))

    def make(others: dict[str, Any] | None = None, first: dict[str, Any] | None = None, **options: Any) -> ImageSet:
        scenes = tuple(f"scene{k}" for k in range(4))
        sources = {
            "mine": {"source": "folder", "folders": scenes} | (first or {}),
            "others": {"source": "folder", "folders": ("others",)} | (others or {}),
        }
        given = {"sources": sources, "val": 1, "test": 2, "patch": 16} | options
        return open_images(Images(**given), data=data, cache=tmp_path / "cache")

    return make


def names(found: Any, source: str) -> list[str]:
    assert isinstance(found, MixedSubset)
    return list(found.parts[source].names)


def test_the_first_of_a_source_do_not_depend_on_the_others(mixed: Open) -> None:
    images = mixed()
    for seed in (0, 1):
        alone = names(images.training(4, seed, {"mine": 4}), "mine")
        assert len(alone) == 4
        assert names(images.training(7, seed, {"mine": 4, "others": 3}), "mine") == alone
        assert names(images.training(6, seed, {"mine": 6}), "mine")[:4] == alone
        some = names(images.training(9, seed, {"mine": 4, "others": 5}), "others")
        assert names(images.training(3, seed, {"others": 3}), "others") == some[:3]
    assert names(images.training(4, 0, {"mine": 4}), "mine") != names(images.training(4, 1, {"mine": 4}), "mine")


def test_a_source_is_divided_as_if_it_were_alone(mixed: Open, opened: Open, data: Path) -> None:
    images = mixed()
    alone = opened(data, folders=tuple(f"scene{k}" for k in range(4)), val=1, test=2)
    assert images.val.names == alone.val.names and images.tests["test"].names == alone.tests["test"].names
    assert names(images.training(5, 3, {"mine": 5}), "mine") == list(alone.training(5, 3).names)
    assert images.available_of == {"mine": 9, "others": 7} and len(images.tests["others"]) == 2
    held = {*images.val.names, *images.tests["test"].names, *images.tests["others"].names}
    assert not held & {name.partition("/")[2] for name in images.train.names}


def test_own_test_sets_are_as_large_as_said(mixed: Open) -> None:
    assert set(mixed({"test": 0}).tests) == {"test"}
    assert len(mixed({"test": 4}).tests["others"]) == 4
    assert mixed(target="others").tests["test"].names[0].startswith("others/")


def test_crops_are_those_of_the_sources(mixed: Open) -> None:
    images = mixed().training(8, 0, {"mine": 5, "others": 3})
    assert isinstance(images, MixedSubset) and len(images) == 8 and images.channels == 3
    again = pickle.loads(pickle.dumps(images))
    for subset in (images, again):
        crops = subset.crops([7, 0, 4, 7], 16, generator=None)
        for crop, (source, place) in zip(crops, (("others", 2), ("mine", 0), ("mine", 4), ("others", 2)), strict=True):
            assert torch.equal(crop, images.parts[source].crops([place], 16, generator=None)[0])
    alone = images.first({"mine": 5}, lambda part, count: part.pick(np.arange(count)))
    seeded = []
    for subset in (alone, images.parts["mine"]):
        place, turn = (torch.Generator().manual_seed(seed) for seed in (1, 2))
        seeded.append(subset.crops([0, 3], 16, generator=place, turns=turn))
    assert torch.equal(*seeded)
    assert np.array_equal(images.image(6), images.parts["others"].image(1)) and images.units[6].startswith("others/")
    assert list(images.pick(np.array([6, 1])).names) == [images.names[1], images.names[6]]
    with pytest.raises(TypeError, match="several stores"):
        _ = images.store


def test_other_depths_are_mixed_where_both_fill_their_range(mixed: Open, data: Path) -> None:
    for index in range(6):
        write_image(data / "deep" / f"{index}.png", picture(200 + index, dtype="uint16"))
    images = mixed({"folders": ("deep",), "test": 1}).training(4, 0, {"mine": 2, "others": 2})
    assert isinstance(images, MixedSubset) and images.dtype == "float32"
    values = images.to_unit(images.crops([0, 3], 16, generator=None), torch.device("cpu"))
    parts = [part.to_unit(part.crops([k], 16, generator=None), torch.device("cpu"))[0]
             for part, k in zip(images.parts.values(), (0, 1), strict=True)]  # fmt: skip
    assert torch.allclose(values, torch.stack(parts), atol=1e-6) and 0.9 < float(values.max()) <= 1


def test_other_units_and_channels_are_refused(mixed: Open, data: Path) -> None:
    for index in range(6):
        write_image(data / "twelve" / f"{index}.png", picture(300 + index, dtype="uint16") // 16)
        write_image(data / "grey" / f"{index}.png", picture(400 + index, channels=1))
    with pytest.raises(UserError, match=r"images.sources.others: has no value above 4\d+ of 65535.*range = \[0, 4"):
        mixed({"folders": ("twelve",)})
    assert mixed({"folders": ("twelve",), "range": (0, 4095)}).available_of["others"] == 4
    with pytest.raises(UserError, match=r"images.sources.others: has grey images, and mine has RGB ones"):
        mixed({"folders": ("grey",)})
    assert mixed({"folders": ("grey",)}, channels="gray").channels == 1


def test_held_out_images_are_not_trained_on_as_those_of_another(mixed: Open, data: Path) -> None:
    test = mixed().tests["test"].names[0]
    (data / "others" / "copy.png").write_bytes((data / test).read_bytes())
    with pytest.raises(UserError, match=r"others training image '.*copy.png': is the same as '.*' of test"):
        mixed()
    images = mixed(duplicates="skip")
    assert images.duplicates == 1 and not any("copy" in name for name in images.train.names)
    assert images.available_of["others"] == 7  # with the copy 8 were there


def test_images_that_two_sources_have_are_told(mixed: Open, data: Path) -> None:
    images = mixed()
    assert isinstance(images.train, MixedSubset)
    (data / "others" / "copy.png").write_bytes((data / images.train.parts["mine"].names[0]).read_bytes())
    assert any("are the same as images of mine" in sentence for sentence in mixed().cautions)


def test_too_many_and_none(mixed: Open, data: Path) -> None:
    with pytest.raises(UserError, match=r"sweep.mix: found 8 of others; it allows at most 7 images for training"):
        mixed().training(8, 0, {"others": 8})
    (data / "empty").mkdir()
    with pytest.raises(UserError, match=r"images.sources.others, .*empty: holds no PNG"):
        mixed({"folders": ("empty",)})
    with pytest.raises(UserError, match=r"images.sources.others, images.val and images.test: hold out 0 \+ 9 of 9"):
        mixed({"test": 9})


def test_description_listing_and_verification(mixed: Open, data: Path, tmp_path: Path) -> None:
    images = mixed()
    described = images.describe()
    assert described["available"] == {"mine": 9, "others": 7} and described["source"] == {
        "mine": "folder",
        "others": "folder",
    }
    assert mixed().digest == images.digest != mixed({"test": 1}).digest
    found = verify_images(images.images, data=data, cache=tmp_path / "cache")
    assert not found.damaged and not found.changed and found.counted.startswith("21 images")
    content = {"name": "m", "problem": {"kind": "denoising"}, "images": images.images.model_dump(exclude_defaults=True)}
    study = parse_study(content | {"sweep": {"n": [4], "width": [8], "mix": [{"mine": 0.5, "others": 0.5}]}})
    listed = list_split(study, data=data, seed=1)
    mine = [item.name for item in listed.sets["train"] if item.source == "mine"]
    assert mine[:2] == names(images.training(4, 1, {"mine": 2, "others": 2}), "mine") and len(mine) == 9
    lines = listed.to_csv().splitlines()
    assert lines[0] == "set,place,unit,image,source" and sum(line.startswith("train,1,") for line in lines) == 2
    with pytest.raises(UserError, match="several sources"):
        list_split(study, n=4, data=data)

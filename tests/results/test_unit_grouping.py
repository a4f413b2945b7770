"""Which test images belong together."""

from types import SimpleNamespace

import pytest

from reconscale.results.unit_grouping import group_volumes, unit_of_image, values_of_units
from reconscale.study import parse_study


def images_of(**more):
    volumes = more.pop("volumes", True)
    images = {"source": "nifti" if volumes else "folder", "val": 1, "test": 1, **more}
    if volumes and more.get("source") is None:
        images["matrix"] = 32
    problem = {"kind": "mri", "acceleration": 4} if volumes else {"kind": "denoising", "sigma": 25}
    network = {"family": "unet"}
    return parse_study({"version": 2, "name": "x", "problem": problem, "images": images, "network": network,
                        "sweep": {"n": [2], "width": [8], "seed": [0]}}).images  # fmt: skip


@pytest.mark.parametrize(
    ("options", "names", "record", "count", "noun"),
    [
        ({}, ["a/sub-01_T1.nii", "a/sub-01_T2.nii", "a/sub-02_T1.nii"], {}, 2, "patients"),
        ({"patient": r"case(\d+)"}, ["case1a.nii", "case1b.nii", "case2.nii"], {}, 2, "patients"),
        ({"unit": "folder"}, ["p1/a.nii", "p1/b.nii", "p2/a.nii"], {}, 2, "patients"),
        (
            {},
            ["x.h5/7-axial", "x.h5/7-coronal"],
            {"acquisitions": {"axial": 1, "coronal": 1}, "units": 1},
            1,
            "patients",
        ),
        ({}, ["one.nii", "two.nii"], {}, 2, "volumes"),
    ],
)
def test_volumes_of_patients(options, names, record, count, noun):
    patients, said, unsure = group_volumes(names, images_of(**options), record)
    assert (len(set(patients.values())), said, unsure) == (count, noun, "")


def test_patients_that_are_not_known_are_said():
    _, noun, unsure = group_volumes(["a.nii", "b.nii", "c.nii"], images_of(), {"units": 2})
    assert noun == "volumes" and "which of its 2 patients" in unsure


def test_images_of_a_folder_and_of_a_stack():
    assert unit_of_image("p1/a.png", images_of(volumes=False, unit="folder")) == "p1"
    assert unit_of_image("cells.tif#0003", images_of(volumes=False)) == "cells.tif"


def test_tiles_of_one_photograph_are_one_unit():
    bundled = images_of(volumes=False, source="bundled")
    assert {unit_of_image(name, bundled) for name in ("coffee/0-0", "coffee/1-2", "rocket/0-0")} == {"coffee", "rocket"}
    assert unit_of_image("cbsd68/0001.png", bundled) == "cbsd68/0001.png"  # of a named test set: a file


def test_test_sets_of_a_mixture_are_grouped_as_their_source_is():
    mixed = parse_study({
        "version": 2, "name": "x", "problem": {"kind": "denoising", "sigma": 25}, "network": {"family": "unet"},
        "images": {"counts": "images", "val": 1, "test": 2,
                   "sources": {"photos": {"source": "bundled"}, "scans": {"source": "folder", "folders": ["s"],
                                                                       "unit": "folder"}}},
        "sweep": {"n": [2], "width": [8], "seed": [0], "mix": [{"photos": 0.5, "scans": 0.5}]},
    }).images  # fmt: skip
    names = {"test": ["coffee/0-0", "coffee/0-1", "rocket/0-0"], "scans": ["s/a/1.png", "s/a/2.png", "s/b/1.png"]}
    scores = {name: {image: {"psnr-y": 30.0} for image in images} for name, images in names.items()}
    result = SimpleNamespace(run=SimpleNamespace(images=mixed), images=scores)
    photos, scans = (values_of_units([result], profile="psnr-y", test_set=name) for name in names)
    assert (list(photos.names), photos.noun) == (["coffee", "rocket"], "photographs")
    assert (list(scans.names), scans.noun) == (["s/a", "s/b"], "folders")

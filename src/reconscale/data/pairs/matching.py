"""Which file is the truth of which input: by the names in two folders, or by a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from reconscale.data.folders import PassedOver, add_files, files_below, place_below
from reconscale.data.image_files import KINDS, SUFFIXES
from reconscale.data.listing import in_words
from reconscale.errors import UserError
from reconscale.files import read_limited
from reconscale.study import Images

MOST_BYTES = 1 << 28
"""Bytes of a table of pairs."""
COLUMNS = ("input", "truth")
"""What a table of pairs must have; ``scene`` is for those who name scenes."""

SAME_NAME = "names are equal but for their endings"
ONE_TRUTH = "every folder, a scene, has one truth"


@dataclass(frozen=True)
class FilePairs:
    """Inputs with their truths.

    Attributes:
        rule: how they were matched, in words.
        truth_of: input -> truth, names of files below the data folder.
        scene_of: truth -> scene, where a table names scenes.
        passed_over: files that are not read: ending -> how many, and the name of one.
        remarks: what a user should know, one sentence each.
    """

    rule: str
    truth_of: Mapping[str, str]
    scene_of: Mapping[str, str] = field(default_factory=dict)
    passed_over: PassedOver = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def match_files(images: Images, root: Path, key: str) -> FilePairs:
    """Find the truth of every input of a study.

    Args:
        images: the options.
        root: the data folder.
        key: what messages call the images: ``images``, or a test set.

    Raises:
        UserError: nothing says where the pairs are, an input has no truth, or what is said cannot be.
    """
    if images.csv:
        return _from_table(images.csv, root, key)
    if not (images.inputs and images.truths):
        raise UserError(f"{key}.inputs", "is missing", "name two folders, inputs and truths, or a table with csv")
    others: PassedOver = {}
    held_out = {place_below(root, place, f"images.test_sets.{name}") for name, place in images.test_sets.items()}
    inputs, truths = _both_folders(images, root, key, held_out, others)
    rule, found = _matched(inputs, truths, images.match, key)
    unused = sorted(set(truths.values()) - set(found.values()))
    remarks = [f"{len(unused)} of {len(truths)} truths have no input and are left out, such as {name}"
               for name in unused[:1]]  # fmt: skip
    return FilePairs(rule, found, {}, others, tuple(remarks))


Keys = dict[str, str]
"""Names without their folder and their ending -> names of files below the data folder."""


def _both_folders(images: Images, root: Path, key: str, held_out: set[Path], others: PassedOver) -> tuple[Keys, Keys]:
    """The files of inputs and of truths. Where one folder holds both, ``match`` tells them apart."""
    assert images.inputs and images.truths
    at, truths_at = (place_below(root, getattr(images, side), f"{key}.{side}") for side in ("inputs", "truths"))
    if at == truths_at:
        if images.match is None:
            found = f"and {key}.truths are the same folder"
            raise UserError(f"{key}.inputs", found, 'say which word of a name is which, as match = ["noisy", "clean"]')
        both = _files(at, root, held_out - {at}, others)
        word = images.match[0]
        inputs = {stem: name for stem, name in both.items() if word in PurePosixPath(stem).name}
        return inputs, {stem: name for stem, name in both.items() if stem not in inputs}
    inputs = _files(at, root, (held_out | {truths_at}) - {at}, others)
    return inputs, _files(truths_at, root, (held_out | {at}) - {truths_at}, others)


def _files(folder: Path, root: Path, held_out: set[Path], others: PassedOver) -> Keys:
    if not folder.is_dir():
        raise UserError(folder, "is not a folder", "name a folder of images, or a table of pairs with images.csv")
    files: dict[str, Path] = {}
    add_files(files, files_below(folder, SUFFIXES, held_out, others), folder, root)
    if not files:
        more = f" ({in_words(others)})" if others else ""
        raise UserError(folder, f"holds no {KINDS}{more}", "check images.inputs, images.truths and --data")
    keys: Keys = {}
    for name, path in files.items():
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if stem in keys:
            raise UserError(name, f"and {keys[stem]} have one name but for their endings", "rename one of the two")
        keys[stem] = name
    return keys


def _matched(inputs: Keys, truths: Keys, match: tuple[str, str] | None, key: str) -> tuple[str, dict[str, str]]:
    """The rule that finds a truth for every input, and what it finds.

    Raises:
        UserError: an input has no truth by any rule.
    """
    near: dict[str, list[str]] = {}
    if match is not None:
        replaced = {stem.replace(*match): name for stem, name in inputs.items() if match[0] in stem}
        tried = {f"'{match[0]}' in the name of an input is '{match[1]}' in that of its truth":
                 {stem: truths.get(stem.replace(*match)) for stem in inputs}}  # fmt: skip
        if not set(replaced) & set(truths):
            found = f"replacing '{match[0]}' by '{match[1]}' gives no truth for any input, such as {_first(inputs)}"
            raise UserError(f"{key}.match", found, f"truths are called as {_first(truths)}")
    else:
        near = _by_folder(inputs, truths)
        alone = {stem: names[0] if len(names) == 1 else None for stem, names in near.items()}
        tried = {SAME_NAME: {stem: truths.get(stem) for stem in inputs}, ONE_TRUTH: alone}
    count = {rule: sum(name is not None for name in found.values()) for rule, found in tried.items()}
    rule = max(count, key=lambda rule: count[rule])
    if count[rule] == len(inputs):
        return rule, {inputs[stem]: str(name) for stem, name in tried[rule].items()}
    several = [stem for stem in sorted(inputs) if rule == ONE_TRUTH and len(near[stem]) > 1]
    if several:
        named = " and ".join(near[several[0]][:2])
        raise UserError(inputs[several[0]], f"may belong to {named}, and to one truth alone it should",
                        "take one of them out, or name every pair in a table with csv")  # fmt: skip
    missing = sorted(inputs[stem] for stem, name in tried[rule].items() if name is None)
    if count[rule]:
        named = f"{', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''}"
        raise UserError(f"{key}.inputs", f"{len(missing)} of {len(inputs)} inputs have no truth ({rule}): {named}",
                        "add the truths, or take these inputs out of the folder")  # fmt: skip
    found = f"no input has a truth of its name: inputs are called as {missing[0]}, truths as {_first(truths)}"
    raise UserError(f"{key}.inputs", found, _advice(sorted(inputs), sorted(truths)))


def _first(names: Keys) -> str:
    return min(names.values())


def _by_folder(inputs: Keys, truths: Keys) -> dict[str, list[str]]:
    """The truths in the folder of an input, and the truth that is called as that folder: there should be one."""
    members: dict[str, list[str]] = {}
    for stem, name in truths.items():
        members.setdefault(str(PurePosixPath(stem).parent), []).append(name)
        members.setdefault(stem, []).append(name)
    members.pop(".", None)
    return {stem: members.get(str(PurePosixPath(stem).parent), []) for stem in inputs}


def _advice(inputs: Sequence[str], truths: Sequence[str]) -> str:
    """What ``match`` would find a truth for every input, where the first names of both sides tell."""
    pair = (inputs[0], truths[0])
    before = _alike(*pair)
    after = _alike(*(name[before:][::-1] for name in pair))
    ours, theirs = (name[before : len(name) - after] for name in pair)
    if ours and {name.replace(ours, theirs) for name in inputs} <= set(truths):
        return f'set match = ["{ours}", "{theirs}"]'
    return 'say what to replace in names, as match = ["noisy", "clean"], or name every pair in a table with csv'


def _alike(one: str, other: str) -> int:
    """How many characters two names begin with alike."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _from_table(place: str, root: Path, key: str) -> FilePairs:
    """The pairs of a CSV file: names of files as seen from it.

    Raises:
        UserError: it is no such table, a file does not exist, or an input comes twice.
    """
    path = place_below(root, place, f"{key}.csv")
    truth_of: dict[str, str] = {}
    scene_of: dict[str, str] = {}
    for line, row in _rows(path):
        where = f"{path}, line {line}"
        names = [_file_in(row.get(column) or "", column, path.parent, root, where) for column in COLUMNS]
        if names[0] == names[1]:
            raise UserError(where, f"names {names[0]} as input and as its truth", "name two files")
        if names[0] in truth_of:
            raise UserError(where, f"names the input {names[0]} a second time", "name every input once")
        truth_of[names[0]] = names[1]
        if "scene" in row:
            scene = (row["scene"] or "").strip()
            if not scene or scene_of.setdefault(names[1], scene) != scene:
                found = (
                    "names no scene"
                    if not scene
                    else f"puts {names[1]} into the scenes {scene_of[names[1]]} and {scene}"
                )
                raise UserError(where, found, "give every truth one scene")
    if not truth_of:
        raise UserError(path, "names no pair", "write a line for every input")
    return FilePairs(f"as {place} says", truth_of, scene_of)


def _rows(path: Path) -> list[tuple[int, dict[str, str | None]]]:
    """Line numbers and cells of a table, by the names of its columns in lower case."""
    remedy = "write a CSV file with the columns input and truth (and scene, if you like)"
    try:
        text = read_limited(path, MOST_BYTES).decode("utf-8-sig")
        first = text.split("\n", 1)[0]
        delimiter = next((mark for mark in ",;\t" if mark in first), ",")
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
        reader.fieldnames = [(name or "").strip().lower() for name in reader.fieldnames or ()]
        rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(path, "is no table of UTF-8 text", remedy) from error
    if not set(COLUMNS) <= set(reader.fieldnames):
        found = f"has the columns {', '.join(filter(None, reader.fieldnames)) or 'of an empty file'}"
        raise UserError(path, found, remedy)
    return rows


def _file_in(cell: str, column: str, folder: Path, root: Path, where: str) -> str:
    """The name below the data folder of a file that a table names."""
    if not cell.strip():
        raise UserError(where, f"has no {column}", "fill the cell, or take the line out")
    start = folder.relative_to(root).as_posix()
    path = place_below(root, cell.strip() if start == "." else f"{start}/{cell.strip()}", where)
    if not path.name.lower().endswith(SUFFIXES) or not path.is_file():
        raise UserError(where, f"found '{cell.strip()}', which is no {KINDS}", "name image files")
    name = path.relative_to(root).as_posix()
    if not name.isprintable():
        raise UserError(where, "names a file whose name cannot be printed", "rename it")
    return name

"""Parts of a user's own: how they are loaded, what is refused, and what travels to other processes."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import reconscale as rs
from reconscale import own_parts
from reconscale.data.own_images import pixels_of
from reconscale.networks import build, input_spec, size_of
from reconscale.study import Network
from reconscale.study.study_file import parse_study
from reconscale.training.executors.base import Placement
from reconscale.training.executors.slurm_job import keep_tasks
from reconscale.training.own_code import check_networks, code_of_study, plugins_of
from reconscale.training.placement import ExecutionConfig
from reconscale.training.preparation import prepare
from reconscale.training.worker import Task

from .cli.calling import call, refused
from .own_parts import PARTS, STUDY, put_back

ENTRY = "import reconscale as rs\nrs.LOSSES['mine'] = lambda x_hat, x, scale: (x_hat - x).square().mean()\n"


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    with put_back():
        yield


def written(folder: Path, text: str, name: str = "my_parts.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_file_adds_its_entries_once(tmp_path: Path) -> None:
    path = written(tmp_path, PARTS)
    plugin = rs.load_plugin(path)
    assert plugin.name == "my_parts.py" and set(plugin.entries) == {("FAMILIES", "net"), ("SOURCES", "blocks")}
    assert "net" in rs.FAMILIES and "blocks" in rs.SOURCES
    assert rs.load_plugin(path) is plugin


def test_a_changed_file_replaces_its_entries(tmp_path: Path) -> None:
    path = written(tmp_path, ENTRY)
    first = rs.load_plugin(path)
    path.write_text(ENTRY + "\n# a comment\n\n")
    assert rs.load_plugin(path) is first  # comments and blank lines do not count
    path.write_text(ENTRY.replace("'mine'", "'other'"))
    assert rs.load_plugin(path).digest != first.digest
    assert "other" in rs.LOSSES and "mine" not in rs.LOSSES


def test_what_is_imported_from_beside_counts(tmp_path: Path) -> None:
    written(tmp_path, "POWER = 2\n", "beside_it.py")
    path = written(tmp_path, ENTRY.replace("\n", "\nfrom beside_it import POWER\n", 1))
    first = rs.load_plugin(path)
    written(tmp_path, "POWER = 3  # changed\n", "beside_it.py")
    assert rs.load_plugin(path).digest != first.digest
    assert sys.modules["beside_it"].POWER == 3
    assert rs.load_plugin(written(tmp_path, ENTRY, "other.py").rename(path)).digest not in (first.digest,)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("import no_such_module_at_all\n", "fails to load in line 1 (ModuleNotFoundError"),
        ("x = 1\nraise SystemExit(3)\n", "fails to load in line 2 (SystemExit: 3)"),
        ("def f(:\n", "is not Python"),
        ("x = 1\n", "adds nothing"),
        ("", "adds nothing"),
        ("import reconscale as rs\nrs.FAMILIES['unet'] = rs.FAMILIES['dncnn']\n", "takes the name 'unet' of FAMILIES"),
        ("import reconscale as rs\ndel rs.SOURCES['folder']\n", "takes the name 'folder' of SOURCES"),
        ("import reconscale as rs\nrs.LOSSES['sure'] = print\n", "takes the name 'sure' of LOSSES"),
        (PARTS.replace("channels, width)", "channels, size=3)", 1).replace("width", "size"), "and no width"),
    ],
)
def test_a_bad_file_is_refused_and_leaves_nothing(tmp_path: Path, text: str, part: str) -> None:
    before = {key: dict(registry) for key, registry in own_parts._registries().items()}
    message = refused("plan", tmp_path / "study.toml", "--plugin", written(tmp_path, text))
    assert "my_parts.py" in message and part in message
    assert before == own_parts._registries() and not own_parts.loaded_plugins()


def test_two_plugins_with_one_entry(tmp_path: Path) -> None:
    first, second = written(tmp_path, ENTRY, "first.py"), written(tmp_path, ENTRY, "second.py")
    message = refused("status", tmp_path, "--plugin", first, "--plugin", second)
    assert "second.py: takes the name 'mine' of LOSSES, which first.py has" in message
    (tmp_path / "sub").mkdir()
    third = written(tmp_path / "sub", ENTRY.replace("mine", "third"), "first.py")
    assert "has the name of another plugin" in refused("status", tmp_path, "--plugin", third)


def test_what_is_no_plugin() -> None:
    assert "neither a Python file nor an installed package" in refused(
        "plan", "study.toml", "--plugin", "no-such-thing"
    )
    assert "cannot be read" in refused("plan", "study.toml", "--plugin", "no_such_file.py")
    assert "names no parts" in refused("plan", "study.toml", "--plugin", "numpy")


def test_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "a_package_of_parts"
    package.mkdir()
    written(package, ENTRY, "__init__.py")
    point = EntryPoint("parts", "a_package_of_parts", own_parts.GROUP)
    monkeypatch.setattr(own_parts, "entry_points", lambda group: [point] if group == own_parts.GROUP else [])
    monkeypatch.syspath_prepend(tmp_path)
    plugin = rs.load_plugin("parts")
    assert plugin.name == plugin.place == "parts" and plugin.entries == (("LOSSES", "mine"),) and plugin.text is None
    sys.modules.pop("a_package_of_parts")


def test_nothing_is_run_that_only_a_study_names(tmp_path: Path) -> None:
    """A file with the name of what the study asks for lies beside it, and a record in its results names it."""
    trap = tmp_path / "trap"
    written(tmp_path, f"open({str(trap)!r}, 'w').close()\n", "net.py")
    (tmp_path / "study.toml").write_text(STUDY)
    assert "pass --plugin" in refused("plan", tmp_path / "study.toml")
    (tmp_path / "runs").mkdir()
    place = str(tmp_path / "net.py")
    entries = {"SOURCES": {"blocks": {}}, "FAMILIES": {"net": {}}}
    (tmp_path / "runs" / "plugins.json").write_text(json.dumps({"plugins": [{"place": place, "entries": entries}]}))
    assert f"pass --plugin {place}" in refused("plan", tmp_path / "study.toml")
    code, out, _ = call("status", tmp_path / "study.toml")
    assert code == 0 and f"--plugin {place}" in out
    assert not trap.exists()


@pytest.mark.parametrize(
    "record",
    [
        "[]",
        '{"plugins": 3}',
        '{"plugins": [{"place": "a"}]}',
        '{"plugins": [{"place": "a", "entries": {"PROFILES": {"x": {"kind": "none"}}}}]}',
        '{"plugins": [{"place": "a", "entries": {"SOURCES": 3}}]}',
        '{"plugins": [{"place": "a", "entries": {"METRICS": {"x": {"better": "up"}}}}]}',
        '{"plugins": [{"place": "a", "entries": {"MASKS": {"x": {}}}}]}',
    ],
)
def test_a_damaged_record(tmp_path: Path, record: str) -> None:
    (tmp_path / "study.toml").write_text(STUDY)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "plugins.json").write_text(record)
    assert "plugins.json: is damaged" in refused("status", tmp_path / "study.toml")


def test_it_travels_with_its_text(tmp_path: Path) -> None:
    """Where it is unpickled it is loaded, from the text that was read first, and a changed helper is noticed."""
    written(tmp_path, "POWER = 2\n", "beside_it.py")
    path = written(tmp_path, ENTRY.replace("\n", "\nfrom beside_it import POWER\n", 1))
    pickled = tmp_path / "plugin"
    pickled.write_bytes(pickle.dumps(rs.load_plugin(path)))
    path.write_text("raise SystemExit\n")
    program = (
        "import pickle, sys, pathlib; plugin = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "import reconscale as rs; print('mine' in rs.LOSSES, plugin.mistake)"
    )
    ask = [sys.executable, "-c", program, str(pickled)]
    assert subprocess.run(ask, capture_output=True, text=True, check=True).stdout.split() == ["True", "None"]
    written(tmp_path, "POWER = 3\n", "beside_it.py")
    assert "is not the code that the command began with" in subprocess.run(ask, capture_output=True, text=True).stdout


def tried(network: Any, tmp_path: Path, **how: Any) -> None:
    """What `plan` and `run` do with a network before anything is trained."""
    rs.load_plugin(written(tmp_path, PARTS))
    rs.FAMILIES["other"] = rs.make_family(network, **how)
    study = parse_study({"name": "own", "problem": {"kind": "denoising"}, "network": {"family": "other"},
                         "images": {"source": "blocks", "patch": 15, "val": 2, "test": 2},
                         "sweep": {"n": [2], "width": [2, 4]}})  # fmt: skip
    prepare(study, ExecutionConfig(device="cpu").resolved())


class Plain(nn.Module):
    """A network that is right; subclasses are wrong."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.Conv2d(width, channels, 3, padding=1))

    def forward(self, y: Any) -> Any:
        return self.body(y)


class Smaller(Plain):
    def forward(self, y: Any) -> Any:
        return self.body(y)[..., 1:-1, 1:-1]


class Nan(Plain):
    def forward(self, y: Any) -> Any:
        return self.body(y).abs().neg().sqrt()


class Several(Plain):
    def forward(self, y: Any) -> Any:
        return self.body(y), y


class Halving(Plain):
    def forward(self, y: Any) -> Any:
        return y + nn.functional.interpolate(self.body(y)[..., ::2, ::2][..., :7, :7], scale_factor=2)


class SameSize(Plain):
    def __init__(self, channels: int, width: int) -> None:  # noqa: ARG002
        super().__init__(channels, 3)


class Empty(nn.Module):
    def __init__(self, width: int) -> None:  # noqa: ARG002
        super().__init__()

    def forward(self, y: Any) -> Any:
        return y


class Lazy(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.LazyConv2d(width, 3)


class Broken(Plain):
    def __init__(self, channels: int, width: int) -> None:  # noqa: ARG002
        raise RuntimeError("too wide")


@pytest.mark.parametrize(
    ("network", "part"),
    [
        (Smaller, "gives (1, 1, 13, 13) where the image is (1, 1, 15, 15)"),
        (Nan, "gives NaN or infinity before any training"),
        (Several, "gives a tuple, not a tensor"),
        (Halving, "fails on an image of 15 x 15 pixels (RuntimeError"),
        (SameSize, "parameters at every width"),
        (Empty, "has no parameters to train"),
        (Lazy, "has lazy layers"),
        (Broken, "cannot be built (RuntimeError: too wide)"),
        (lambda width: 3, "it builds a int"),
    ],
)
def test_a_network_that_cannot_be_trained_is_refused_before_it_is(network: Any, part: str, tmp_path: Path) -> None:
    with pytest.raises(rs.UserError, match="network.family 'other'|make_family") as refusal:
        tried(network, tmp_path)
    assert part in str(refusal.value)


def test_a_network_that_is_right_is_taken(tmp_path: Path) -> None:
    tried(Plain, tmp_path)
    tried(lambda width, channels=1: Plain(channels, width), tmp_path, multiple=4, least=6)


METRIC = """import torch
import reconscale as rs
from reconscale.study.profiles import Profile

def far(x_hat, x):
    return {value}

rs.PROFILES["far"] = Profile("far", "error", "all", False, 0, "", "largest error", {function})
"""
METRIC_STUDY = """name = "own"
[problem]
kind = "denoising"
[images]
source = "deadleaves"
patch = 16
val = 1
val_patch = 16
test = 1
test_patch = 16
[network]
family = "dncnn"
depth = 2
[sweep]
n = [1]
width = [2]
[recipe]
steps = 1
"""


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("'good'", "gives a str, not a tensor"),
        ("[0.5] * len(x)", "gives a list, not a tensor"),
        ("0.5", "gives a float, not a tensor"),
        ("(x_hat - x).abs().max()", "gives a tensor of shape () for two images"),
        ("(x_hat - x).abs()", "gives a tensor of shape (2, 3, 16, 16) for two images"),
        ("(x_hat - x).flatten(1).mean(1) * float('nan')", "gives nan, nan for two random images"),
        ("(x_hat - x).flatten(1).mean(1) * 1j", "gives complex numbers"),
        ("x.no_such_thing", "fails on two images of shape (2, 3, 16, 16) (AttributeError: "),
    ],
)
def test_a_metric_that_gives_no_numbers_is_refused_before_training(tmp_path: Path, value: str, part: str) -> None:
    (tmp_path / "study.toml").write_text(METRIC_STUDY)
    plugin = written(tmp_path, METRIC.format(value=value, function="far"))
    message = refused("run", tmp_path / "study.toml", "--plugin", plugin)
    assert f"metric 'far' of my_parts.py: {part}" in message
    assert "; it must return a tensor of shape (B,), a finite number for each of the B images" in message
    assert {path.name for path in tmp_path.iterdir()} == {"study.toml", "my_parts.py"}  # nothing was begun


def test_a_metric_that_is_right_is_taken(tmp_path: Path) -> None:
    """And one is not tried that the study is not measured in."""
    study = parse_study({"name": "own", "problem": {"kind": "denoising"}, "sweep": {"n": [1], "width": [4]},
                         "images": {"source": "deadleaves", "patch": 16, "val": 1, "val_patch": 16, "test": 1,
                                    "test_patch": 16}})  # fmt: skip
    value = "(x_hat - x).abs().flatten(1).amax(1)"
    rs.load_plugin(written(tmp_path, METRIC.format(value=value, function="far"), "right.py"))
    unused = METRIC.format(value="'x'", function='far, problems=("pairs",)').replace('"far"', '"unused"')
    rs.load_plugin(written(tmp_path, unused, "unused.py"))
    prepare(study, ExecutionConfig(device="cpu").resolved())


@pytest.mark.parametrize(
    ("network", "part"),
    [
        (lambda channels: 3, "it takes channels, and no width"),
        (lambda width, heads: 3, "it needs 'heads', which no study knows"),
        (lambda width, depth: 3, "its depth has no default"),
        (3, "it cannot be called"),
    ],
)
def test_make_family_refuses(network: Any, part: str) -> None:
    with pytest.raises(rs.UserError, match="make_family") as refusal:
        rs.make_family(network)
    assert part in str(refusal.value)


def test_parameters_and_flops_of_any_module() -> None:
    """Also of one that the meta device cannot do, as it looks at values."""

    class Looks(Plain):
        def forward(self, y: Any) -> Any:
            return self.body(y) * (1.0 if float(y.sum()) > 0 else 2.0)

    spec = input_spec(parse_study({"name": "a", "problem": {"kind": "denoising"}, "sweep": {"n": [1], "width": [4]},
                                   "images": {"source": "deadleaves", "val": 1, "test": 1}}).problem, 1)  # fmt: skip
    sizes = []
    for network in (Plain, Looks):
        rs.FAMILIES["counted"] = rs.make_family(network)
        state = torch.get_rng_state()
        sizes.append(size_of(Network(family="counted", width=4), spec))
        assert torch.equal(state, torch.get_rng_state())
    assert sizes[0] == sizes[1]
    assert sizes[0].p == 4 * 9 + 4 + 4 * 9 + 1 and sizes[0].flops == 2 * 2 * 4 * 9
    assert isinstance(build(Network(family="counted", width=4), spec), nn.Module)


@pytest.mark.parametrize(
    ("item", "shape", "dtype"),
    [
        (torch.rand(1, 5, 6), (5, 6, 1), "float32"),
        (torch.rand(3, 5, 6).double(), (5, 6, 3), "float32"),
        (torch.zeros(5, 6, dtype=torch.uint8), (5, 6, 1), "uint8"),
        (np.zeros((5, 6, 3), np.uint16), (5, 6, 3), "uint16"),
        (np.zeros((3, 5, 6), np.uint8), (5, 6, 3), "uint8"),
        ((torch.rand(1, 5, 6), 7), (5, 6, 1), "float32"),
    ],
)
def test_items_of_a_data_set(item: Any, shape: tuple[int, ...], dtype: str) -> None:
    pixels = pixels_of(item, "here")
    assert pixels.shape == shape and pixels.dtype == dtype


def test_a_pair_gives_its_truth() -> None:
    truth = torch.rand(1, 5, 6)
    assert np.array_equal(pixels_of((torch.zeros(1, 5, 6), truth), "here")[..., 0], truth[0].numpy())


@pytest.mark.parametrize(
    ("item", "part"),
    [
        (torch.rand(4, 5, 6), "has the shape (4, 5, 6)"),
        (torch.rand(1, 5, 6) * 255, "floating point must lie in [0, 1]"),
        (torch.full((1, 5, 6), float("nan")), "floating point must lie in [0, 1]"),
        (np.zeros((5, 6), np.int64), "has values of type int64"),
        ("a text", "has the shape ()"),
    ],
)
def test_items_that_are_no_images(item: Any, part: str) -> None:
    with pytest.raises(rs.UserError, match="here") as refusal:
        pixels_of(item, "here")
    assert part in str(refusal.value)


@pytest.mark.parametrize(
    ("dataset", "part"),
    [
        ([], "its data set is empty"),
        (lambda: 3, "a int has no length or no items"),
        (lambda: 1 / 0, "cannot be made (ZeroDivisionError"),
    ],
)
def test_data_sets_that_are_refused(dataset: Any, part: str, tmp_path: Path) -> None:
    rs.SOURCES["mine"] = rs.make_source(dataset)
    study = parse_study({"name": "a", "problem": {"kind": "denoising"}, "sweep": {"n": [1], "width": [4]},
                         "images": {"source": "mine", "val": 1, "test": 1}})  # fmt: skip
    with pytest.raises(rs.UserError, match="images.source 'mine'") as refusal:
        prepare(study, ExecutionConfig(device="cpu").resolved())
    assert part in str(refusal.value)


class AtRandom:
    def __len__(self) -> int:
        return 12

    def __getitem__(self, i: int) -> Any:
        return torch.rand(1, 64, 64)


class Breaks(AtRandom):
    def __getitem__(self, i: int) -> Any:
        raise OSError("the disk is gone")


def test_items_that_change_or_break() -> None:
    for dataset, part in ((AtRandom, "gives other pixels each time"), (Breaks(), "cannot be read (OSError: the disk")):
        rs.SOURCES["mine"] = rs.make_source(dataset)  # type: ignore[arg-type]
        study = parse_study({"name": "a", "problem": {"kind": "denoising"}, "sweep": {"n": [1], "width": [4]},
                             "images": {"source": "mine", "val": 1, "test": 1}})  # fmt: skip
        with pytest.raises(rs.UserError) as refusal:
            prepare(study, ExecutionConfig(device="cpu").resolved())
        assert part in str(refusal.value)


class Faded:
    """Four scenes of blocks, three noisy copies each; inputs may lie outside [0, 1]."""

    scenes = tuple(index // 3 for index in range(36))

    def __len__(self) -> int:
        return 36

    def __getitem__(self, i: int) -> Any:
        truth = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(self.scenes[i]))
        truth = torch.nn.functional.interpolate(truth, size=48, mode="bicubic").clamp(0, 1)[0]
        return truth + 0.2 * torch.randn(1, 48, 48, generator=torch.Generator().manual_seed(1000 + i)), truth


PAIRS = {"name": "a", "problem": {"kind": "pairs"}, "sweep": {"n": [2, 6], "width": [4]},
         "recipe": {"steps": 30}, "network": {"family": "unet", "depth": 2},
         "images": {"source": "faded", "val": 2, "test": 2, "patch": 32}}  # fmt: skip


def test_a_data_set_of_pairs_is_trained_on(tmp_path: Path) -> None:
    rs.SOURCES["faded"] = rs.make_source(Faded, pairs=True)
    study = parse_study(PAIRS)
    images = prepare(study, ExecutionConfig(device="cpu").resolved())
    assert images.units == 8 and images.describe()["pairs"]["matched"].startswith("by the data set")
    train, val = (set(part.scenes) for part in (images.train, images.val))  # type: ignore[union-attr]
    assert not train & val and len(val) == 2
    measured = images.val.measured.tensor(0)  # type: ignore[union-attr]
    assert float(measured.min()) < 0 and float(measured.max()) > 1


def test_data_sets_of_pairs_that_are_refused() -> None:
    class Single(Faded):
        def __getitem__(self, i: int) -> Any:
            return super().__getitem__(i)[1]

    class Lonely(Faded):
        scenes = (1, 2)  # type: ignore[assignment]

        def __getitem__(self, i: int) -> Any:
            return Faded()[i]

    class Swapped(Faded):
        def __getitem__(self, i: int) -> Any:
            return super().__getitem__(i)[::-1]

    for dataset, part in ((Single, "is a Tensor; with pairs=True an item is a pair"),
                          (Lonely, "has 2 scenes for 36 items"),
                          (Swapped, "floating point must lie in [0, 1]")):  # fmt: skip
        rs.SOURCES["faded"] = rs.make_source(dataset, pairs=True)
        with pytest.raises(rs.UserError) as refusal:
            prepare(parse_study(PAIRS), ExecutionConfig(device="cpu").resolved())
        assert part in str(refusal.value)
    with pytest.raises(rs.UserError, match="gives inputs and truths itself"):
        parse_study({**PAIRS, "images": {**PAIRS["images"], "inputs": "a", "truths": "b"}})  # type: ignore[dict-item]
    with pytest.raises(rs.UserError, match="makes its own inputs"):
        parse_study({**PAIRS, "problem": {"kind": "denoising"}})


class Bright(Faded):
    """Inputs four times as bright as their truths."""

    def __getitem__(self, i: int) -> Any:
        noisy, truth = super().__getitem__(i)
        return 3 * truth + noisy, truth


def test_levels_of_a_data_set_are_its_own_to_mend() -> None:
    """A study of such a data set refuses images.input_range, which is the advice for files."""
    rs.SOURCES["faded"] = rs.make_source(Bright, pairs=True)
    images = prepare(parse_study(PAIRS), ExecutionConfig(device="cpu").resolved())
    (said,) = (remark for remark in images.remarks if "times their truths" in remark)  # type: ignore[union-attr]
    assert "where the data set gives inputs in the values of its truths" in said and "input_range" not in said


def test_make_source_refuses() -> None:
    with pytest.raises(rs.UserError, match="it needs 'root', which no study knows"):
        rs.make_source(lambda root: [])
    with pytest.raises(rs.UserError, match="it has no items and cannot be called"):
        rs.make_source(3)  # type: ignore[arg-type]


def test_only_what_a_study_uses_counts(tmp_path: Path) -> None:
    study = parse_study({"name": "a", "problem": {"kind": "denoising"}, "sweep": {"n": [1], "width": [4]},
                         "images": {"source": "deadleaves", "val": 1, "test": 1}})  # fmt: skip
    plugin = rs.load_plugin(written(tmp_path, ENTRY))
    assert code_of_study(study) == {}
    own = study.model_copy(update={"recipe": study.recipe.model_copy(update={"loss": "mine"})})
    assert code_of_study(own) == {"my_parts.py": plugin.digest}
    check_networks(study, None)  # type: ignore[arg-type]  # a family of the package is not tried


def test_a_job_of_slurm_loads_it_from_its_tasks(tmp_path: Path) -> None:
    """Where the file is not: the tasks have its text, and it is loaded before the run is unpickled."""
    path = written(tmp_path, PARTS)
    rs.load_plugin(path)
    (tmp_path / "study.toml").write_text(STUDY)
    study = rs.load_study(tmp_path)
    own: dict[str, Any] = {"plugins": plugins_of(study), "code": code_of_study(study)}
    keep_tasks(tmp_path / "tasks", [Task(rs.runs_of(study)[0], None, rs.Folder(tmp_path), Placement(), **own)])  # type: ignore[arg-type]
    path.unlink()
    program = (
        "import pathlib, sys; from reconscale.training.executors.slurm_job import read_tasks\n"
        "(task,) = read_tasks(pathlib.Path(sys.argv[1])); import reconscale as rs\n"
        "print('net' in rs.FAMILIES, 'blocks' in rs.SOURCES, *task.code)"
    )
    ask = [sys.executable, "-c", program, str(tmp_path / "tasks")]
    done = subprocess.run(ask, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", "True", "my_parts.py"], done.stderr

"""Packed images: building, resuming, opening a million, random crops beside peers, packing again what changed.

All images are drawn here (overlapping discs), in a temporary folder that is deleted in the end; nothing is downloaded.
Peers read the same images: a loop over one NumPy memory map (no checks, no generator), HDF5 (h5py, one chunk an image),
and PyTorch's ``DataLoader`` over the PNG files. The floor copies the bytes of the crops and does nothing else.

    python benchmarks/store.py               # about 10 minutes, 6 GB of disk
    python benchmarks/store.py --images 500 --million 100000    # a quick look
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from reconscale.data import ImageSubset, open_images, packing
from reconscale.data import folders as folder
from reconscale.data.image_files import write_image
from reconscale.data.kept_answers import cache_folder
from reconscale.data.sources import draw_leaves
from reconscale.data.verify import verify_images
from reconscale.study import Images

SIDE, PATCH, BATCH = 256, 64, 128
LINE = "{:<58} {}"


def main() -> None:
    """Parse the flags and go through the parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2000, help=f"PNG files of {SIDE} x {SIDE} pixels; 0: none")
    parser.add_argument(
        "--million", type=int, default=1_000_000, help="rows of .npy files, and names of files; 0: none"
    )
    parser.add_argument("--folder", type=Path, help="where to work [default: a temporary folder]")
    parser.add_argument("--pack", nargs=2, type=Path, help="(internal) pack a folder into a cache, in small shards")
    flags = parser.parse_args()
    torch.set_num_threads(1)
    if flags.pack:
        packing.MOST_IMAGES = 250
        opened(flags.pack[0], flags.pack[1])
        return
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with tempfile.TemporaryDirectory(prefix="store-", dir=flags.folder) as place:
        root = Path(place)
        if flags.images:
            photographs(root / "photos", flags.images)
            building(root)
            resuming(root, flags.images)
            crops(root)
            changing(root)
        if flags.million:
            million_files(root / "files", flags.million)
            million_rows(root, flags.million)


def opened(data: Path, cache: Path, **options: Any) -> Any:
    given = {"source": "folder", "val": 10, "test": 20, "patch": PATCH} | options
    return open_images(Images(**given), data=data, cache=cache)


def seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def spent(work: Callable[[], Any]) -> str:
    """Time on the clock, and of processors: on a busy machine they differ."""
    began = time.process_time()
    took = seconds(work)
    return f"{took:.2f} s ({time.process_time() - began:.2f} s of processor time)"


def photographs(place: Path, count: int) -> None:
    """Different images that look like photographs to a decoder: drawn ones, shifted, with a little noise."""
    rng, drawn = np.random.default_rng(0), [draw_leaves(0, i, SIDE, 3) for i in range(40)]
    for index in range(count):
        image = np.roll(drawn[index % 40], rng.integers(SIDE, size=2), (0, 1)).astype(np.int16)
        image += rng.integers(-3, 4, image.shape, dtype=np.int16)
        write_image(place / f"{index // 500:03d}" / f"{index:07d}.png", image.clip(0, 255).astype(np.uint8))


def building(root: Path) -> None:
    cores = sorted(os.sched_getaffinity(0))
    count = len(list((root / "photos").glob("*/*.png")))
    for some in ([cores[0]], cores):
        os.sched_setaffinity(0, some)
        took = seconds(lambda some=some: opened(root / "photos", root / f"cache{len(some)}", duplicates="skip"))
        print(LINE.format(f"packing {count} PNG files, {len(some)} core(s)", f"{count / took:,.0f} images/s"))


def resuming(root: Path, count: int) -> None:
    """Kill a builder when half of the shards (of 250 images) are there, and let another continue."""
    cache = root / "killed"
    command = [sys.executable, __file__, "--pack", str(root / "photos"), str(cache)]
    builder = subprocess.Popen(command)
    while len(list(cache.glob("images/shards/*/*.npz"))) < max(1, count // 500) and builder.poll() is None:
        time.sleep(0.02)
    builder.send_signal(signal.SIGKILL)
    builder.wait()
    decoded = counting()
    took = seconds(lambda: opened(root / "photos", cache, duplicates="skip"))
    print(LINE.format("killed (SIGKILL) halfway, and started again", f"{took:.1f} s, {decoded()} of {count} decoded"))


def counting() -> Callable[[], int]:
    """Count the files that are decoded from now on."""
    seen, plain = [0], folder.read_image

    def counted(path: Path, *how: Any) -> np.ndarray:
        seen[0] += 1
        return plain(path, *how)

    folder.read_image = counted

    def total() -> int:
        folder.read_image = plain
        return seen[0]

    return total


def crops(root: Path) -> None:
    """Crops a second of processor time, warm, on one core; rounds alternate, medians."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    pixels = opened(root / "photos", root / "killed", duplicates="skip").train
    first = seconds(lambda: pixels.store.check(pixels.rows))
    size = sum(pixels.area(i) for i in range(len(pixels))) * 3
    print(
        LINE.format(
            "first touch: checked against SHA-256",
            f"{len(pixels) / first:,.0f} images/s, {size / first / 1e9:.2f} GB/s",
        )
    )
    rows = contestants(root, pixels)
    rates: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(5):
        for name, (batches, read) in rows.items():
            began = time.process_time()
            for _ in range(batches):
                read()
            rates[name].append(batches * BATCH / (time.process_time() - began))
    for name, values in rates.items():
        print(LINE.format(f"crops: {name}", f"{statistics.median(values):,.0f} a second of processor time"))
    os.sched_setaffinity(0, range(os.cpu_count() or 1))


def contestants(root: Path, pixels: ImageSubset) -> dict[str, tuple[int, Callable[[], Any]]]:
    import h5py

    generator, rng, count = torch.Generator().manual_seed(0), np.random.default_rng(0), len(pixels)
    stack = np.stack([pixels.image(i) for i in range(count)])
    np.save(root / "stack.npy", stack)
    with h5py.File(root / "stack.h5", "w") as file:
        file.create_dataset("x", data=stack, chunks=(1, *stack.shape[1:]))
    del stack
    mapped, held = np.load(root / "stack.npy", mmap_mode="r"), h5py.File(root / "stack.h5")["x"]
    flat = np.asarray(mapped).reshape(count, SIDE, SIDE * 3)

    def draw() -> list[list[int]]:
        return np.stack([rng.integers(count, size=BATCH), *rng.integers(SIDE - PATCH + 1, size=(2, BATCH))], 1).tolist()

    def ours() -> None:
        pixels.crops(rng.integers(count, size=BATCH).tolist(), PATCH, generator=generator)

    def loop(source: Any) -> None:
        batch = np.empty((BATCH, 3, PATCH, PATCH), np.uint8)
        for b, (i, top, left) in enumerate(draw()):
            batch[b] = source[i, top : top + PATCH, left : left + PATCH].transpose(2, 0, 1)

    def floor() -> None:
        batch = np.empty((BATCH, PATCH, PATCH * 3), np.uint8)
        for b, (i, top, left) in enumerate(draw()):
            batch[b] = flat[i, top : top + PATCH, left * 3 : (left + PATCH) * 3]

    files = iter(torch.utils.data.DataLoader(Files(root / "photos"), BATCH, sampler=_Endless(count)))
    return {
        "ours (generator, checks, channels first)": (40, ours),
        "a loop over np.memmap, channels first": (40, lambda: loop(mapped)),
        "the floor: bytes copied, channels last": (40, floor),
        "h5py, a chunk an image": (4, lambda: loop(held)),
        "DataLoader over the PNG files": (1, lambda: next(files)),
    }


class Files(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """What many write first: decode the file, cut a random crop."""

    def __init__(self, place: Path) -> None:
        self.paths = sorted(place.glob("*/*.png"))

    def __getitem__(self, index: int) -> torch.Tensor:
        from PIL import Image

        top, left = torch.randint(SIDE - PATCH + 1, (2,)).tolist()
        image = np.asarray(Image.open(self.paths[index]))[top : top + PATCH, left : left + PATCH]
        return torch.from_numpy(image.transpose(2, 0, 1).copy())


class _Endless(torch.utils.data.Sampler):  # type: ignore[type-arg]
    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Any:
        while True:
            yield from torch.randperm(self.count).tolist()


def changing(root: Path) -> None:
    paths = sorted((root / "photos").glob("*/*.png"))
    for path in paths[:: max(1, len(paths) // 10)][:10]:
        os.utime(path)
    decoded = counting()
    took = seconds(lambda: opened(root / "photos", root / "killed", duplicates="skip"))
    print(LINE.format("opened after 10 files were touched", f"{took:.2f} s, {decoded()} decoded"))
    images = Images(source="folder", val=10, test=20, patch=PATCH)
    found: list[Any] = []
    took = seconds(lambda: found.append(verify_images(images, data=root / "photos", cache=root / "killed")))
    print(LINE.format("verified", f"{took:.1f} s, {found[0].shards} shards, {len(found[0].damaged)} damaged"))


def million_rows(root: Path, count: int) -> None:
    """Rows of .npy files, 16 x 16, grey: what is measured is the index, not the pixels."""
    (root / "rows").mkdir()
    each, rng = min(100_000, count), np.random.default_rng(1)
    for part in range(count // each):
        np.save(root / "rows" / f"{part:03d}.npy", rng.integers(256, size=(each, 16, 16), dtype=np.uint8))
    options = {"source": "array", "patch": 16, "val": 200, "test": 200}

    def study() -> None:
        images = opened(root / "rows", root / "cache-rows", **options)
        assert len(images.training(count // 2, 0)) == count // 2
        assert images.digest

    print(LINE.format(f"{count:,} rows of .npy: packed and opened", spent(study)))
    print(LINE.format("  opened again: list, index, split, subset, digest", spent(study)))
    images = opened(root / "rows", root / "cache-rows", **options)
    print(LINE.format("  nested subset of half of them", spent(lambda: images.training(count // 2, 1))))
    print(LINE.format("  described", spent(images.describe)))
    print(LINE.format("  described again", spent(images.describe)))
    size = sum(path.stat().st_size for path in cache_folder(root / "cache-rows").rglob("*") if path.is_file())
    print(LINE.format("  disk", f"{size / 1e9:.2f} GB"))


def million_files(place: Path, count: int) -> None:
    """Empty files, a thousand a folder: what is measured is listing them and asking for sizes and times."""
    for start in range(0, count, 1000):
        below = place / f"{start // 1000:04d}"
        below.mkdir(parents=True)
        for index in range(start, min(count, start + 1000)):
            (below / f"{index:07d}.png").touch()
    listing = folder.list_folder(Images(source="folder", val=10, test=20), place)
    took = spent(lambda: folder.list_folder(Images(source="folder", val=10, test=20), place))
    print(LINE.format(f"{count:,} files: listed with size and time of change", took))
    print(LINE.format("  hashed, to be recognised", spent(listing.keys)))


if __name__ == "__main__":
    main()

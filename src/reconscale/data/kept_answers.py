"""Answers about images that are kept in the cache, and the folder of that cache."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from reconscale.data.subset import ImageSubset
from reconscale.errors import UserError
from reconscale.files import json_digest, to_json, write_atomic

T = TypeVar("T")

LEAST = 10_000
"""From this many images on answers are cached; for fewer, finding them again is as quick."""


HEAVY = 1 << 30
"""Bytes of pixels from which on what all of them are needed for is cached as well."""


def memoize(
    question: str, about: Sequence[tuple[str, ImageSubset]], find: Callable[[], T], *, heavy: bool = False
) -> T:
    """The answer to a question about images, from the cache if it is there.

    The key is a hash of the question and of names, pixels and order of the images. A damaged answer is found again.

    Args:
        question: with the version of its algorithm.
        about: the images, with what they stand for.
        find: finds the answer: a JSON value.
        heavy: whether it takes long, however few images there are.
    """
    if not heavy and sum(len(pixels) for _, pixels in about) < LEAST:
        return find()
    key = hashlib.sha256(question.encode())
    for label, pixels in about:
        for store, rows in pixels.stores:
            content = [store.manifest["files"][name] for name in ("names.txt", "hashes.npy")]
            key.update(f"\0{label}\0{' '.join(content)}\0{len(pixels)}\0".encode())
            key.update(np.ascontiguousarray(rows, np.int64).data)
    path = about[0][1].store.path.parent / "answers" / f"{key.hexdigest()[:32]}.json"
    kept: T | None = _kept(path)
    if kept is not None:
        return kept
    answer = find()
    try:
        write_atomic(path, to_json({"answer": answer, "sha256": json_digest(answer)}))
    except UserError:  # the cache may be read-only: the answer is found again the next time
        return answer
    return answer


def _kept(path: Path) -> Any:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return record["answer"] if record["sha256"] == json_digest(record["answer"]) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def cache_folder(cache: Path | None) -> Path:
    """The folder of all packed images: below what is given, ``$RECONSCALE_CACHE``, or the user's cache folder."""
    if cache is None and os.environ.get("RECONSCALE_CACHE"):
        cache = Path(os.environ["RECONSCALE_CACHE"])
    if cache is None:
        import platformdirs

        cache = Path(platformdirs.user_cache_dir("reconscale", appauthor=False))
    return cache.expanduser().resolve() / "images"

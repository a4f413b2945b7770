"""Answers that are a pure function of packed images, and take long to find: kept beside the stores."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from reconscale.files import to_json, write_whole
from reconscale.imaging.pixels import Pixels
from reconscale.mistakes import Mistake

T = TypeVar("T")

LEAST = 10_000
"""Images from which on an answer is kept; for fewer, finding it anew is as quick."""


def remembered(question: str, about: Sequence[tuple[str, Pixels]], find: Callable[[], T]) -> T:
    """The answer to a question about images, found now or at an earlier time.

    It is kept under a hash of the question and of names, pixels and order of the images; a kept answer that was
    damaged is found anew.

    Args:
        question: with the version of its algorithm.
        about: the images, with what they stand for.
        find: finds the answer: a JSON value.
    """
    if sum(len(pixels) for _, pixels in about) < LEAST:
        return find()
    key = hashlib.sha256(question.encode())
    for label, pixels in about:
        content = [pixels.store.manifest["files"][name] for name in ("names.txt", "hashes.npy")]
        key.update(f"\0{label}\0{' '.join(content)}\0{len(pixels)}\0".encode())
        key.update(np.ascontiguousarray(pixels.rows, np.int64).data)
    path = about[0][1].store.path.parent / "answers" / f"{key.hexdigest()[:32]}.json"
    kept: T | None = _kept(path)
    if kept is not None:
        return kept
    answer = find()
    try:
        write_whole(path, to_json({"answer": answer, "sha256": _hash(answer)}))
    except Mistake:  # the cache may be read-only: the answer is found anew the next time
        return answer
    return answer


def _kept(path: Path) -> Any:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return record["answer"] if record["sha256"] == _hash(record["answer"]) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _hash(answer: object) -> str:
    return hashlib.sha256(json.dumps(answer, sort_keys=True).encode()).hexdigest()

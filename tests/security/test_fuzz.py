"""Changed files give a value or a ``UserError``. A long campaign of the same kind is ``make fuzz``."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconscale.errors import UserError
from tests.security.readers import READERS, read

FOUND = sorted((Path(__file__).parent / "found").iterdir())

pieces = st.one_of(
    st.binary(max_size=8),
    st.sampled_from(
        [b"\0" * 8, b"\xff" * 8, b"1e400", b"nan", b"-1", b"=", b"[" * 50, b"\n", b"\x1b[31m", b"9" * 5000]
    ),
)
changes = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 8), pieces), min_size=1, max_size=6)


def outcome(name: str, data: bytes) -> object:
    """A value, or the UserError; every other exception is raised. Warnings of libraries are theirs."""
    folder = Path(tempfile.mkdtemp())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read(name, data, folder)
    except UserError as mistake:
        return mistake
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("name", READERS)
def test_valid_files_are_read(name: str) -> None:
    """The campaign starts from files that get far."""
    assert any(not isinstance(outcome(name, data), UserError) for data in READERS[name].valid()) or name in PARTIAL


PARTIAL = {"tensorboard-messages", "lightning", "yaml"}
"""Read as a part of a whole that then lacks something else."""


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=50, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(made=st.data())
def test_a_changed_file_gives_a_value_or_a_mistake(name: str, made: st.DataObject) -> None:
    data = bytearray(made.draw(st.sampled_from(READERS[name].valid())))
    for place, length, piece in made.draw(changes):
        at = int(place * len(data))
        data[at : at + length] = piece
    outcome(name, bytes(data[: made.draw(st.one_of(st.just(len(data)), st.integers(0, len(data))))]))


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name)
def test_what_the_campaign_found_stays_mended(path: Path) -> None:
    outcome(path.name.rpartition("-")[0], path.read_bytes())

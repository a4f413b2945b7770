"""The list of faults: added to line by line, read also where a writer died within one."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from reconscale.results.results_folder import KINDS, Incident, append_incident, count_incidents, read_incidents

FAULTS = st.builds(
    Incident, kind=st.sampled_from(KINDS), run=st.text(max_size=20), detail=st.text(max_size=20),
    lost=st.floats(0, 1e6, allow_nan=False),
)  # fmt: skip


@given(st.lists(FAULTS, max_size=6), st.integers(1, 30))
def test_what_is_noted_is_read(tmp_path_factory: object, faults: list[Incident], cut: int) -> None:
    folder: Path = tmp_path_factory.mktemp("runs")  # type: ignore[attr-defined]
    for fault in faults:
        append_incident(folder, fault)
    assert read_incidents(folder) == tuple(faults)
    path = folder / "faults.jsonl"
    if not faults:
        assert not path.exists()
        return
    content = path.read_bytes()
    path.write_bytes(content[: -min(cut, len(content.splitlines()[-1]))])  # the writer died within the last line
    append_incident(folder, faults[0])
    found = read_incidents(folder)
    assert found[-1] == faults[0] and found[:-1] in (tuple(faults[:-1]), tuple(faults))


def test_sums() -> None:
    faults = [Incident(kind="disk full"), *(Incident(kind="worker died", lost=lost) for lost in (1.0, 2.5))]
    assert count_incidents(faults) == {"worker died": (2, 3.5), "disk full": (1, 0.0)}
    assert count_incidents([]) == {}

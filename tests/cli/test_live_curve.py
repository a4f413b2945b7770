"""The curve that `reconscale run` draws on a terminal, and that it draws nothing anywhere else."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from reconscale.cli.curve_plot import LEAST, CurveData, curve_line, draw_curve
from reconscale.cli.live_curve import REDRAWN

from ..jobs.test_command import study as command_study  # noqa: F401 - a fixture
from .test_watch import ours

COLOUR = re.compile(r"\x1b\[[0-9;]*(?:3[0-7]|9[0-7])m")
WIDE = CurveData(
    {8: {10: [28.1, 28.2], 100: [28.9]}, 16: {10: [28.0], 30: [28.7], 100: [29.25]}},
    [10, 30, 100, 600],
    [("input", 20.17), ("block DCT", 28.4)],
    "psnr-rgb-clip, dB",
)


def on_a_terminal(words: list[str], columns: int, **environment: str) -> tuple[int, str, float]:
    """Exit code, all that is sent to a terminal of so many columns and 30 rows, and seconds."""
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    known = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    known |= {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"}
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, *words], stdin=there, stdout=there, stderr=there,
                               env=known | environment, start_new_session=True)  # fmt: skip
    os.close(there)
    said = b""
    while True:
        try:
            said += os.read(here, 65536)
        except OSError:  # the other side has closed it
            break
    os.close(here)
    return process.wait(60), said.decode(), time.monotonic() - began


def screen(said: str, columns: int) -> list[str]:
    """What stands on a terminal in the end, with what has been scrolled away."""
    rows, row, column = [[" "] * columns], 0, 0
    for code, char in re.findall(r"(\x1b\[[0-9;?]*[A-Za-z])|([^\x1b])", said):
        if code:
            count = int(re.sub(r"\D", "", code) or 1)
            if code[-1] == "A":
                row = max(0, row - count)
            elif code[-1] == "K":
                rows[row] = [" "] * columns
        elif char == "\r":
            column = 0
        elif char == "\n":
            row += 1
        else:
            if column == columns:  # it wraps
                row, column = row + 1, 0
            rows += [[" "] * columns for _ in range(row + 1 - len(rows))]
            rows[row][column] = char
            column += 1
        rows += [[" "] * columns for _ in range(row + 1 - len(rows))]
    return ["".join(each).rstrip() for each in rows]


def test_on_a_terminal(tmp_path: Path) -> None:
    code, said, seconds = on_a_terminal(ours(tmp_path / "small"), 80)
    assert code == 0, said
    rows = screen(said, 80)
    assert rows.count("psnr-rgb-clip, dB against n") == 1  # all those before were drawn over
    assert sum(row.startswith("[") for row in rows) == 3 and not any("━" in row for row in rows)
    rows = rows[rows.index("psnr-rgb-clip, dB against n") :]
    assert sum(row.count("●") for row in rows) == 4  # one for each run, and one in the legend
    assert any(re.search(r"^ +n 2 +4 +8$", row.rstrip()) for row in rows) and any("└──" in row for row in rows)
    assert "● width 2" in "\n".join(rows) and "input " in "\n".join(rows) and "block DCT" in "\n".join(rows)
    end = next(k for k, row in enumerate(rows) if "3 done" in row)  # the status comes after it
    assert all(len(row) < 80 for row in rows[:end])
    # A line that is printed draws everything again, too.
    drawings, lines = said.count("\x1b[1A"), said.count("\n")
    most_rows = 30
    assert drawings <= most_rows * (REDRAWN * seconds + lines)
    assert COLOUR.search(said)


def test_without_colours_and_without_unicode(tmp_path: Path) -> None:
    words = ours(tmp_path / "small")
    code, said, _ = on_a_terminal(words, 80, NO_COLOR="1", PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C")
    assert code == 0 and not COLOUR.search(said), said
    rows = screen(said, 80)
    assert "o width 2" in "\n".join(rows) and any(re.search(r"^ +\+-{20}", row) for row in rows)
    assert "●" not in said


def test_a_narrow_terminal_gets_a_line(tmp_path: Path) -> None:
    code, said, _ = on_a_terminal(ours(tmp_path / "small"), 40)
    kept = screen(said, 40)
    assert code == 0 and "against n" not in said
    assert any(line.startswith("psnr-rgb-clip, dB, width 2: n 2: ") and len(line) <= 40 for line in kept), kept


def test_a_log_gets_no_curve_and_no_codes(tmp_path: Path) -> None:
    made = subprocess.run([sys.executable, *ours(tmp_path / "small")], capture_output=True, text=True)
    assert made.returncode == 0 and "\x1b" not in made.stderr + made.stdout
    assert "against n" not in made.stderr and "[3/3]" in made.stderr


def test_of_a_command(command_study: Path) -> None:  # noqa: F811 - the fixture
    words = ["-m", "reconscale", "run", str(command_study), "--allow-commands", "--workers", "1"]
    code, said, _ = on_a_terminal(words, 90)
    kept = "\n".join(screen(said, 90))
    assert code == 0 and "psnr, dB against n" in kept and "● width 4   ▲ width 8" in kept, said


def shown(data: CurveData, columns: int = 80, rows: int = 16, *, unicode: bool = True) -> list[str]:
    return [row.plain for row in draw_curve(data, columns, rows, unicode=unicode)]


def test_what_is_drawn() -> None:
    rows = shown(WIDE)
    assert len(rows) == 16 and all(len(row) <= 80 for row in rows)
    assert rows[0] == "psnr-rgb-clip, dB against n"
    assert "▲" in rows[1] + rows[2]  # the best run is on top
    assert "input 20.17 (not drawn)" in rows[-1] and "block DCT 28.40" in "\n".join(rows[1:-1])
    columns = [rows[-2].index(text) for text in ("n 10", "30", "600")]
    marks = [row.index("▲") for row in rows if "▲" in row[:-1] and "width" not in row]
    assert max(marks) < columns[2] and columns == sorted(columns)  # nothing at 600 yet, and the axis ends there
    step = (rows[-2].index("600") - rows[-2].index("n 10")) / 1.778  # decades from 10 to 600
    assert abs(rows[-2].index("100") - rows[-2].index("n 10") - step) <= 3


def test_every_character_is_ascii_where_it_must() -> None:
    assert all(row.isascii() for row in shown(WIDE, unicode=False))


@pytest.mark.parametrize(
    "data",
    [
        CurveData({0: {10: [0.8]}}, [10], [], "ssim", 4),
        CurveData({0: {10: [0.8], 20: [0.8]}}, [10, 20], [("input", 0.8)], "ssim", 4),
        CurveData({2: {1: [-3.0]}, 3: {10**9: [1e6]}}, [1, 10**9], [("é" * 200, 2.0)], "mse", 4),
    ],
    ids=["one value", "flat", "wide"],
)
@pytest.mark.parametrize("size", [LEAST, (200, 50), (80, 24)])
def test_odd_curves(data: CurveData, size: tuple[int, int]) -> None:
    for unicode in (True, False):
        rows = shown(data, *size, unicode=unicode)
        assert rows and all(len(row) <= size[0] for row in rows) and len(rows) <= size[1]


def test_no_room_and_nothing_to_draw() -> None:
    assert shown(WIDE, LEAST[0] - 1) == [] and shown(WIDE, 80, LEAST[1] - 1) == []
    empty = CurveData({}, [1], [], "psnr, dB")
    assert shown(empty) == [] and curve_line(empty) == ""
    assert curve_line(WIDE).startswith(
        "psnr-rgb-clip, dB, width 16: n 10: 28.00, n 30: 28.70, n 100: 29.25; input 20.17"
    )

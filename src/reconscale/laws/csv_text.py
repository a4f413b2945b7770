"""The cells of a text table: encodings, separators, marks of decimals and of thousands."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reconscale.errors import UserError
from reconscale.files import read_limited
from reconscale.laws.column_names import words_of
from reconscale.laws.column_units import without_units

SEPARATORS = (",", ";", "\t")
"""What may stand between two cells; the first that fits all lines, where several do."""
DECLARED = re.compile(r'"?sep=([,;|\t])"?\s*', re.IGNORECASE)
"""A first line by which spreadsheets say what separates the cells."""
DECIMAL_COMMA = re.compile(r"[+-]?(\d+),(\d+)(?:[eE][+-]?\d+)?")
THOUSANDS = re.compile(r"\d{1,3}(?:\.\d{3})+")
"""One number or a thousand times as much, depending on where one lives."""
GROUPED = re.compile(r"\d{1,3}(?:[ ,.'\u2019\u00a0\u202f\u2009]\d{3})+")
"""A whole number with marks between its thousands, of whatever kind."""
THOUSAND_SIGN = re.compile(r"(\d+(?:\.\d+)?) ?([kKM])")
"""A number in thousands, 10k, or in millions, 1.9M."""
THOUSANDS_OF = {"k": 1e3, "m": 1e6}
WITH_UNIT = re.compile(r"([+-]?\d+(?:\.\d+)?) ?(%|[A-Za-z]+)")
"""A number and its unit."""
WITH_SPREAD = re.compile(r"([+-]?\d+(?:\.\d+)?) ?(?:\u00b1|\+/?-|\()[ \d.]+\)?")
"""A mean and its spread, 30.85 +- 0.1 or 30.85 (0.10)."""
COUNTS = ("n", "p", "width", "seed", "steps")
"""Columns of whole numbers, in which a point before three digits may be a mark of thousands."""


@dataclass(frozen=True)
class Sheet:
    """A table as text.

    Attributes:
        header: names of the columns, stripped; they may occur twice.
        rows: (line, cells) of each row that is not empty, cells stripped, as many as the header has or not.
    """

    header: list[str]
    rows: list[tuple[int, list[str]]]


def read_cells(path: Path, most: int, remedy: str) -> Sheet | None:
    """The cells of a text file: UTF-8, or UTF-16 with a byte order mark; line ends of any system.

    Cells are separated by commas, semicolons or tabs: what the first line ``sep=;`` says, else what gives every line as
    many cells as the header. Between semicolons and tabs decimals may be written with commas, which are read as points
    where one of them cannot be a mark of thousands. Lines before the table that begin with # are comments, but for a
    header there, as of ``numpy.savetxt``. Units in the names of n and p are applied (:mod:`.column_units`).

    Args:
        path: the file.
        most: bytes that it may have.
        remedy: what to advise where it is no table.

    Returns:
        The cells, or None of an empty file.

    Raises:
        UserError: the file cannot be read, its encoding or its quotes are broken, or a unit is not known.
    """
    text = decode(path, read_limited(path, most), "save it as CSV in UTF-8")
    if "\n" not in text:
        text = text.replace("\r", "\n")
    text = text.replace("\r\r\n", "\r\n")
    text = _without_comments(text)
    first, _, rest = text.partition("\n")
    declared = DECLARED.fullmatch(first.strip("\r"))
    if declared:
        lines, mark = _lines(path, rest, declared[1], remedy), declared[1]
        lines = [(line + 1, row) for line, row in lines]
    else:
        lines, mark = _separated(path, text, remedy)
    lines = [(line, [cell.strip() for cell in row]) for line, row in lines]
    if not lines:
        return None
    rows = [(line, row) for line, row in lines[1:] if row != lines[0][1]]  # a header again, as of files put together
    if mark != ",":
        _read_decimal_commas(lines[0][1], [row for _, row in rows])
    return Sheet(without_units(path, lines[0][1], [row for _, row in rows]), rows)


def _without_comments(text: str) -> str:
    """The text with empty lines for those that begin with # before the table; the last of them may be the header."""
    lines = text.split("\n")
    start = 1 if DECLARED.fullmatch(lines[0].strip("\r")) else 0
    end = start
    while end < len(lines) and (lines[end].startswith("#") or not lines[end].strip()):
        end += 1
    marked = [place for place in range(start, end) if lines[place].startswith("#")]
    if not marked:
        return text
    last = marked[-1]
    header = lines[last][1:].strip()
    for place in marked:
        lines[place] = ""
    if end < len(lines) and _heads(header, lines[end]):
        lines[last] = header
    return "\n".join(lines)


def _heads(header: str, row: str) -> bool:
    """Whether a commented line is the header of the row of numbers below it."""
    for mark in SEPARATORS:
        names, cells = header.split(mark), row.split(mark)
        if len(names) == len(cells) > 1 and any(map(_is_number, cells)) and not any(map(_is_number, names)):
            return True
    return False


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\s*\"?[+-]?[\d.,]*\d[\d.,]*(?:[eE][+-]?\d+)?\"?\s*", text) is not None


def decode(path: Path, data: bytes, remedy: str = "save it in UTF-8") -> str:
    """The text of a file in UTF-8 (with or without a byte order mark), or in UTF-16 with one.

    Raises:
        UserError: it is neither.
    """
    marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if marked and not data.startswith(codecs.BOM_UTF32_LE):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError as error:
            raise UserError(path, f"is not UTF-16 (byte {error.start})", remedy) from error
    if b"\0" in data[:4096]:
        raise UserError(path, "holds zero bytes: it is UTF-16 without a byte order mark, or no text", remedy)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(path, f"is not UTF-8 (byte {error.start})", remedy) from error


def check_thousands(where: object, name: str, texts: Sequence[str], *, written: bool = False) -> None:
    """Refuse whole numbers whose points may be marks of thousands: 1.000 is a thousand in half of Europe.

    Args:
        where: the file, for the message.
        name: the column's name.
        texts: its cells.
        written: whether every number of the table, the measured ones too, is written with three decimals.

    Raises:
        UserError: some number reads as one value here and as another elsewhere.
    """
    doubtful = [text for text in texts if THOUSANDS.fullmatch(text)]
    plain = [text for text in texts if not THOUSANDS.fullmatch(text)]
    if not doubtful or any("." in text for text in plain):  # 1000.000, 2.0: there the point is one of decimals
        return
    if not plain and written and all(text.endswith(".000") for text in doubtful):
        return
    beside = f" beside '{plain[0]}'" if plain else ""
    without = doubtful[0].replace(".", "")
    raise UserError(
        f"{where}, column '{name}'",
        f"found '{doubtful[0]}'{beside}, which is {float(without):g} in one half of Europe and "
        f"{doubtful[0].split('.')[0]} in the other",
        f"write {without} or {doubtful[0].split('.')[0]}, without a mark between thousands",
    )


def advise_number(text: str, *, whole: bool = False) -> str:
    """What to write instead of a cell that is no number, or nothing to advise; ``whole``: of a count.

    >>> advise_number("30,85"), advise_number("1,000"), advise_number("1 000"), advise_number("n/a")
    ('write 30.85', 'write 1.000 or 1000', 'write 1000', '')
    >>> advise_number("1,000", whole=True)
    'write 1000'
    >>> advise_number("10k"), advise_number("30.85 dB"), advise_number("10 %")
    ('write 10000', 'write 30.85, without the unit', 'write the number itself, not a share in per cent')
    """
    if found := THOUSAND_SIGN.fullmatch(text):
        return f"write {float(found[1]) * THOUSANDS_OF[found[2].lower()]:.15g}"
    if found := WITH_UNIT.fullmatch(text):
        per_cent = "write the number itself, not a share in per cent"
        return per_cent if found[2] == "%" else f"write {found[1]}, without the unit"
    if found := WITH_SPREAD.fullmatch(text):
        return f"write {found[1]}, without its spread, or better one row a run"
    plain = re.sub(r"[ ,'\u2019\u00a0\u202f\u2009]", "", text)
    if DECIMAL_COMMA.fullmatch(text) and not (whole and GROUPED.fullmatch(text)):
        point = text.replace(",", ".")
        return f"write {point} or {plain}" if GROUPED.fullmatch(text) else f"write {point}"
    if GROUPED.fullmatch(text):
        return f"write {plain.replace('.', '') if text.count('.') > 1 else plain}"
    return ""


def _separated(path: Path, text: str, remedy: str) -> tuple[list[tuple[int, list[str]]], str]:
    """The lines cut by the separator that fits all of them; by commas where none does."""
    fitting: list[tuple[bool, int, int, str, list[tuple[int, list[str]]]]] = []
    for rank, mark in enumerate(SEPARATORS):
        if mark not in text:
            continue
        try:
            lines = _lines(path, text, mark, remedy)
        except UserError:
            continue
        cells = len(lines[0][1]) if lines else 0
        if cells > 1:
            ragged = any(len(row) != cells for _, row in lines)
            fitting.append((ragged, -cells, rank, mark, lines))
    if not fitting:
        return _lines(path, text, ",", remedy), ","
    *_, mark, lines = min(fitting, key=lambda found: found[:3])
    return lines, mark


def _lines(path: Path, text: str, mark: str, remedy: str) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=mark)
    try:
        return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}", f"is not CSV ({error})", remedy) from error


def _read_decimal_commas(header: list[str], rows: list[list[str]]) -> None:
    """Write decimal commas as points, in place, where one of them shows that commas are no marks of thousands.

    It has not three decimals, or begins with 0, or is a PSNR: there is none of thousands of dB.
    """
    found = [match for row in rows for cell in row if (match := DECIMAL_COMMA.fullmatch(cell))]
    decibels = [place for place, name in enumerate(header) if "psnr" in words_of(name)]
    if not any(len(match[2]) != 3 or len(match[1]) > 3 or match[1].startswith("0") for match in found) and not any(
        DECIMAL_COMMA.fullmatch(cell) for row in rows for place in decibels for cell in row[place : place + 1]
    ):
        return
    for row in rows:
        row[:] = [cell.replace(",", ".") if DECIMAL_COMMA.fullmatch(cell) else cell for cell in row]

"""Tables for spreadsheets: Excel and LibreOffice take marks and separators from the country of the machine.

Where decimals are written with a comma, cells are parted by semicolons. Either way the file begins with a byte order
mark, without which Excel takes UTF-8 for the machine's own encoding. :func:`.csv_text.read_cells` reads both back.
"""

from __future__ import annotations

import re

from reconscale.errors import UserError, suggest

SPREADSHEETS = {"point": ",", "comma": ";"}
"""Mark of decimals -> what separates cells."""
MARK = "\ufeff"
"""The byte order mark."""
_THOUSANDS = re.compile(r"-?\d{1,3},\d{3}")


def check_spreadsheet(spreadsheet: str) -> None:
    """Refuse an unknown kind of spreadsheet; empty: the file is for programs.

    Raises:
        UserError: it is neither ``point`` nor ``comma``.
    """
    if spreadsheet and spreadsheet not in SPREADSHEETS:
        remedy = f"{suggest(spreadsheet, list(SPREADSHEETS))} (the mark of decimals in your spreadsheet)"
        raise UserError("spreadsheet", f"found '{spreadsheet}'", remedy)


def spelt(value: float, spreadsheet: str) -> str:
    """A number as the spreadsheet reads it, with all digits.

    Three decimals get a fourth one, 0: 12,345 may be twelve thousand, 12,3450 is not.

    >>> spelt(0.1, ""), spelt(0.1, "comma"), spelt(12.345, "comma"), spelt(1.5e-07, "comma")
    ('0.1', '0,1', '12,3450', '1,5e-07')
    """
    text = repr(value)
    if spreadsheet != "comma":
        return text
    text = text.replace(".", ",")
    return f"{text}0" if _THOUSANDS.fullmatch(text) else text

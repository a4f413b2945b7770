"""Numbers as people read them: on the command line, in sentences and in reports.

Every number that a person reads is written by one of these functions, with one minus sign (U+2212). Numbers for
programs (JSON, CSV) are not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

MINUS = "−"
DAY = 86400.0


def plain(value: float, digits: int = 2) -> str:
    """A number with ``digits`` decimals, a true minus sign, and no minus before zero.

    >>> plain(-0.001), plain(1234.5678, 1)
    ('0.00', '1,234.6')
    """
    text = f"{value:,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def signed(value: float, digits: int = 2) -> str:
    """Like :func:`plain`, with a plus before gains.

    >>> signed(0.213), signed(-0.2)
    ('+0.21', '−0.20')
    """
    text = plain(value, digits)
    return text if text.startswith(MINUS) or float(text.replace(",", "")) == 0 else f"+{text}"


def amount(value: float) -> str:
    """A size such as n, exactly where it is whole.

    >>> amount(1200), amount(12.5), amount(3e6)
    ('1,200', '12.5', '3 million')
    """
    for size, name in ((1e9, "billion"), (1e6, "million")):
        if value >= size:
            return f"{_trimmed(value / size)} {name}"
    return f"{round(value):,}" if abs(value - round(value)) < 1e-9 or value >= 100 else f"{value:.3g}"


def short(value: float) -> str:
    """A size for an axis or a table of networks.

    >>> short(46499203), short(116707), short(600), short(10000)
    ('46.5 M', '117 k', '600', '10 k')
    """
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size * 0.9995:
            return f"{_trimmed(value / (1e3 if letter == 'k' else size))} {letter}"
    return amount(value)


def duration(seconds: float) -> str:
    """A time that a person can compare.

    >>> duration(0.4), duration(95), duration(5400), duration(259200)
    ('0.4 s', '1.6 min', '1.5 h', '3 days')
    """
    for unit, name in ((DAY, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= unit * (2 if name == "days" else 1):
            return f"{seconds / unit:.2g} {name}" if seconds / unit < 9.95 else f"{seconds / unit:,.0f} {name}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def general(value: float) -> str:
    """A number of unknown size with four digits.

    >>> general(0.0001234), general(29.2134), general(123456.0)
    ('0.0001234', '29.21', '123,456')
    """
    if 1e4 <= abs(value) < 1e7:
        return plain(value, 0)
    return f"{value:.4g}".replace("-", MINUS) if math.isfinite(value) else "unknown"


def tell_apart(values: Sequence[float], digits: int = 6) -> list[str]:
    """Numbers with as many digits as tell different ones apart.

    >>> tell_apart([30.0, 30.000001]), tell_apart([30.8, 29.0, 29.0])
    (['30.000000', '30.000001'], ['30.8', '29', '29'])
    """
    while digits < 17 and len({f"{value:.{digits}g}" for value in values}) < len(set(values)):
        digits += 1
    return [f"{value:.{digits}g}" if digits == 6 else f"{value:#.{digits}g}" for value in values]


def times(count: int, what: str) -> str:
    """A count with its noun.

    >>> times(1, "run"), times(3, "run")
    ('1 run', '3 runs')
    """
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def number(cell: str | float | None) -> float:
    """An entry of a table as a number; what is not known is NaN.

    >>> number(None), number(3)
    (nan, 3.0)
    """
    return float("nan") if cell is None else float(cell)


def format_chance(probability: float) -> str:
    """In per cent, never closer to certainty than 1 %."""
    if probability > 0.99:
        return "above 99 %"
    return "below 1 %" if probability < 0.01 else f"{100 * probability:.0f} %"


def round_interval(value: float, digits: int = 2) -> str:
    """An amount with ``digits`` leading digits; ``never`` where it is infinite.

    >>> round_interval(1234.0), round_interval(-0.0321), round_interval(float("inf"))
    ('1,200', '−0.032', 'never')
    """
    if math.isinf(value):
        return "never"
    if value == 0:
        return "0"
    if abs(value) >= 1e6:
        return amount(float(f"{value:.{digits}g}"))
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return plain(round(value, places), max(0, places))


def round_count(value: float) -> str:
    """A number of things that come whole, such as photographs, with two leading digits; ``never`` where infinite.

    >>> round_count(1234.0), round_count(8.1), round_count(0.4), round_count(float("inf"))
    ('1,200', '8', '0.40', 'never')
    """
    return round_interval(float(round(value)), 1) if 1 <= value < 9.5 else round_interval(value)


def by_uncertainty(value: float, low: float, high: float) -> tuple[str, str, str]:
    """A number and its interval with as many digits as the interval leaves a meaning: two of half its width.

    >>> by_uncertainty(0.00185012, 0.00126204, 0.00269311), by_uncertainty(57.51, 43.35, 153.2)
    (('0.00185', '0.00126', '0.00269'), ('58', '43', '153'))
    >>> by_uncertainty(0.5, 0.5, 0.5), by_uncertainty(29.2134, float("nan"), float("nan"))
    (('0.5', '0.5', '0.5'), ('29.21', 'unknown', 'unknown'))
    """
    half = 0.5 * (high - low)
    if not (math.isfinite(half) and math.isfinite(value) and half > 0):
        return general(value), general(low), general(high)
    places = 1 - math.floor(math.log10(half))
    if places > 8:
        return general(value), general(low), general(high)
    first, second, third = (plain(round(number, places), max(0, places)) for number in (value, low, high))
    return first, second, third


def format_factor(value: float) -> str:
    """A factor above 1: of one near 1 what is above it matters, of a large one its size.

    >>> format_factor(1.0234), format_factor(1.64), format_factor(86.42), format_factor(1234.0)
    ('1.02', '1.64', '86', '1,200')
    """
    return f"{value:.3g}" if value < 10 else round_interval(value)


def _trimmed(value: float) -> str:
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"

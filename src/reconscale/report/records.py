"""Answers as plain values for other programs."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from reconscale.report.choice import Choice


def choice_record(choice: Choice) -> dict[str, Any]:
    """The decision, what the target and the next step need, and what to run next."""
    return {
        "decision": asdict(choice.decision),
        "target": None if choice.needed is None else asdict(choice.needed),
        "price": asdict(choice.price),
        "next": [asdict(item) for item in choice.experiments],
    }


def cleaned(value: Any) -> Any:
    """The same with None for what JSON cannot spell: infinite (never reached) and unknown numbers."""
    if isinstance(value, dict):
        return {key: cleaned(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

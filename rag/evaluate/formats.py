"""Numbers and texts as readers see them, in the terminal and in the report.

Knows what a metric's unit asks for; knows neither HTML pages nor Rich.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Mapping
from typing import Any

from rag.evaluate.catalogue import Metric


def number(value: float, unit: str = "") -> str:
    """Write a value: shares with three decimals, other units as precisely as they deserve."""
    if unit == "":
        return f"{value:.3f}"
    if unit == "s":
        return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"
    return f"{value:,.0f}"


def with_unit(value: float, unit: str) -> str:
    """Write a value and its unit."""
    return f"{number(value, unit)} {unit}".rstrip()


def interval(row: Mapping[str, Any], unit: str = "") -> str:
    """Write the 95% interval of a summary's row, `–` where there is none."""
    if row["low"] is None:
        return "–"
    return f"{number(row['low'], unit)} … {number(row['high'], unit)}"


def signed(value: float, metric: Metric) -> str:
    """Write a difference with its sign; a zero has none."""
    text = number(abs(value), metric.unit)
    if not any(c in "123456789" for c in text):
        return text
    return f"{'+' if value > 0 else '−'}{text}"


def markup(text: str) -> str:
    """Return a text of a document or a question for HTML: escaped, without control characters.

    Line ends and tabs stay; the characters that turn the direction of what follows go,
    because they would turn ours too.
    """
    kept = "".join(c for c in text if c in "\n\t" or not _controls(c))
    return html.escape(kept, quote=True)


def _controls(character: str) -> bool:
    joiner = character in "\u200c\u200d\u200e\u200f"  # ordinary in Hindi, Persian, Arabic
    return not joiner and unicodedata.category(character) in {"Cc", "Cf", "Cs"}

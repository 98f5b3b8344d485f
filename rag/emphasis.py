"""Emphasis that a generator writes (**bold**, *italic*, `code`) as styled text.

Nothing else of Markdown: an answer is a line. Rich's own renderer fills lines up with
spaces, which run over where a terminal finds Hindi wider than Rich does. Links, HTML and
entities stay the characters they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from rich.text import Text

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

MARKS = "*_`"
_STYLES = {"strong": "bold underline", "em": "italic"}


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # few answers have such a mark

    return MarkdownIt("zero").enable(["emphasis", "backticks"])


def emphasised(text: str, quotes: Iterable[str] = ()) -> Text:
    """Return the text with its emphasis as style, the marks gone.

    Where one of the sentences it was read from holds such marks itself, they are the
    document's, and the text stays as it is.
    """
    theirs = any(mark in quote for quote in quotes for mark in MARKS)
    if theirs or not any(mark in text for mark in MARKS):
        return Text(text)
    shown = Text()
    styles: list[str] = []
    for line in _parser().parseInline(text):
        for token in line.children or []:
            kind, _, edge = token.type.rpartition("_")
            if edge == "open":
                styles.append(_STYLES[kind])
            elif edge == "close":
                styles.pop()
            else:
                style = "bold" if token.type == "code_inline" else " ".join(styles)
                shown.append("\n" if token.type == "softbreak" else token.content, style or None)
    return shown

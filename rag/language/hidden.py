"""What a text holds that nobody sees: invisible characters, and codes for terminals.

A file can carry whole sentences in characters that no program draws (zero width, tags,
variation selectors, fillers), turn round what is drawn (bidirectional overrides), or put
text into a terminal's control strings. Some such characters are ordinary in their place:
joiners in Hindi, Persian and emoji, one variation selector behind a sign. `hidden_spans`
tells the two apart; `visible` gives the text as a reader sees it. It does not judge what
is said.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from rag.language.characters import IGNORABLE, is_cased

_JOINERS = ("\u200c", "\u200d")
_LONGEST_STRING = 4096
# ECMA-48: control sequences, and strings (titles, links, the clipboard) up to their end.
_CODES = (
    r"(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])"
    rf"[^\x07\x1b\x9c\n\r]{{0,{_LONGEST_STRING}}}(?:\x07|\x1b\\|\x9c)"
)
_HIDDEN = re.compile(f"{_CODES}|[{IGNORABLE}]+")
_EMOJI_JOINED = "\ufe0f\u200d"  # ❤️‍🔥: a selector, then a joiner


def hidden_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of what is not seen, in order."""
    for match in _HIDDEN.finditer(text):
        if not _belongs(text, *match.span()):
            yield match.span()


def visible(text: str) -> str:
    """Return the text without what is not seen."""
    parts, done = [], 0
    for start, end in hidden_spans(text):
        parts.append(text[done:start])
        done = end
    return "".join([*parts, text[done:]])


def _belongs(text: str, start: int, end: int) -> bool:
    """Whether an invisible character is ordinary where it stands: alone, behind its sign."""
    run, before = text[start:end], text[start - 1 : start]
    if not before or before.isspace():
        return False
    if run in _JOINERS:
        return not before.isascii() and not is_cased(before)
    if run == _EMOJI_JOINED or (len(run) == 1 and "\ufe00" <= run <= "\ufe0f"):
        return before in "#*0123456789" or not before.isascii()
    is_variant = len(run) == 1 and "\U000e0100" <= run <= "\U000e01ef"
    return is_variant and unicodedata.category(before) == "Lo"

"""Sources, passages and reasons on the terminal: for the session, and for `ask`'s flags.

Prints on the console of a `Display`; text of documents goes through `printable`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.padding import Padding
from rich.text import Text

from rag.calibration import Calibration
from rag.conversation import Turn
from rag.datatypes import Answer, Evidence, Hit, Quote
from rag.display import Display, at_spaces, one_line
from rag.errors import UsageError
from rag.explain import reasons
from rag.passage import Passage, numbered, passage_of, pick
from rag.reading import printable
from rag.session import Session

_SPACES = re.compile(r"[^\S\n]+")
_BREAKS = re.compile(r"\s*\n\s*")


def show_sources(session: Session, display: Display, answer: Answer) -> None:
    """List what an answer rests on with full paths, copies included."""
    cited = numbered(answer)
    if not cited:
        raise UsageError("Nothing was found, so there are no sources")
    if answer.refused:
        display.line("Closest found, not an answer:", "dim")
    for citation in cited:
        _head(display, f"[{citation.number}]", citation.quote)
        for quote in (citation.quote, *citation.also):
            _place(session, display, quote)


def _head(display: Display, label: str, quote: Quote) -> None:
    page = f", page {quote.chunk.page}" if quote.chunk.page is not None else ""
    head = Text.assemble((f"{label} ", "bold cyan"), (printable(quote.chunk.path), "cyan"))
    head.append(f"{page}, characters {quote.start:,}–{quote.end:,}")
    display.out.print(head, soft_wrap=True)


def _place(session: Session, display: Display, quote: Quote) -> None:
    _, source = session.index.text.origin(quote.chunk.path)
    text = printable(source or f"{quote.chunk.path} (no longer in the index)")
    display.out.print(Text(f"    {text}", style="dim"), soft_wrap=True)


def show_passage(session: Session, display: Display, answer: Answer, number: int) -> None:
    """Show a citation in its context; raises `UsageError` where there is none of that number."""
    citation = pick(answer, number)
    passage = passage_of(citation.quote, session.index.text.text(citation.path))
    _head(display, f"[{number}]", citation.quote)
    _place(session, display, citation.quote)
    display.out.print()
    body = passage_text(passage, display.out.width - 4 if display.out.is_terminal else None)
    display.out.print(Padding(body, (0, 0, 0, 4)) if display.out.is_terminal else body)
    display.stale(session.changed([citation.path]))


def passage_text(passage: Passage, width: int | None) -> Text:
    """Return a passage with its quote marked: in bold on a terminal, between ⟦ and ⟧ else.

    `width` is that of the terminal, in cells, `None` where there is none.
    """
    marks = ("", "") if width else ("⟦", "⟧")
    before = _flowing(("… " if passage.cut_before else "") + passage.before)
    quote = f"{marks[0]}{_flowing(passage.quote.text)}{marks[1]}"
    after = _flowing(passage.after + (" …" if passage.cut_after else ""))
    text = f"{before}{quote}{after}"
    if width:
        text = "\n".join(at_spaces(line, width) for line in text.split("\n"))
    body = Text(text)
    body.stylize("dim", 0, len(before))
    body.stylize("bold green", len(before), len(before) + len(quote))
    body.stylize("dim", len(before) + len(quote), len(text))
    return body


def _flowing(text: str) -> str:
    """Return a text safe to print, each paragraph on a line."""
    lines = _BREAKS.sub("\n", _SPACES.sub(" ", text)).split("\n")
    return "\n".join(printable(line) for line in lines)


def show_why(session: Session, display: Display, turn: Turn) -> None:
    """Tell how an answer came about: verdict, work, chunks found, sentences read."""
    if turn.answer is None:
        return
    shipped = Calibration.shipped()
    lines = reasons(
        turn,
        threshold=shipped.threshold,
        cosine_floor=shipped.cosine_floor,
        wanted=session.wanted,
    )
    for line in lines:
        display.out.print(Text(one_line(line)))
    _show_hits(display, turn.answer.hits)
    _show_sentences(display, turn.answer)


def _show_hits(display: Display, hits: Sequence[Hit]) -> None:
    if hits:
        display.line("\nFound, best first (closeness in meaning; words in common):", "bold")
    for number, hit in enumerate(hits, 1):
        chunk = hit.chunk
        page = f", page {chunk.page}" if chunk.page is not None else ""
        said = f"meaning {hit.dense:.2f} (#{hit.dense_rank})"
        if hit.keyword_rank is not None:
            matched = ", ".join(map(one_line, hit.matched))
            said += f"; words {hit.keyword:.0%} (#{hit.keyword_rank}): {matched}"
        if hit.reranked is not None:
            said += f"; reranker {hit.reranked:.2f}"
        place = f"{printable(chunk.path)}{page}, characters {chunk.start:,}–{chunk.end:,}"
        display.out.print(
            Text.assemble((f"{number:>2}. ", "bold"), (place, "cyan")), soft_wrap=True
        )
        _indented(display, said, "dim")


def _show_sentences(display: Display, answer: Answer) -> None:
    if answer.evidence:
        display.line("\nSentences to read, best first:", "bold")
    numbers = {c.quote: c.number for c in answer.citations}
    for item in answer.evidence:
        _show_sentence(display, item, numbers.get(item.quote))


def _show_sentence(display: Display, item: Evidence, cited: int | None) -> None:
    head = Text.assemble(
        (f"{item.number:>2}. ", "bold"),
        (printable(item.quote.chunk.path), "cyan"),
        f"  meaning {item.score:.2f}",
    )
    if cited is not None:
        head.append(f"  cited as [{cited}]", "bold green")
    display.out.print(head, soft_wrap=True)
    _indented(display, f"“{one_line(item.quote.text)}”", "")


def _indented(display: Display, text: str, style: str) -> None:
    if display.out.is_terminal:
        body = Text(at_spaces(text, display.out.width - 4), style=style)
        display.out.print(Padding(body, (0, 0, 0, 4)))
    else:
        display.out.print(Text(f"    {text}"))

"""Sources, passages and reasons on the terminal: for the session, and for `ask`'s flags.

Prints on the console of a `Display`; text of documents goes through `printable`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from rag.calibration import Calibration
from rag.conversation import Turn
from rag.datatypes import Answer, Evidence, Hit, Quote
from rag.display import Display, one_line
from rag.errors import UsageError
from rag.explain import reasons
from rag.passage import Passage, numbered, passage_of, pick
from rag.reading import printable
from rag.session import Session

_SPACES = re.compile(r"[^\S\n]+")
_BREAKS = re.compile(r"\s*\n\s*")


def show_table(display: Display, rows: Sequence[tuple[str, str]]) -> None:
    """Print the program's own words in two columns."""
    table = Table.grid(padding=(0, 2), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for left, right in rows:
        table.add_row(Text(f"  {left}", style="cyan"), Text(right))
    display.out.print(table)


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
    _, source = session.text.origin(quote.chunk.path)
    text = printable(source or f"{quote.chunk.path} (no longer in the index)")
    display.out.print(Text(f"    {text}", style="dim"), soft_wrap=True)


def show_passage(session: Session, display: Display, answer: Answer, number: int) -> None:
    """Show a citation in its context; raises `UsageError` where there is none of that number."""
    citation = pick(answer, number)
    passage = passage_of(citation.quote, session.text.text(citation.path))
    _head(display, f"[{number}]", citation.quote)
    _place(session, display, citation.quote)
    display.out.print()
    display.indented(passage_text(passage, styled=display.out.is_terminal))
    display.stale(session.changed([citation.path]))


def passage_text(passage: Passage, *, styled: bool) -> Text:
    """Return a passage with its quote marked: in bold where `styled`, else by ⟦ and ⟧."""
    marks = ("", "") if styled else ("⟦", "⟧")
    before = _flowing(("… " if passage.cut_before else "") + passage.before)
    quote = f"{marks[0]}{_flowing(passage.quote.text)}{marks[1]}"
    after = _flowing(passage.after + (" …" if passage.cut_after else ""))
    return Text.assemble((before, "dim"), (quote, "bold green"), (after, "dim"))


def _flowing(text: str) -> str:
    """Return a text safe to print, each paragraph on a line."""
    lines = _BREAKS.sub("\n", _SPACES.sub(" ", text)).split("\n")
    return "\n".join(printable(line) for line in lines)


def show_why(session: Session, display: Display, turn: Turn) -> None:
    """Tell how an answer came about: verdict, work, chunks found, sentences read."""
    if turn.answer is None:
        return
    shipped = Calibration.shipped(session.settings.strictness)
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
        display.line(
            "\nFound, best first: closeness in meaning, share of telling words, ranks", "bold"
        )
    for number, hit in enumerate(hits, 1):
        chunk = hit.chunk
        page = f", page {chunk.page}" if chunk.page is not None else ""
        said = f"meaning {hit.dense:.2f} (#{hit.dense_rank})"
        if hit.keyword_rank is not None:
            matched = ", ".join(map(one_line, hit.matched))
            said += f"; words {max(hit.keyword, 0.01):.0%} (#{hit.keyword_rank}): {matched}"
        if hit.reranked is not None:
            said += f"; reranker {hit.reranked:.2f}"
        place = f"{printable(chunk.path)}{page}, characters {chunk.start:,}–{chunk.end:,}"
        display.out.print(
            Text.assemble((f"{number:>2}. ", "bold"), (place, "cyan")), soft_wrap=True
        )
        display.indented(Text(said, style="dim"))


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
    display.indented(Text(f"“{one_line(item.quote.text)}”"))

"""Results as text or JSON.

With the session's `showing` and the evaluation's tables the only place that prints.

Answers go to standard output, progress and errors to standard error. Text of documents is
shown without its control characters, so that no file can send an escape to the terminal.
On a terminal lines are wrapped and coloured; into a pipe they go whole and plain.
"""

from __future__ import annotations

import json as jsonlib
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from rag.answer import CLOSEST_SHOWN
from rag.datatypes import Answer, Evidence, Hit, Manifest, Quote
from rag.emphasis import emphasised
from rag.errors import RagError
from rag.index import Listed
from rag.ingest import Report
from rag.language import hidden_spans, word_spans, words
from rag.language.characters import IGNORABLE
from rag.models import ModelStatus, Verified
from rag.reading import printable
from rag.retrieve import Found
from rag.wording import closest, disagreement, refusal

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from rag.doctor import Finding

JSON_VERSION = 1
# How far quotes stand in, in cells.
INDENT = 4
# jsonlib.dumps leaves these raw: C1 controls, line separators, and what is invisible.
# Joiners and the selectors of emoji belong to ordinary text.
_UNSAFE_JSON = re.compile(f"(?![\u200c\u200d\ufe0e\ufe0f])[\x7f-\x9f\u2028\u2029{IGNORABLE}]")
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")


def one_line(text: str) -> str:
    """Return a document's text on one line, safe to print.

    What turns the direction of text and what a terminal would obey is written as escapes.
    One other invisible character (a soft hyphen, say) is left out, as every program does;
    a run of them is told.
    """
    parts, done = [], 0
    for start, end in hidden_spans(text):
        parts += [text[done:start], _told(text[start:end])]
        done = end
    return printable(" ".join("".join([*parts, text[done:]]).split()))


def _told(hidden: str) -> str:
    if not re.fullmatch(f"[{IGNORABLE}]+", hidden):
        return hidden
    if len(hidden) == 1:
        return hidden if _TURNING.match(hidden) else ""
    return f"‹{len(hidden)} hidden characters›"


def at_spaces(text: str, width: int) -> str:
    """Turn spaces into line breaks so that lines have at most `width` cells where they can.

    The length stays, so offsets do. Terminals disagree whether a vowel sign (category Mc)
    takes a cell; here it does, so a line is never too long for any of them, which would
    cut a word of Hindi in the middle of a letter.
    """
    characters = list(text)
    used = upto = 0
    space: int | None = None
    for place, character in enumerate(text):
        used += _cells(character)
        if character == " ":
            space, upto = place, used
        elif used > width and space is not None:
            characters[space] = "\n"
            used -= upto
            space = None
    return "".join(characters)


def _cells(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def to_json(value: Mapping[str, Any], *, indent: int | None = None) -> str:
    """Write an object as JSON that is safe to print: readable, but no raw controls."""
    text = jsonlib.dumps(value, ensure_ascii=False, indent=indent)
    return _UNSAFE_JSON.sub(lambda m: jsonlib.dumps(m.group())[1:-1], text)


@contextmanager
def _unechoed() -> Iterator[None]:
    """Keep what is typed ahead off the screen, where it would break what is being drawn."""
    try:
        import termios

        terminal = sys.stdin.fileno()
        before = termios.tcgetattr(terminal)
    except (ImportError, OSError, ValueError, termios.error):  # no terminal, nothing to keep
        yield
        return
    silent = [*before]
    silent[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, silent)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)


class BarProgress:
    """A progress bar on standard error; a line instead where that is no terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def start(self, name: str, total: int | None) -> None:
        """Show a bar for `total` bytes."""
        self.finish()
        if not self._console.is_terminal:
            size = f" ({total / 1e6:,.1f} MB)" if total and total >= 100_000 else ""
            self._console.print(f"{printable(name)}{size} …", highlight=False, markup=False)
            return
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(compact=True),
            console=self._console,
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task(escape(printable(name)), total=total)

    def advance(self, count: int) -> None:
        """Move the bar by so many bytes."""
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, count)

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        self._console.print(Text(printable(text), style="dim"), soft_wrap=True)

    def finish(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None


class Display:
    """Prints everything that users see."""

    def __init__(self, *, quiet: bool = False, as_json: bool = False) -> None:
        self.out = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
        self.err = Console(stderr=True, highlight=False)
        self.quiet = quiet
        self.as_json = as_json
        self.progress = BarProgress(self.err)

    def line(self, text: str, style: str = "") -> None:
        """Print one line of the program's own text on standard output."""
        self.out.print(Text(text, style=style))

    def note(self, text: str) -> None:
        """Print one line for humans on standard error, unless quiet."""
        if not self.quiet:
            self.err.print(Text(printable(text), style="dim"), soft_wrap=True)

    def error(self, error: RagError) -> None:
        """Print a failure as one line on standard error."""
        self.progress.finish()
        self.err.print(
            Text.assemble(("Error: ", "bold red"), printable(str(error))), soft_wrap=True
        )

    def json(self, value: Mapping[str, Any], *, indent: int | None = 2) -> None:
        """Print an object as JSON on standard output."""
        sys.stdout.write(to_json(value, indent=indent) + "\n")
        sys.stdout.flush()

    @contextmanager
    def streaming(self) -> Iterator[Callable[[str], None]]:
        """Show an answer while it is written: on a terminal only, gone at the end."""
        if self.quiet or self.as_json or not self.out.is_terminal:
            yield lambda _: None
            return
        from rich.live import Live

        text = ""
        with (
            _unechoed(),
            Live(
                Text("reading …", style="dim"),
                console=self.out,
                transient=True,
                refresh_per_second=12,
            ) as live,
        ):

            def show(piece: str) -> None:
                nonlocal text
                text += printable(piece)
                # A line that a terminal finds too long would not be cleared at the end.
                shown = emphasised(text)
                shown.plain = at_spaces(shown.plain, self.out.width - 1)
                live.update(shown)

            yield show

    def answer(self, answer: Answer) -> None:
        """Print an answer and its sources, or the refusal and what came closest."""
        if self.quiet:
            self._quiet_answer(answer)
            return
        if answer.refused:
            self.out.print(Text(refusal(answer.language), style="bold yellow"))
            if answer.evidence:
                self.out.print(Text(f"\n{closest(answer.language)}", style="dim"))
            for item in answer.evidence[:CLOSEST_SHOWN]:
                self._quote("·", item.quote, frozenset(), style="dim")
            return
        if answer.disagree:
            self.out.print(Text(disagreement(answer.language), style="bold yellow"))
        said = emphasised(one_line(answer.text), [c.quote.text for c in answer.citations])
        said.stylize("bold")
        if self.out.is_terminal:
            said.plain = at_spaces(said.plain, self.out.width - 1)
        self.out.print(said)
        self.out.print()
        marked = frozenset(words(answer.text))
        for citation in answer.citations:
            label = f"[{citation.number}]"
            self._quote(label, citation.quote, marked, also=citation.also, date=citation.date)

    def question(self, question: str, *, first: bool) -> None:
        """Head an answer with its question, where there are several."""
        if not self.quiet:
            self.out.print(Text(f"{'' if first else chr(10)}? {one_line(question)}", style="dim"))

    def understood(self, follows: Sequence[str]) -> None:
        """Say with which earlier questions a question was understood, if with any."""
        if follows:
            self.note(f"(understood with: {'; '.join(map(one_line, follows))})")

    def remembered(self, answer: Answer, anew: str) -> None:
        """Say that an answer was given before, and how it is made anew."""
        if answer.remembered:
            self.note(f"(answered before; {anew} answers anew)")

    def stale(self, names: Sequence[str]) -> None:
        """Warn that cited files are no longer what was indexed."""
        for name in names:
            self.note(f"Note: {name} has changed since it was indexed. Run: rag index")

    def _quiet_answer(self, answer: Answer) -> None:
        if answer.refused:
            self.out.print(Text(refusal(answer.language)), soft_wrap=True)
            return
        if answer.disagree:
            self.out.print(Text(disagreement(answer.language)), end=" ", soft_wrap=True)
        paths = [q.chunk.path for c in answer.citations for q in (c.quote, *c.also)]
        sources = ", ".join(dict.fromkeys(printable(path) for path in paths))
        self.out.print(Text(f"{one_line(answer.text)} ({sources})"), soft_wrap=True)

    def _quote(
        self,
        label: str,
        quote: Quote,
        marked: frozenset[str],
        style: str = "",
        also: Sequence[Quote] = (),
        date: str = "",
    ) -> None:
        page = f", page {quote.chunk.page}" if quote.chunk.page is not None else ""
        head = Text.assemble(
            (f"{label} ", style or "bold cyan"), (printable(quote.chunk.path), style or "cyan")
        )
        head.append(page, style=style)
        if date:
            head.append(f", {date}", "dim")
        if also:
            head.append(f", also in {', '.join(printable(q.chunk.path) for q in also)}", "dim")
        self.out.print(head, soft_wrap=True)
        # Highlighting needs the offsets of the very string that is printed.
        text = one_line(quote.text)
        shown = f"“{text}”"
        body = Text(shown, style=style)
        for word, start, end in word_spans(text):
            if word in marked:
                body.stylize("bold green", start + 1, end + 1)
        self.indented(body)

    def indented(self, body: Text) -> None:
        """Print text four columns in: on a terminal broken into lines, else as it is.

        The lines are not filled up with spaces: where a terminal finds a line of Hindi
        longer than Rich does, these would run over into an empty line.
        """
        width = self.out.width - INDENT
        if not self.out.is_terminal or width < 1:
            for line in body.split("\n", allow_blank=True):
                self.out.print(Text(" " * INDENT) + line)
            return
        broken = "\n".join(at_spaces(line, width) for line in body.plain.split("\n"))
        for line in Text(broken, style=body.style, spans=body.spans).wrap(self.out, width):
            self.out.print(Text(" " * INDENT) + line, soft_wrap=True)

    def search(self, found: Found) -> None:
        """Print hits with scores, file names and offsets, then the chosen sentences."""
        if not found.hits:
            self.line("Nothing found.")
            return
        for number, hit in enumerate(found.hits, 1):
            self._hit(number, hit)
        self.line("\nSentences that a generator would be shown:", "bold")
        for item in found.evidence:
            q = item.quote
            self.out.print(
                Text.assemble(
                    (f"[{item.number}] ", "bold cyan"),
                    (f"{printable(q.chunk.path)} {q.start}–{q.end}", "cyan"),
                    f"  cosine {item.score:.3f}",
                ),
                soft_wrap=True,
            )
            self.out.print(Text(f"    {one_line(q.text)}"))
            for other in item.also:
                place = f"{printable(other.chunk.path)} {other.start}–{other.end}"
                self.out.print(Text(f"    also in {place}", style="dim"), soft_wrap=True)

    def _hit(self, number: int, hit: Hit) -> None:
        chunk = hit.chunk
        page = f" page {chunk.page}" if chunk.page is not None else ""
        legs = [f"score {hit.score:.3f}", f"vectors #{hit.dense_rank} ({hit.dense:.3f})"]
        if hit.keyword_rank is None:
            legs.append("keywords –")
        else:
            matched = ", ".join(map(one_line, hit.matched))
            legs.append(f"keywords #{hit.keyword_rank} ({hit.keyword:.2f}: {matched})")
        if hit.reranked is not None:
            legs.append(f"reranker {hit.reranked:.3f}")
        self.out.print(
            Text.assemble(
                (f"{number:>2}. ", "bold"),
                (f"{printable(chunk.path)} {chunk.start}–{chunk.end}{page}", "cyan"),
                f"  {'  '.join(legs)}",
            ),
            soft_wrap=True,
        )
        text = one_line(chunk.text)
        self.out.print(Text(f"    {text[:160]}{'…' if len(text) > 160 else ''}", style="dim"))

    def index_report(self, report: Report, store: str) -> None:
        """Say what an indexing run did."""
        counts = {
            "added": report.added,
            "changed": report.changed,
            "unchanged": report.unchanged,
            "forgotten": report.forgotten,
            "failed": report.failed,
        }
        if self.as_json:
            lists = {name: list(values) for name, values in counts.items()}
            index = index_object(report.manifest, store)
            others = {"ignored": report.ignored, "links": report.links}
            self.json({**lists, **others, "index": index})
            return
        said = [f"{len(values)} {name}" for name, values in counts.items() if values]
        if report.ignored:
            said.append(f"{report.ignored} of other kinds left out")
        if report.links:
            links = "1 link" if report.links == 1 else f"{report.links} links"
            said.append(f"{links} not followed (--follow-links)")
        m = report.manifest
        self.note(f"Documents: {', '.join(said)}.")
        self.note(f"Index: {m.documents} documents, {m.chunks} chunks, {m.sentences} sentences.")

    def index_info(self, facts: Mapping[str, object], documents: Sequence[Listed]) -> None:
        """Describe an index and list its documents."""
        if self.as_json:
            listed = [
                {
                    "path": d.path,
                    "sha256": d.digest,
                    "title": d.title,
                    "characters": d.characters,
                    "date": d.date or None,
                    "language": d.language,
                }
                for d in documents
            ]
            self.json({**facts, "files": listed})
            return
        self.info({name: ", ".join(v) if isinstance(v, list) else v for name, v in facts.items()})
        self.out.print()
        for d in documents:
            facts_of = f"  {d.date or '–':10}  {d.language}  {d.characters:,} characters  "
            self.out.print(
                Text.assemble((printable(d.path), "cyan"), facts_of, (d.title, "dim")),
                no_wrap=self.out.is_terminal,
                overflow="ellipsis",
            )

    def info(self, facts: Mapping[str, object]) -> None:
        """Print names and values, one a line."""
        width = max(len(name) for name in facts)
        for name, value in facts.items():
            self.out.print(Text(f"{name:<{width}}  {printable(str(value))}"), soft_wrap=True)

    def models(self, models: Sequence[ModelStatus]) -> None:
        """Print the catalogue as a table."""
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        for heading in ("model", "kind", "size", "licence", "here", "for"):
            table.add_column(heading, overflow="fold")
        for m in models:
            table.add_row(
                f"{m.name}{' (default)' if m.default else ''}",
                m.kind,
                f"{m.size / 1e6:,.0f} MB",
                m.licence,
                "yes" if m.path else "no",
                m.description,
            )
        self.out.print(table)

    def verified(self, results: Sequence[Verified]) -> None:
        """Print what was verified, one file a line."""
        for r in results:
            mark, style = ("ok ", "green") if r.ok else ("BAD", "bold red")
            self.out.print(
                Text.assemble((mark, style), f"  {r.artifact}  {printable(r.detail)}"),
                soft_wrap=True,
            )

    def finding(self, finding: Finding, outcome: str | None) -> dict[str, Any]:
        """Print a finding of the doctor and what mends it, or how mending went; return it."""
        value = {
            "part": finding.part,
            "gravity": finding.gravity,
            "what": printable(" ".join(finding.what.split())),
            "mend": printable(finding.mend),
            "outcome": None if outcome is None else printable(" ".join(outcome.split())),
        }
        if self.as_json or (self.quiet and finding.gravity == "sound"):
            return value
        mark, style = {
            "sound": ("ok ", "green"),
            "warning": ("!  ", "yellow"),
            "broken": ("BAD", "bold red"),
        }[finding.gravity]
        line = Text.assemble((mark, style), f"  {finding.part}: {value['what']}")
        self.out.print(line, soft_wrap=True)
        if told := value["outcome"] or value["mend"]:
            self.out.print(Text(f"     {told}", style="dim"), soft_wrap=True)
        return value


def answer_object(
    answer: Answer,
    *,
    manifest: Manifest,
    store: str,
    generator: str | None,
    stale: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the object that `ask --json` prints; docs/json.md describes it."""
    return {
        "version": JSON_VERSION,
        "question": answer.question,
        "language": answer.language,
        "answer": refusal(answer.language) if answer.refused else answer.text,
        "refused": answer.refused,
        "disagree": answer.disagree,
        "remembered": answer.remembered,
        "confidence": round(answer.confidence, 4),
        "claims": [
            {
                "text": c.text,
                "original": c.original or None,
                "doubtful": c.doubtful,
                "citation": c.citation,
            }
            for c in answer.claims
        ],
        "citations": [
            {
                "number": c.number,
                **_span(c.quote),
                "date": c.date or None,
                "stale": c.path in stale,
                "also": [{**_span(q), "stale": q.chunk.path in stale} for q in c.also],
            }
            for c in answer.citations
        ],
        "evidence": [evidence_object(e) for e in answer.evidence],
        "hits": [hit_object(h) for h in answer.hits],
        "timings": {name: round(value, 4) for name, value in answer.timings.items()},
        "tokens": dict(answer.tokens),
        "models": {"embedder": manifest.embedder, "generator": generator},
        "index": index_object(manifest, store),
    }


def model_object(model: ModelStatus) -> dict[str, Any]:
    """Return a model of the catalogue as JSON has it."""
    return {
        "name": model.name,
        "kind": model.kind,
        "licence": model.licence,
        "bytes": model.size,
        "path": str(model.path) if model.path else None,
        "default": model.default,
        "description": model.description,
    }


def search_object(question: str, found: Found, manifest: Manifest, store: str) -> dict[str, Any]:
    """Return the object that `rag search --json` prints; docs/json.md describes it."""
    return {
        "version": JSON_VERSION,
        "question": question,
        "hits": [hit_object(h) for h in found.hits],
        "evidence": [evidence_object(e) for e in found.evidence],
        "models": {"embedder": manifest.embedder, "generator": None},
        "index": index_object(manifest, store),
    }


def evidence_object(item: Evidence) -> dict[str, Any]:
    """Return a sentence as JSON has it."""
    return {
        "number": item.number,
        **_span(item.quote),
        "cosine": round(item.score, 4),
        "also": [_span(q) for q in item.also],
    }


def hit_object(hit: Hit) -> dict[str, Any]:
    """Return a hit as JSON has it."""
    return {
        "path": hit.chunk.path,
        "page": hit.chunk.page,
        "start": hit.chunk.start,
        "end": hit.chunk.end,
        "score": round(hit.score, 4),
        "dense_rank": hit.dense_rank,
        "dense": round(hit.dense, 4),
        "keyword_rank": hit.keyword_rank,
        "keyword": round(hit.keyword, 4),
        "matched": list(hit.matched),
        "reranked": None if hit.reranked is None else round(hit.reranked, 4),
        "context": hit.chunk.context,
        "text": hit.chunk.text,
    }


def index_object(manifest: Manifest, store: str) -> dict[str, Any]:
    """Return what tells one index from another."""
    return {
        "store": store,
        "format": manifest.format,
        "created": manifest.created,
        "documents": manifest.documents,
        "chunks": manifest.chunks,
        "sentences": manifest.sentences,
        "chunking": manifest.chunking,
        "text_sha256": manifest.files.get("text.sqlite"),
    }


def _span(quote: Quote) -> dict[str, Any]:
    return {
        "path": quote.chunk.path,
        "page": quote.chunk.page,
        "start": quote.start,
        "end": quote.end,
        "quote": quote.text,
    }

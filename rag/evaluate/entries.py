"""One question of the report as HTML: what was asked, said and shown.

Every text from outside goes through `formats.markup`.
"""

from __future__ import annotations

from collections.abc import Sequence

from rag.evaluate.formats import markup
from rag.evaluate.questions import Question
from rag.evaluate.results import Passage, Reply, Result
from rag.evaluate.scoring import OUTCOMES

FILES_SHOWN = 5


def entry(result: Result) -> str:
    """Return a `<details>`: the outcome and the question, folded over the rest."""
    outcome, question = OUTCOMES[result.outcome], result.question
    said = result.reply.text if result.reply else ""
    return (
        f'<details data-outcome="{outcome.name}"><summary>'
        f'<span class="chip {outcome.verdict} {outcome.name}">{outcome.title}</span>'
        f'<span class="q" dir="auto">{markup(question.text)}</span>'
        f'<span class="said" dir="auto">{markup(said)}</span>'
        f"</summary>{_facts(result)}{_files(result)}{_evidence(result)}</details>"
    )


def _facts(result: Result) -> str:
    question = result.question
    rows = []
    if result.reply is not None:
        rows.append(("answer", _text(result.reply.text) or "<em>refused</em>"))
    gold = " <span>or</span> ".join(_text(answer) for answer in question.answers)
    rows.append(("gold", gold or _no_gold(question)))
    if result.reply is not None:
        rows += _numbers(result, result.reply)
    rows.append(("languages", markup(result.pair)))
    rows.append(("id", f"<code>{markup(question.id)}</code>"))
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows) + "</dl>"


def _text(text: str) -> str:
    return f'<bdi dir="auto">{markup(text)}</bdi>' if text else ""


def _no_gold(question: Question) -> str:
    if question.answerable:
        return "<em>no gold answer</em>"
    why = "its document was taken out of the index" if question.removed else "none tells"
    return f"<em>a refusal: {why}</em>"


def _numbers(result: Result, reply: Reply) -> list[tuple[str, str]]:
    rows = [("confidence", f"{reply.confidence:.3f}")]
    if "f1" in result.scores:
        rows.append(("token F1", f"{result.scores['f1']:.2f}"))
    first = (
        "" if reply.first_seconds is None else f", first words after {reply.first_seconds:.1f} s"
    )
    rows.append(("time", f"{reply.seconds:.1f} s{first}"))
    rows.append(("tokens", f"{reply.prompt_tokens} read, {reply.generated_tokens} written"))
    return rows


def _files(result: Result) -> str:
    """List the files as ranked, the gold ones marked."""
    gold = set(result.question.sources) if result.question.answerable else set()
    items = []
    for rank, path in enumerate(result.ranking, 1):
        if rank <= FILES_SHOWN or path in gold:
            mark = ' class="gold"' if path in gold else ""
            items.append(f'<li value="{rank}"{mark}>{markup(path)}</li>')
    missing = sorted(gold - set(result.ranking)) if result.ranking else []
    items += [f'<li class="missing">not found: {markup(path)}</li>' for path in missing]
    return f'<h4>Files found</h4><ol class="files">{"".join(items)}</ol>' if items else ""


def _evidence(result: Result) -> str:
    cited = (
        {(c.path, c.start, c.end): c.number for c in result.reply.citations} if result.reply else {}
    )
    shown = list(result.evidence[: result.shown])
    places = {(e.path, e.start, e.end) for e in shown}
    if result.reply:  # a citation is of what was shown; were it not, it must be seen here
        shown += [c for c in result.reply.citations if (c.path, c.start, c.end) not in places]
    if not shown:
        return "<h4>Evidence shown</h4><p><em>nothing</em></p>"
    items = [
        _passage(passage, result.question, cited.get((passage.path, passage.start, passage.end)))
        for passage in shown
    ]
    return f'<h4>Evidence shown</h4><ol class="evidence">{"".join(items)}</ol>'


def _passage(passage: Passage, question: Question, number: int | None) -> str:
    page = f", p. {passage.page}" if passage.page else ""
    tags = [f'<span class="path">{markup(passage.path)}{page}</span>']
    if number is not None:
        tags.append(f'<span class="tag cited">cited [{number}]</span>')
    if passage.holds:
        tags.append('<span class="tag holds">holds the answer</span>')
    if not passage.exact:
        tags.append('<span class="tag inexact">not verbatim</span>')
    return (
        f'<li value="{passage.number}">{" ".join(tags)}<p dir="auto">'
        f"{_cut(passage.before, start=True)}<mark>{_sentence(passage, question)}</mark>"
        f"{_cut(passage.after)}</p></li>"
    )


def _cut(text: str, start: bool = False) -> str:
    """Return the text around a sentence, cut at a space, with an ellipsis."""
    if not text.strip():
        return markup(text)
    if start:
        _, _, rest = text.partition(" ")
        return f"…{markup(rest)}"
    rest, _, _ = text.rpartition(" ")
    return f"{markup(rest)}…"


def _sentence(passage: Passage, question: Question) -> str:
    """Return the sentence with the gold answer in bold, where it stands there verbatim."""
    parts: list[str] = []
    done = 0
    for start, end in _gold_places(passage, question):
        start = max(start, done)
        if start < end:
            parts += [markup(passage.text[done:start]), f"<b>{markup(passage.text[start:end])}</b>"]
            done = end
    return "".join([*parts, markup(passage.text[done:])])


def _gold_places(passage: Passage, question: Question) -> Sequence[tuple[int, int]]:
    if not passage.holds:
        return []
    if question.spans:
        return sorted(
            (max(0, s.start - passage.start), min(s.end, passage.end) - passage.start)
            for s in question.spans
            if s.path == passage.path and s.start < passage.end and passage.start < s.end
        )
    found = [(passage.text.find(answer), len(answer)) for answer in question.answers]
    return sorted((start, start + size) for start, size in found if start >= 0)

"""The driver of `benchmarks/peers/`: what is asked, what is heard, how it is judged and shown.

No framework and no model: the peer is a script of a few lines, and the documents are five.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rag.evaluate.questions import Question

PEERS = Path(__file__).resolve().parent.parent / "benchmarks" / "peers"
MODULES = ("asking", "choosing", "environments", "judging", "run", "serving", "tables")


@pytest.fixture(scope="module")
def peers() -> Iterator[SimpleNamespace]:
    """Import the scripts, which are in no package."""
    sys.path.insert(0, str(PEERS))
    try:
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
    finally:
        sys.path.remove(str(PEERS))
        for name in MODULES:
            sys.modules.pop(name, None)


@pytest.fixture
def xquad(tmp_path: Path) -> Path:
    """A folder like XQuAD's, of five paragraphs with two questions each."""
    folder = tmp_path / "xquad"
    folder.mkdir()
    for code, word in (("en", "Paragraph"), ("hi", "अनुच्छेद")):
        paragraphs = [
            {
                "context": f"{word} {p} holds {p}00 and {p}01.",
                "qas": [
                    {
                        "id": f"q{p}{q}",
                        "question": f"{word}: what does number {p} hold {q}?",
                        "answers": [{"text": f"{p}0{q}", "answer_start": -1}],
                    }
                    for q in range(2)
                ],
            }
            for p in range(1, 6)
        ]
        value = {"data": [{"title": "", "paragraphs": paragraphs}]}
        for part in ("half", "test"):
            path = folder / f"xquad.{code}.{part}.json"
            path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return folder


# choosing


def test_the_same_seed_chooses_the_same_for_every_pair(peers: SimpleNamespace, xquad: Path) -> None:
    one = peers.choosing.choose(xquad, "en→en", 8, seed=3)
    assert one == peers.choosing.choose(xquad, "en→en", 8, seed=3)
    other = peers.choosing.choose(xquad, "hi→hi", 8, seed=3)
    assert [q.id for q in one.questions] == [q.id for q in other.questions]
    assert [q.answerable for q in one.questions] == [q.answerable for q in other.questions]
    assert [name for name, _ in one.documents] == [name for name, _ in other.documents]


def test_some_questions_lose_their_document(peers: SimpleNamespace, xquad: Path) -> None:
    chosen = peers.choosing.choose(xquad, "en→hi", 10, seed=1)
    lost = [q for q in chosen.questions if not q.answerable]
    assert len(lost) == 2
    assert len(chosen.documents) == 4
    assert chosen.read == "hi"
    assert all(text.startswith("अनुच्छेद") for _, text in chosen.documents)
    assert chosen.questions[0].text.startswith("Paragraph")


def test_other_questions_are_other_measurements(peers: SimpleNamespace, xquad: Path) -> None:
    choose, digest = peers.choosing.choose, peers.choosing.digest
    four, eight = choose(xquad, "en→en", 4), choose(xquad, "en→en", 8)
    assert digest([four]) != digest([eight])
    assert digest([four]) == digest([choose(xquad, "en→en", 4)])


def test_documents_are_written_byte_for_byte(
    peers: SimpleNamespace, xquad: Path, tmp_path: Path
) -> None:
    chosen = peers.choosing.choose(xquad, "hi→hi", 8)
    peers.choosing.write_documents(chosen, tmp_path / "documents")
    for name, text in chosen.documents:
        assert (tmp_path / "documents" / name).read_bytes() == text.encode()


# the conversation


def test_a_line_is_parsed(peers: SimpleNamespace) -> None:
    heard = peers.asking.parse('{"said": "answer", "text": "x"}', 1.5)
    assert (heard.at, heard.said, heard.more) == (1.5, "answer", {"text": "x"})


@pytest.mark.parametrize("line", ["", "Loading …", "[1]", "{}", '{"said": "hello"}'])
def test_what_is_no_line_is_told(peers: SimpleNamespace, line: str) -> None:
    with pytest.raises(peers.asking.PeerError, match="no line of the conversation"):
        peers.asking.parse(line, 0.0)


def test_a_failure_tells_why(peers: SimpleNamespace) -> None:
    with pytest.raises(peers.asking.PeerError, match="out of memory"):
        peers.asking.parse('{"said": "failed", "why": "out of memory"}', 0.0)


FAKE = """
import sys
sys.path.insert(0, {peers!r})
from serving import Reply, serve

class Fake:
    def __init__(self, setup):
        print("this must not get into the conversation")
    def index(self, documents, store):
        return 4
    def load(self, store):
        pass
    def ask(self, question, say):
        if "3" in question and {fails}:
            raise ValueError("no\\nsuch thing")
        say("Number ")
        say(question.split("number ")[1].split()[0] + "00")
        return Reply(["000-001.txt", "000-002.txt"])

serve(Fake)
"""


@pytest.fixture
def bench(peers: SimpleNamespace, xquad: Path, tmp_path: Path) -> Any:
    """Where a fake peer works."""
    records = peers.judging.Records(tmp_path / "records.jsonl")
    setup = peers.serving.Setup("e", "g", 1, 1, 1)
    return peers.run.Bench(tmp_path, setup, records, patience=30)


def fake(
    peers: SimpleNamespace, folder: Path, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> Any:
    (folder / "with_fake.py").write_text(FAKE.format(peers=str(PEERS), fails=fails))
    monkeypatch.setattr(peers.environments, "HERE", folder)
    monkeypatch.setitem(peers.environments.PEERS, "fake", ("Fake", ""))
    return peers.environments.Environment("fake", Path(sys.executable), "1")


def test_a_peer_is_indexed_asked_and_judged(
    peers: SimpleNamespace, bench: Any, xquad: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = fake(peers, tmp_path, monkeypatch, fails=False)
    chosen = peers.choosing.choose(xquad, "en→en", 10)
    peers.run.measure(chosen, where, bench, cold=1)
    assert [r.kind for r in bench.records.all] == ["index", "cold", *["warm"] * 10]
    assert bench.records.all[0].chunks == 4
    assert all(r.first_seconds <= r.seconds for r in bench.records.all[1:])
    # Taken up again, nothing is measured twice; what was written is read back as it was.
    peers.run.measure(chosen, where, bench, cold=1)
    assert len(bench.records.all) == 12
    assert peers.judging.Records(tmp_path / "records.jsonl").all == bench.records.all
    summary = peers.judging.judge(bench.records.of("fake", "1", "en→en", "warm"), chosen.questions)
    assert summary["questions"] == 10
    # "Number 100" is right for one of the two questions of each paragraph.
    assert summary["overall"]["right"]["value"] == 0.5
    assert summary["overall"]["refusal_recall"]["value"] == 0


def test_a_failing_peer_is_told_in_one_line(
    peers: SimpleNamespace, bench: Any, xquad: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = fake(peers, tmp_path, monkeypatch, fails=True)
    chosen = peers.choosing.choose(xquad, "en→en", 10)
    with pytest.raises(peers.asking.PeerError, match=r"^ValueError: no such thing$"):
        peers.run.measure(chosen, where, bench, cold=0)


# judging


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The provided context does not mention who led the army.",
        "The context information provided doesn't contain the answer.",
        "I'm sorry, but there is no information about that.",
        "It is not specified in the passage.",
        "Empty Response",
        "दिए गए संदर्भ में इसकी जानकारी नहीं है।",
    ],
)
def test_a_refusal_in_words_is_known(peers: SimpleNamespace, text: str) -> None:
    assert peers.judging.refuses(text)


@pytest.mark.parametrize(
    "text",
    [
        "Denver Broncos",
        "The army was led by Rollo, not by William.",
        "Tesla did not marry.",
        "रोलो",
        "It was founded in 1901 and provides information services.",
    ],
)
def test_an_answer_is_no_refusal(peers: SimpleNamespace, text: str) -> None:
    assert not peers.judging.refuses(text)


QUESTION = Question("q", "Who?", "en", answers=("Rollo",), answer_language="en", sources=("a.txt",))


def record(peers: SimpleNamespace, **more: Any) -> Any:
    given = {"first_seconds": 1.0, "seconds": 2.0, "peak_mb": 1500.0, **more}
    return peers.judging.Record("fake", "1", "en→en", "warm", "q", **given)


def test_every_named_file_counts_as_cited(peers: SimpleNamespace) -> None:
    said = record(peers, text="It was Rollo.", sources=("b.txt", "a.txt"))
    overall = peers.judging.judge([said], [QUESTION])["overall"]
    assert overall["right"]["value"] == 1
    assert overall["citation_precision"]["value"] == 0.5
    assert overall["citation_recall"]["value"] == 1


def test_a_failure_is_wrong_and_no_refusal(peers: SimpleNamespace) -> None:
    overall = peers.judging.judge([record(peers, why="crashed")], [QUESTION])["overall"]
    assert overall["right"]["value"] == 0
    assert overall["false_refusals"]["value"] == 0


def test_a_refusal_of_its_own_goes_before_words(peers: SimpleNamespace) -> None:
    said = record(peers, text="Not mentioned in the text", refused=False)
    overall = peers.judging.judge([said], [QUESTION])["overall"]
    assert overall["false_refusals"]["value"] == 0


# tables


def test_the_tables(peers: SimpleNamespace) -> None:
    warm = [record(peers, text="Rollo", sources=("a.txt",)), record(peers, seconds=4.0)]
    index = [peers.judging.Record("fake", "1", "en", "index", seconds=30.0, peak_mb=900.0)]
    summary = peers.judging.judge(warm[:1], [QUESTION])
    row = peers.tables.Row("Fake 1.0", index, [], warm, summary)
    shown = peers.tables.report("en→en", [row])
    assert "### en→en: 1 questions, 1 of them answerable" in shown
    assert "| Fake 1.0 | 30.0 | – | – | 1.0 | 3.0 | 900 | 1,500 |" in shown
    assert "| Fake 1.0 | 1.00 " in shown
    widths = {line.count("|") for line in shown.splitlines() if line.startswith("|")}
    assert widths == {len(peers.tables.COST) + 2, len(peers.tables.QUALITY) + 2}


def test_failures_stand_under_the_tables(peers: SimpleNamespace) -> None:
    row = peers.tables.Row("Fake", [], [], [record(peers, why="crashed")], {})
    assert peers.tables.failures(row) == "Fake: 1 failed, first: crashed"


# environments


def test_every_peer_has_a_script_and_pinned_requirements(peers: SimpleNamespace) -> None:
    for name in peers.environments.PEERS:
        assert (PEERS / f"with_{name}.py").exists()
        assert peers.environments.version(name)
        if name != peers.environments.OURS:
            pins = peers.environments.requirements(name).read_text(encoding="utf-8").splitlines()
            assert all("==" in line for line in pins)
            assert "torch==2.13.0" in pins

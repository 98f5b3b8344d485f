import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import (
    PLAIN_CALIBRATION,
    FakeEmbedder,
    FakeReader,
    RecordingProgress,
    ScriptedGenerator,
)

from rag.errors import EvaluationError, GenerationError, NoDocumentsError, UsageError
from rag.evaluate.evaluation import (
    Outline,
    Plan,
    Tools,
    evaluate,
    program_digest,
    render_again,
)
from rag.evaluate.questions import Question
from rag.evaluate.results import Reply, Result, from_object, to_object
from rag.evaluate.runs import CONFIG, REPORT, RESULTS, SUMMARY, Run, open_run
from rag.evaluate.scoring import Level, judged
from rag.evaluate.sets import Files
from rag.index import Index
from rag.settings import Settings

QUESTIONS = [
    {
        "id": "dam",
        "question": "In how many days did engineers repair the old dam?",
        "lang": "en",
        "answers": ["twelve days"],
        "sources": ["river.txt"],
        "answerable": True,
    },
    {
        "id": "troops",
        "question": "How many troops were sent to Russia by North Korea?",
        "lang": "en",
        "answers": ["15,000"],
        "sources": ["सैनिक.txt"],
        "answerable": True,
    },
    {
        "id": "moved",
        "question": "How many people moved into relief camps?",
        "lang": "en",
        "answers": ["8,500"],
        "sources": ["river.txt"],
        "answerable": True,
    },
    {
        "id": "died",
        "question": "अप्रैल की रिपोर्ट के अनुसार कितने सैनिकों की मौत हुई?",
        "lang": "hi",
        "answers": ["600"],
        "sources": ["सैनिक.txt"],
        "answerable": True,
    },
    {
        "id": "mayor",
        "question": "Who is the mayor of the city with the school?",
        "lang": "en",
        "answerable": False,
    },
]
# What the generator says of English passages, and what the reader points at anywhere.
SCRIPT = {"repair the old dam": "in twelve days [1]", "relief camps": "8,500 [1]"}
SPANS = {
    "repair the old dam": "twelve days",
    "troops were sent": "लगभग 15,000",
    "relief camps": "8,500",
    "mayor": "450",
}


class Watcher:
    """Remembers the ids that were asked; may pull the plug after some of them."""

    def __init__(self, dies_after: int | None = None) -> None:
        self.ids: list[str] = []
        self.done_before = 0
        self._dies_after = dies_after

    def begin(self, run: Run, total: int) -> None:
        self.done_before = len(run.results)

    def asked(self, result: Result) -> None:
        self.ids.append(result.question.id)
        if len(self.ids) == self._dies_after:
            raise KeyboardInterrupt

    def end(self) -> None:
        pass


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "questions.jsonl"
    path.write_text("\n".join(map(json.dumps, QUESTIONS)), encoding="utf-8")
    return path


Evaluate = Callable[..., Outline]


@pytest.fixture
def run(
    questions: Path,
    small_documents: Path,
    settings: Settings,
    embedder: FakeEmbedder,
    tmp_path: Path,
) -> Evaluate:
    def go(
        watcher: Watcher | None = None,
        level: Level = "whole",
        reader: FakeReader | None = None,
        **more: object,
    ) -> Outline:
        plan = Plan(
            files=Files(questions, documents=small_documents),
            level=level,
            runs=tmp_path / "runs",
            cache=tmp_path / "cache",
        )
        tools = Tools(
            lambda: embedder,
            lambda: ("scripted@1", lambda: ScriptedGenerator(SCRIPT)),
            lambda _: reader or FakeReader(SPANS),
            PLAIN_CALIBRATION,
        )
        plan = replace(plan, **more)  # type: ignore[arg-type]
        return evaluate(plan, settings, tools, RecordingProgress(), watcher or Watcher())

    return go


def outcomes(outline: Outline) -> dict[str, str]:
    return {r.question.id: r.outcome for r in Run.load(outline.folder).results}


def without_cost(summary: dict[str, object]) -> str:
    """Write a summary without what depends on the clock."""
    text = json.loads(json.dumps(summary))
    for table in [text["overall"], *text["pairs"].values()]:
        for name in [n for n in table if "seconds" in n or n == "memory_mb"]:
            del table[name]
    return json.dumps(text, sort_keys=True)


def test_the_whole_way(run: Evaluate) -> None:
    done = run()
    assert outcomes(done) == {
        "dam": "right",
        "troops": "right",
        "moved": "right",
        "died": "false_refusal",
        "mayor": "made_up",
    }
    overall = done.summary["overall"]
    assert overall["right"]["value"] == overall["contains"]["value"] == 0.75
    assert overall["right"]["n"] == 4
    assert overall["exact"]["value"] == 0.25
    # F1: "in twelve days" 0.8, "लगभग 15,000" 2/3, "8,500" 1, a refusal 0
    assert overall["f1"]["value"] == pytest.approx((0.8 + 2 / 3 + 1 + 0) / 4)
    assert overall["squad2_f1"]["n"] == 5
    assert overall["false_refusals"]["value"] == 0.25
    assert overall["refusal_recall"] == {"value": 0.0, "low": 0.0, "high": 0.975, "n": 1}
    assert overall["refusal_precision"]["n"] == 1
    assert overall["quotes_exact"]["value"] == overall["cited"]["value"] == 1
    assert overall["citation_precision"]["n"] == 3
    assert {"en→en", "en→hi", "hi→hi"} <= set(done.summary["pairs"])
    assert done.summary["pairs"]["en→hi"]["f1"]["n"] == 1


def test_what_is_kept_of_a_question(run: Evaluate) -> None:
    first = Run.load(run().folder).results[0]
    assert first.reply is not None
    assert first.reply.text == "in twelve days"
    assert first.ranking[0] == "river.txt"
    assert first.evidence[0].holds
    assert first.evidence[0].exact
    assert first.evidence[0].after.startswith(" Who will pay")
    assert first.reply.first_seconds is not None
    assert 0 < first.reply.first_seconds <= first.reply.seconds
    assert first.memory_mb > 1
    assert from_object(json.loads(json.dumps(to_object(first)))) == first


def test_evidence_in_another_language_has_no_gold(run: Evaluate, questions: Path) -> None:
    asked = {**QUESTIONS[1], "answers": ["fifteen thousand"]}
    questions.write_text(json.dumps(asked), encoding="utf-8")
    (result,) = Run.load(run(level="retrieval").folder).results
    assert not result.evidence_known
    assert "evidence_shown" not in result.scores
    assert result.scores["recall@1"] == 1


def test_retrieval_needs_no_generator(run: Evaluate) -> None:
    done = run(level="retrieval")
    assert set(outcomes(done).values()) == {"first", "unjudged"}
    overall = done.summary["overall"]
    assert overall["recall@1"]["value"] == 1
    assert overall["recall@1"]["n"] == overall["evidence_shown"]["n"] == 4
    assert "right" not in overall and "seconds_p50" not in overall
    assert "search_seconds_p50" in overall


def test_reading_gives_the_gold_document(run: Evaluate) -> None:
    results = Run.load(run(level="reading").folder).results
    for result in results[:4]:
        assert {e.path for e in result.evidence} == set(result.question.sources)
        assert result.ranking == ()
        assert "recall@1" not in result.scores
    # Nothing tells who is mayor: the best document stands in for the gold one.
    assert len({e.path for e in results[4].evidence}) == 1


def test_unanswerable_takes_the_document_out(run: Evaluate) -> None:
    done = run(unanswerable=0.4, seed=1)
    results = {r.question.id: r for r in Run.load(done.folder).results}
    removed = [r for r in results.values() if r.question.removed]
    assert len(removed) == 2
    gone = set(json.loads((done.folder / CONFIG).read_text())["removed"])
    assert len(gone) == 1
    for result in results.values():
        assert not gone & set(result.ranking)
        assert not gone & {e.path for e in result.evidence}
    assert {r.outcome for r in removed} <= {"made_up", "right_refusal"}


def test_a_run_that_is_killed_goes_on_to_the_same_summary(
    run: Evaluate, tmp_path: Path, embedder: FakeEmbedder
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(Watcher(dies_after=2))
    (folder,) = (tmp_path / "runs").iterdir()
    with pytest.raises(EvaluationError, match="not finished"):
        Run.load(folder).summary()
    with (folder / RESULTS).open("a", encoding="utf-8") as file:
        file.write('{"question": {"id": "moved", "te')  # died while it wrote
    embedded = len(embedder.passages)
    watcher = Watcher()
    resumed = run(watcher)
    assert resumed.folder == folder
    assert watcher.done_before == 2
    assert watcher.ids == ["moved", "died", "mayor"]
    assert len(embedder.passages) == embedded
    whole = run(fresh=True)
    assert whole.folder != folder
    assert without_cost(resumed.summary) == without_cost(whole.summary)
    assert [r.reply and r.reply.text for r in Run.load(folder).results] == [
        r.reply and r.reply.text for r in Run.load(whole.folder).results
    ]


def test_a_finished_run_is_not_taken_up(run: Evaluate) -> None:
    first, second = run(), run()
    assert first.folder != second.folder


def test_the_program_is_known_by_all_that_its_answers_depend_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other weights, calibration, prompts or code make another run."""
    names = ("rag/a.py", "rag/calibration.json", "rag/reader.gguf", "prompts/read.en.txt")
    for name in (*names, "rag/evaluate/evaluation.py", "README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1", encoding="utf-8")
    here = tmp_path / "rag" / "evaluate" / "evaluation.py"
    monkeypatch.setattr("rag.evaluate.evaluation.__file__", str(here))
    digests = [program_digest()]
    for name in names:
        (tmp_path / name).write_text("2", encoding="utf-8")
        digests.append(program_digest())
    assert len(set(digests)) == len(names) + 1
    (tmp_path / "README.md").write_text("2", encoding="utf-8")
    assert program_digest() == digests[-1]


def test_another_question_is_another_run(run: Evaluate, questions: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(Watcher(dies_after=1))
    with questions.open("a", encoding="utf-8") as file:
        file.write("\n" + json.dumps({**QUESTIONS[4], "id": "more"}))
    watcher = Watcher()
    run(watcher)
    assert len(watcher.ids) == 6


def test_a_run_in_use_is_left_alone(tmp_path: Path) -> None:
    config = {"level": "whole"}
    with open_run(tmp_path, "x", config) as first, open_run(tmp_path, "x", config) as second:
        assert first.folder != second.folder
    with open_run(tmp_path, "x", config) as third:
        assert third.folder in {first.folder, second.folder}


def test_a_damaged_line_is_named(run: Evaluate) -> None:
    folder = run().folder
    lines = (folder / RESULTS).read_text(encoding="utf-8").splitlines()
    lines[1] = lines[1][:-10]
    (folder / RESULTS).write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(EvaluationError, match="line 2 is damaged"):
        Run.load(folder)


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no run's folder"):
        Run.load(tmp_path)


def test_a_source_that_is_no_document_is_told_before_the_generator(
    run: Evaluate, questions: Path
) -> None:
    questions.write_text(json.dumps({**QUESTIONS[0], "sources": ["other.txt"]}), encoding="utf-8")
    with pytest.raises(EvaluationError, match=r"'dam' names the source 'other\.txt'"):
        run()


def test_mistakes_are_told_before_any_model(
    settings: Settings, questions: Path, tmp_path: Path
) -> None:
    def never() -> FakeEmbedder:
        raise AssertionError("loaded")

    tools = Tools(never, lambda: ("", lambda: ScriptedGenerator()), lambda _: FakeReader())
    questions.write_text("{}\n", encoding="utf-8")
    plan = Plan(files=Files(questions), runs=tmp_path / "runs", cache=tmp_path / "cache")
    with pytest.raises(EvaluationError, match="line 1"):
        evaluate(plan, settings, tools, RecordingProgress(), Watcher())
    with pytest.raises(UsageError, match="share below 1"):
        evaluate(replace(plan, unanswerable=1.0), settings, tools, RecordingProgress(), Watcher())


def test_without_docs_the_users_own_index_is_asked(
    run: Evaluate, small_index: Index, questions: Path, settings: Settings
) -> None:
    before = (settings.store / "CURRENT").read_bytes()
    done = run(files=Files(questions), level="retrieval", unanswerable=0.4)
    assert done.summary["questions"] == 5
    assert (settings.store / "CURRENT").read_bytes() == before


def test_without_index_and_documents(
    questions: Path, settings: Settings, embedder: FakeEmbedder, tmp_path: Path
) -> None:
    tools = Tools(
        lambda: embedder, lambda: ("", lambda: ScriptedGenerator()), lambda _: FakeReader()
    )
    plan = Plan(files=Files(questions), runs=tmp_path / "runs", cache=tmp_path / "cache")
    with pytest.raises(NoDocumentsError, match="--docs"):
        evaluate(plan, replace(settings, documents=None), tools, RecordingProgress(), Watcher())


def test_a_squad_file_brings_its_own_documents(run: Evaluate, tmp_path: Path) -> None:
    texts = {
        "dam": "The river rose. Engineers repaired the old dam in twelve days.",
        "school": "The new school in the city has 450 students.",
    }
    paragraphs = [
        {
            "context": text,
            "qas": [
                {
                    "id": key,
                    "question": f"What of {text.split()[-2]} {text.split()[-1]}",
                    "answers": [
                        {"text": text.split()[-2], "answer_start": text.index(text.split()[-2])}
                    ],
                }
            ],
        }
        for key, text in texts.items()
    ]
    path = tmp_path / "set.json"
    path.write_text(json.dumps({"data": [{"title": "T", "paragraphs": paragraphs}]}))
    done = run(files=Files(path), level="retrieval")
    assert done.summary["overall"]["recall@1"]["value"] == 1
    assert done.summary["overall"]["evidence_recall@1"]["value"] == 1
    assert run(files=Files(path), level="retrieval", unanswerable=0.5).summary["answerable"] == 1


def test_a_generator_that_fails_leaves_the_run_to_be_taken_up(
    run: Evaluate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise GenerationError("llama.cpp stopped")

    with monkeypatch.context() as patch:
        patch.setattr("rag.answer.Answerer.ask", fail)
        with pytest.raises(GenerationError):
            run()
    assert set(outcomes(run())) == {str(q["id"]) for q in QUESTIONS}
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_a_finished_run_can_be_judged_again(run: Evaluate) -> None:
    done = run()
    (done.folder / REPORT).unlink()
    again = render_again(done.folder)
    assert again.summary == json.loads((done.folder / SUMMARY).read_text(encoding="utf-8"))
    assert (done.folder / REPORT).is_file()


def test_the_claims_of_an_answer_are_kept_apart(run: Evaluate, questions: Path) -> None:
    """A label, and the words of the original, are no part of a claim."""
    asked = {**QUESTIONS[1], "question": "List where the troops were sent, and how many died!"}
    questions.write_text(json.dumps(asked), encoding="utf-8")

    def pointing(_: str, text: str) -> str:
        return "रूस" if "रूस" in text else "600"

    (result,) = Run.load(run(reader=FakeReader(pointing)).folder).results
    assert result.reply is not None
    assert result.reply.claims == ("Russia", "600")
    assert result.reply.text == "Russia; 600"
    assert [c.number for c in result.reply.citations] == [1, 2]


def test_a_wrong_claim_beside_a_right_one_counts() -> None:
    def scores(text: str, parts: tuple[str, ...], gold: str = "15,000") -> dict[str, float]:
        reply = Reply(text, "en", 0.9, (), 1.0, 0.5, 300, 5, parts)
        question = Question("q", "How many?", "en", (gold,) if gold else (), "en")
        result = Result(question, "en", (), (), 4, False, 0.1, 900.0, reply)
        return dict(judged(result).scores)

    both = scores("5,000; 15,000", ("5,000", "15,000"))
    assert both["claim_precision"] == 0.5
    assert both["right"] == 1
    assert both["exact"] == 0
    # One token of two is right: precision 1/2, recall 1, F1 2/3.
    assert both["f1"] == pytest.approx(2 / 3)
    assert scores("15,000", ())["claim_precision"] == 1  # a run of before claims were kept
    assert "claim_precision" not in scores("", ())
    assert "claim_precision" not in scores("5,000", ("5,000",), gold="")

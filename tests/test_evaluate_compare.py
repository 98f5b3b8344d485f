import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import PLAIN_CALIBRATION, FakeEmbedder, FakeReader, ScriptedGenerator
from test_evaluate_report import result
from test_evaluate_run import QUESTIONS, SCRIPT, SPANS
from typer.testing import CliRunner
from typer.testing import Result as Invoked

import rag.evaluate.evaluation as evaluation
from rag.calibration import Calibration
from rag.cli.rag import app
from rag.errors import EvaluationError, UsageError
from rag.evaluate.compare import Change, Comparison, compare
from rag.evaluate.questions import Question
from rag.evaluate.thresholds import broken, limits, regressions
from rag.models import ModelFile


def changes(comparison: Comparison) -> dict[str, Change]:
    return {change.metric.name: change for change in comparison.changes}


def test_pairs_differences_and_tests() -> None:
    before = [result(str(i), "no idea at all") for i in range(6)]
    after = [result(str(i)) for i in range(6)]
    found = compare(before, after)
    assert found.paired == 6
    right = changes(found)["right"]
    assert (right.before, right.after, right.difference.value) == (0, 1, 1)
    assert (right.test, right.p) == ("McNemar", pytest.approx(2 / 64))
    f1 = changes(found)["f1"]
    assert f1.test == "permutation"
    assert f1.difference.value == pytest.approx(2 / 3)
    assert f1.p == pytest.approx(2 / 64)
    assert len(found.better) == 6 and found.worse == ()
    assert changes(found)["aurc"].gain == pytest.approx(2 / 3)  # a smaller area is better
    assert changes(found)["seconds_p50"].difference.value == 0
    assert "memory_mb" not in changes(found)


def test_no_difference_is_no_difference() -> None:
    same = [result(str(i)) for i in range(5)]
    found = compare(same, same)
    assert found.better == found.worse == ()
    for change in found.changes:
        assert change.difference.value == 0
        assert change.difference.low == change.difference.high == 0
        assert change.p in (None, 1)


def test_only_questions_of_both_are_paired() -> None:
    other = Question("2", "Another?", "en", ("Wonsan",), "en", ("a.txt",))
    before = [result("1"), result("2"), result("3")]
    after = [result("1"), result("2", question=other), result("4"), result("5")]
    found = compare(before, after)
    assert (found.paired, found.only_before, found.only_after) == (1, 2, 3)
    with pytest.raises(EvaluationError, match="no question in common"):
        compare(before[2:], after[2:])


def test_a_case_that_one_run_cannot_judge_is_left_out_of_that_metric() -> None:
    bare = [result("1", evidence_known=False), result("2")]
    found = compare(bare, [result("1"), result("2")])
    assert changes(found)["evidence_shown"].difference.n == 1
    assert changes(found)["f1"].difference.n == 2


def test_flips_go_both_ways() -> None:
    found = compare([result("1"), result("2", "")], [result("1", ""), result("2")])
    assert [pair[0].question.id for pair in found.better] == ["2"]
    assert [pair[0].question.id for pair in found.worse] == ["1"]


def test_limits() -> None:
    assert limits(["f1=0.5", "recall@1 = 1"]) == {"f1": 0.5, "recall@1": 1}
    for text in ("f1", "f1=", "f1=x", "f1=nan"):
        with pytest.raises(UsageError, match="metric=value"):
            limits([text])
    with pytest.raises(UsageError, match="no metric 'f2'"):
        limits(["f2=1"])


def test_broken_limits() -> None:
    summary = {"overall": {"f1": {"value": 0.5}, "aurc": {"value": 0.2}}}
    assert broken(summary, {"f1": 0.5}, {"aurc": 0.2}) == []
    assert broken(summary, {"f1": 0.51}, {"aurc": 0.1}) == [
        "f1 is 0.5, under 0.51",
        "aurc is 0.2, over 0.1",
    ]
    assert "not measured" in broken(summary, {"exact": 0.1}, {})[0]


def test_regressions() -> None:
    worse = compare([result("1"), result("2")], [result("1"), result("2", "")])
    assert regressions(worse, {"right": 0.5}) == []
    assert regressions(worse, {"right": 0.4}) == [
        "right went from 1 to 0.5, worse by more than 0.4"
    ]
    assert len(regressions(worse, {"false_refusals": 0.1})) == 1  # rising is worse here
    better = compare([result("1"), result("2", "")], [result("1"), result("2")])
    assert regressions(better, {"right": 0, "false_refusals": 0}) == []
    bare = compare([replace(result("1"), reply=None)], [replace(result("1"), reply=None)])
    assert regressions(bare, {"f1": 0}) == ["f1 was not measured in both runs"]


Command = Callable[..., Invoked]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, small_documents: Path) -> Command:
    """Run `rag eval …` on fakes, in a home and a folder of its own."""
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def file(spec: str, *_: object) -> ModelFile:
        return ModelFile(spec, spec, None, f"{spec}@1")

    monkeypatch.setattr(Calibration, "shipped", PLAIN_CALIBRATION.at)
    monkeypatch.setattr(evaluation, "resolve_embedder", file)
    monkeypatch.setattr(evaluation, "resolve_generator", file)
    monkeypatch.setattr(evaluation, "load_embedder", lambda *_, **__: FakeEmbedder())
    monkeypatch.setattr(
        evaluation.LlamaGenerator, "load", lambda *_, **__: ScriptedGenerator(SCRIPT)
    )
    monkeypatch.setattr(evaluation.SpanReader, "shipped", lambda *_: FakeReader(SPANS))
    path = tmp_path / "questions.jsonl"
    path.write_text("\n".join(map(json.dumps, QUESTIONS)), encoding="utf-8")
    env = {"RAG_STORE": str(tmp_path / "store"), "RAG_DOCUMENTS": str(small_documents)}
    return lambda *words: CliRunner().invoke(app, ["eval", *map(str, words)], env=env)


def test_run_needs_no_name(command: Command, tmp_path: Path) -> None:
    done = command("questions.jsonl", "--name", "first")
    assert done.exit_code == 0, done.output
    assert "5 questions" in done.stdout and "en→hi" in done.stdout
    (folder,) = (tmp_path / "runs").iterdir()
    assert f"Report: {Path('runs') / folder.name / 'report.html'}" in done.stdout
    assert command("run", "questions.jsonl", "-q").exit_code == 0
    assert command("--only", "retrieval", "questions.jsonl", "-q").exit_code == 0


def test_run_as_json(command: Command) -> None:
    done = command("questions.jsonl", "--json", "-q")
    assert json.loads(done.stdout)["overall"]["right"]["value"] == 0.75


def test_exit_codes(command: Command) -> None:
    assert command("questions.jsonl", "-q", "--fail-under", "right=0.75").exit_code == 0
    under = command("questions.jsonl", "-q", "--fail-under", "right=0.8")
    assert under.exit_code == 1
    assert "Error: right is 0.75, under 0.8" in under.stderr
    assert command("questions.jsonl", "-q", "--fail-over", "false_refusals=0.1").exit_code == 1
    assert command("questions.jsonl", "-q", "--fail-under", "rihgt=1").exit_code == 2
    assert command("questions.jsonl", "--only", "guessing").exit_code == 2
    assert command("none.jsonl").exit_code == 2
    assert command("questions.jsonl", "--limit", "0").exit_code == 2


def test_a_malformed_line_is_one_error(command: Command, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"id": "1"}\n', encoding="utf-8")
    done = command("bad.jsonl")
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: bad.jsonl, line 1: 'question' is missing")
    assert not (tmp_path / "runs").exists()


def test_compare_and_report(command: Command, tmp_path: Path) -> None:
    command("questions.jsonl", "--name", "a")
    command("questions.jsonl", "--name", "b", "--fresh")
    one, other = sorted((tmp_path / "runs").iterdir(), key=lambda p: p.name.rsplit("-", 1)[-1])
    done = command("compare", one, other, "--regression", "right=0")
    assert done.exit_code == 0, done.output
    assert "5 questions in both" in done.stdout
    assert "Better: 0" in done.stdout and "Worse: 0" in done.stdout
    assert json.loads(command("compare", one, other, "--json").stdout)["paired"] == 5
    assert command("compare", one, other, "--fail-under", "right=0.9").exit_code == 1
    assert command("compare", one, tmp_path).exit_code == 1
    assert command("report", one).exit_code == 0
    assert command("report", tmp_path).exit_code == 1


def test_flips_are_listed() -> None:
    from rich.console import Console

    from rag.evaluate.terminal import show_comparison

    console = Console(record=True, width=120, file=io.StringIO())
    show_comparison(compare([result("q7", "")], [result("q7", "in Wonsan \x1b[2J")]), console)
    text = console.export_text()
    assert "q7  false refusal → right: Which city?" in text
    assert "(refused) → in Wonsan \\x1b[2J" in text

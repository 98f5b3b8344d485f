import json
from pathlib import Path
from typing import Any

import pytest

from rag.errors import EvaluationError, RagError, UsageError
from rag.evaluate.questions import Question, Span, read_csv, read_jsonl
from rag.evaluate.sets import Files, QuestionSet, read_set, sample, withhold
from rag.evaluate.squad import read_squad


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def squad(path: Path, paragraphs: list[dict[str, Any]], title: str = "A title") -> Path:
    return write(path, json.dumps({"data": [{"title": title, "paragraphs": paragraphs}]}))


def qa(key: str, question: str, *answers: tuple[str, int | None], **more: Any) -> dict[str, Any]:
    golds = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": key, "question": question, "answers": golds, **more}


GOOD = {"id": "1", "question": "Who won?", "lang": "en", "answers": ["Ann"], "sources": ["a.txt"]}


def test_jsonl(tmp_path: Path) -> None:
    lines = [
        json.dumps(GOOD),
        "",
        json.dumps({"id": "2", "question": "कौन?", "answerable": False}),
    ]
    first, second = read_jsonl(write(tmp_path / "q.jsonl", "\ufeff" + "\n".join(lines)))
    assert first == Question("1", "Who won?", "en", ("Ann",), "en", ("a.txt",), True)
    assert (second.language, second.answerable, second.answers) == ("hi", False, ())


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "no JSON"),
        ("[1]", "no object"),
        ('{"question": "Who?"}', "'id' is missing"),
        ('{"id": 7, "question": "Who?"}', "'id' must be a text"),
        ('{"id": "2", "question": "??"}', "question is empty"),
        ('{"id": "2", "question": "Who?", "answers": "Ann"}', "'answers' must be a list of texts"),
        ('{"id": "2", "question": "Who?", "sources": [""]}', "'sources' must be a list of texts"),
        ('{"id": "2", "question": "Who?", "answerable": "no"}', "not true or false"),
        ('{"id": "2", "question": "Who?", "answers": ["x"], "answerable": false}', "yet"),
        ('{"id": "1", "question": "Who?"}', "used in line 1 already"),
    ],
)
def test_a_malformed_line_is_named_with_its_number(tmp_path: Path, line: str, why: str) -> None:
    path = write(tmp_path / "q.jsonl", json.dumps(GOOD) + "\n\n" + line + "\n")
    with pytest.raises(EvaluationError) as caught:
        read_jsonl(path)
    assert "q.jsonl, line 3: " in str(caught.value)
    assert why in str(caught.value)


def test_bytes_that_are_no_utf8_are_named_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b"\n\xff\n")
    with pytest.raises(EvaluationError, match="line 2: not UTF-8"):
        read_jsonl(path)


def test_a_file_without_questions_or_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no questions"):
        read_jsonl(write(tmp_path / "q.jsonl", "\n"))
    with pytest.raises(UsageError, match="no file"):
        read_jsonl(tmp_path / "none.jsonl")


def test_csv(tmp_path: Path) -> None:
    table = (
        "id,question,lang,answers,sources,answerable\n"
        '1,"Who, then?",en,Ann | Bo,"[""a.txt""]",\n'
        "2,Why?,en,,,false\n"
    )
    first, second = read_csv(write(tmp_path / "q.csv", table))
    assert first.answers == ("Ann", "Bo")
    assert first.sources == ("a.txt",)
    assert first.answerable and not second.answerable


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("id,lang\n1,en\n", "line 1: no column question"),
        ("id,question,answerable\n1,Who?,maybe\n", "line 2: 'answerable' is 'maybe'"),
        ("id,question\n1,Who?\n2\n", "line 3: 2 cells"),
        ("id,question\n1,Who?,x\n", "line 2: 2 cells"),
        ("id,question,answers\n1,Who?,[x\n", "line 2: 'answers' begins with ["),
        ('id,question\n1,"Who?\n', "no CSV"),
    ],
)
def test_malformed_csv(tmp_path: Path, table: str, why: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        read_csv(write(tmp_path / "q.csv", table))
    assert why in str(caught.value)


def test_squad_paragraphs_questions_and_spans(tmp_path: Path) -> None:
    context = "Ann won. Ann lost. Bo slept."
    path = squad(
        tmp_path / "s.json",
        [
            {
                "context": context,
                "qas": [
                    qa("1", "Who won?", ("Ann", 0), ("Ann", 9)),
                    qa("2", "Who slept?", ("Bo", 3)),  # a wrong offset, but only one place
                    qa("3", "Who lost?", ("Ann", 4)),  # a wrong offset and two places
                    qa("4", "Who flew?", ("Ann", 0), is_impossible=True),
                    qa("5", "Who ran?", ("", None)),
                ],
            }
        ],
    )
    found = read_squad(path)
    assert [p.name for p in found.paragraphs] == ["000-000-a_title.txt"]
    assert found.language == "en"
    assert found.questions["1"].answers == ("Ann",)
    assert found.questions["1"].spans == ((0, 3), (9, 12))
    assert found.questions["2"].spans == ((19, 21),)
    assert found.questions["3"].spans == ()
    assert found.questions["4"].answers == found.questions["5"].answers == ()


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"data": 1}, "data: "),
        ({"data": [{"title": "t"}]}, "data[0].paragraphs: "),
        ({"data": [{"paragraphs": [{"qas": []}]}]}, "data[0].paragraphs[0]: 'context'"),
        ({"data": [{"paragraphs": [{"context": "x"}]}]}, "data[0].paragraphs[0].qas: "),
        (
            {"data": [{"paragraphs": [{"context": "x", "qas": [{"id": "1", "question": "?"}]}]}]},
            "data[0].paragraphs[0].qas[0]: ",
        ),
    ],
)
def test_malformed_squad_is_named_by_its_place(tmp_path: Path, value: Any, where: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        read_squad(write(tmp_path / "s.json", json.dumps(value)))
    assert f"s.json, {where}" in str(caught.value)


@pytest.fixture
def parallel(tmp_path: Path) -> dict[str, Path]:
    """Three parallel files: Hindi, English, and a larger Hindi one with another order."""
    hi = {"context": "राम जीता। सीता सोई।", "qas": [qa("1", "कौन जीता?", ("राम", 0))]}
    more = {"context": "श्याम भागा।", "qas": [qa("2", "कौन भागा?", ("श्याम", 0))]}
    en = {"context": "Ram won. Sita slept.", "qas": [qa("1", "Who won it all?", ("Ram", 0))]}
    return {
        "hi": squad(tmp_path / "hi.json", [hi]),
        "en": squad(tmp_path / "en.json", [en]),
        "half": squad(tmp_path / "half.json", [more, hi]),
    }


def test_questions_of_a_parallel_file_over_these_paragraphs(parallel: dict[str, Path]) -> None:
    given = read_set(Files(parallel["hi"], questions_from=parallel["en"]))
    (question,) = given.questions
    assert question.text == "Who won it all?"
    assert (question.language, question.answers, question.answer_language) == ("en", ("Ram",), "en")
    assert question.spans == (Span("000-000-a_title.txt", 0, 3),)
    assert given.paragraphs[0].text.startswith("राम")


def test_gold_from_another_file(parallel: dict[str, Path]) -> None:
    given = read_set(Files(parallel["hi"], questions_from=parallel["en"], gold_from=parallel["hi"]))
    (question,) = given.questions
    assert (question.language, question.answers, question.answer_language) == ("en", ("राम",), "hi")


def test_documents_from_another_file(parallel: dict[str, Path]) -> None:
    given = read_set(Files(parallel["hi"], documents=parallel["half"]))
    (question,) = given.questions
    assert question.sources == ("000-001-a_title.txt",)
    assert len(given.paragraphs) == 2


def test_documents_are_found_by_their_text_where_ids_differ(
    parallel: dict[str, Path], tmp_path: Path
) -> None:
    hi = {"context": "राम जीता। सीता सोई।", "qas": [qa("x", "कौन जीता?", ("राम", 0))]}
    home = squad(tmp_path / "other.json", [hi])
    (question,) = read_set(Files(parallel["hi"], documents=home)).questions
    assert question.spans == (Span("000-000-a_title.txt", 0, 3),)


def test_files_that_do_not_go_together(parallel: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no question '2'"):
        read_set(Files(parallel["half"], questions_from=parallel["en"]))
    with pytest.raises(EvaluationError, match="paragraph of the question '2'"):
        read_set(Files(parallel["half"], documents=parallel["hi"]))
    with pytest.raises(UsageError, match="not over a folder"):
        read_set(Files(parallel["hi"], documents=tmp_path))
    own = write(tmp_path / "q.jsonl", json.dumps(GOOD))
    with pytest.raises(UsageError, match="SQuAD-shaped"):
        read_set(Files(own, questions_from=parallel["en"]))
    with pytest.raises(UsageError, match="no file or folder"):
        read_set(Files(own, documents=tmp_path / "none"))
    with pytest.raises(UsageError, match="none of the kinds"):
        read_set(Files(write(tmp_path / "q.yaml", "")))


def asked(key: str, *sources: str, answerable: bool = True) -> Question:
    return Question(key, f"Who is {key}?", "en", ("x",), "en", sources, answerable)


def test_a_sample_keeps_the_order_and_is_drawn_by_the_seed() -> None:
    questions = [asked(str(i), "a") for i in range(20)]
    drawn = sample(questions, 5, seed=3)
    assert drawn == sample(questions, 5, seed=3)
    assert drawn != sample(questions, 5, seed=4)
    assert [int(q.id) for q in drawn] == sorted(int(q.id) for q in drawn)
    assert sample(questions, None, 0) == sample(questions, 99, 0) == tuple(questions)


def test_withholding_takes_whole_documents() -> None:
    questions = tuple(asked(f"{d}{i}", d) for d in "abcde" for i in range(2))
    given = withhold(QuestionSet(questions), 0.4, seed=1)
    lost = [q for q in given.questions if q.removed]
    assert len(lost) == 4
    assert len(given.removed) == 2
    for question in given.questions:
        assert question.removed == (question.id[0] in given.removed)
        if question.removed:
            assert (question.answerable, question.answers, question.sources) == (False, (), ())
        else:
            assert question.answerable and question.sources
    assert given == withhold(QuestionSet(questions), 0.4, seed=1)


def test_withholding_does_not_go_beyond_the_share() -> None:
    # Every document has three of six questions: a third cannot be met by whole documents.
    questions = tuple(asked(f"{d}{i}", d) for d in "ab" for i in range(3))
    assert withhold(QuestionSet(questions), 0.34, seed=0).removed == frozenset()


def test_a_question_with_a_source_left_stays_answerable() -> None:
    questions = (asked("1", "a"), asked("2", "a", "b"), asked("3"), asked("4", answerable=False))
    given = withhold(QuestionSet(questions), 0.25, seed=0)
    assert given.removed == {"a"}
    first, second, third, fourth = given.questions
    assert first.removed and not first.answerable
    assert second.answerable and second.sources == ("b",)
    assert (third, fourth) == questions[2:]


def test_every_error_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RagError) as caught:
        read_squad(write(tmp_path / "s.json", "{\n\n]"))
    assert "\n" not in str(caught.value)
    assert "line 3" in str(caught.value)

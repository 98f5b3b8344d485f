"""The pure parts of `training/`: what questions are kept, what is shown, what is fitted."""

from __future__ import annotations

import importlib.util
import json
import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

TRAINING = Path(__file__).resolve().parent.parent / "training"
# What these scripts need beside the package itself; sklearn comes with sentence-transformers.
pytest.importorskip("sklearn")


def module(name: str) -> ModuleType:
    """Import a script that is in no package."""
    spec = importlib.util.spec_from_file_location(f"training_{name}", TRAINING / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = found  # dataclasses look their module up
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def make_questions() -> ModuleType:
    return module("make_questions")


@pytest.fixture(scope="module")
def train_reader() -> ModuleType:
    return module("train_reader")


@pytest.fixture(scope="module")
def calibrate() -> ModuleType:
    return module("calibrate")


# make_questions

SENTENCE = (
    "The bridge over the Save was built by Italian engineers between 1903 and 1907, and it "
    "carried 15,000 carts a year."
)


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        ("Who built the bridge over the Save? ||| Italian engineers", "Italian engineers"),
        ("Who built the bridge over the Save? ||| Italian engineers.", "Italian engineers"),
        (" Who built the bridge over the Save?|||Italian engineers ", "Italian engineers"),
        ("How many carts did the bridge carry? ||| 15", "15,000"),  # no number is cut
        ("Which people built the bridge over it? ||| Italian eng", "Italian engineers"),
        ("When was the bridge over it built? ||| 1903", "1903"),
    ],
)
def test_a_question_is_kept_with_the_place_of_its_answer(
    make_questions: ModuleType, output: str, answer: str
) -> None:
    question, start, end = make_questions.checked(output, SENTENCE)
    assert question == output.split("|||")[0].strip()
    assert SENTENCE[start:end] == answer


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("", "is nothing"),
        ("Who built the bridge over the Save?", "has no answer"),
        ("Who built the bridge over the Save? |||  ", "has an empty answer"),
        ("Who built the bridge over the Save? ||| French engineers", "answers something else"),
        ("Who built the bridge over the Save? ||| italian engineers", "is not word for word"),
        ("Name who built the bridge over it. ||| Italian engineers", "asks nothing"),
        ("Who built the bridge? ||| Italian engineers", "fits many bridges"),
        ("Were Italian engineers the builders of it? ||| Italian engineers", "holds its answer"),
        (f"What does the whole sentence say here? ||| {SENTENCE}", "is answered by all of it"),
        (
            "What about the bridge is told here? ||| was built by Italian engineers between "
            "1903 and 1907, and it carried",
            "has too long an answer",
        ),
        ("What stands at the end of it? ||| ,", "is answered by no word"),
    ],
)
def test_a_question_is_thrown_away_that(make_questions: ModuleType, output: str, why: str) -> None:
    assert make_questions.checked(output, SENTENCE) is None, why


def test_the_prompt_ends_with_the_sentence_and_the_kind(make_questions: ModuleType) -> None:
    turns = make_questions.messages("It rained.", "a place")
    assert turns[-1] == {"role": "user", "content": "Sentence: It rained.\nAsk about: a place"}
    assert [turn["role"] for turn in turns[:3]] == ["system", "user", "assistant"]


def test_the_examples_of_the_prompt_keep_its_rules(make_questions: ModuleType) -> None:
    kept = [make_questions.checked(made, text) for text, _, made in make_questions.EXAMPLES]
    assert all(kept)


def test_tasks_are_every_sentence_of_fitting_length_and_every_kind(
    make_questions: ModuleType, tmp_path: Path
) -> None:
    context = f"Too short. {SENTENCE} Long {' '.join(['words'] * 60)}."
    data = {"data": [{"paragraphs": [{"context": context}]}]}
    (tmp_path / "xquad.en.train.json").write_text(json.dumps(data), encoding="utf-8")
    found = list(make_questions.tasks(tmp_path))
    assert [text for _, text in found] == [SENTENCE] * 3
    assert [where["kind"] for where, _ in found] == list(make_questions.KINDS)
    assert {(w["article"], w["paragraph"], w["sentence"]) for w, _ in found} == {(0, 0, 11)}


def test_the_made_questions_that_are_shipped_are_of_the_training_articles() -> None:
    rows = [
        json.loads(line)
        for line in (TRAINING / "made_questions.jsonl").read_text("utf-8").splitlines()
    ]
    assert {row["article"] for row in rows} <= set(range(16))
    made = [row for row in rows if "question" in row]
    assert len(made) > 100
    assert all(row["start"] < row["end"] and row["question"].endswith("?") for row in made)


# train_reader

PARAGRAPHS = {
    (0, 0): "One red fox ran. Two blue cats sat down. Three green hens ate. Four owls flew.",
    (0, 1): "Five grey mice hid. Six pink pigs dug.",
    (1, 0): "Seven white swans swam. Eight black crows cawed. Nine brown bears slept.",
}
ANSWER = "blue cats"


def examples(train_reader: ModuleType, seed: int, answer: str = ANSWER, **spans: Any) -> Any:
    from rag.language import sentences

    start = PARAGRAPHS[0, 0].index(answer)
    where = {"en": (start, start + len(answer)), **spans}
    question = train_reader.Question((0, 0), {"en": "What sat?", "hi": "क्या?"}, where)
    cut = {place: sentences(text) for place, text in PARAGRAPHS.items()}
    texts = train_reader.Texts({"en": PARAGRAPHS}, {"en": cut})
    return train_reader.Examples([[question]], texts, random.Random(seed))


def test_a_window_holds_the_answer_where_it_says(train_reader: ModuleType) -> None:
    windows = set()
    for seed in range(60):
        drawing = examples(train_reader, seed)
        text, (start, end) = drawing._window(drawing.sets[0][0], "en")
        assert text[start:end] == ANSWER
        assert text in PARAGRAPHS[0, 0]
        windows.add(text.strip())
    assert "Two blue cats sat down." in windows
    assert PARAGRAPHS[0, 0] in windows
    assert "One red fox ran. Two blue cats sat down." in windows
    assert "Two blue cats sat down. Three green hens ate." in windows


def test_an_answer_over_two_sentences_is_held_whole(train_reader: ModuleType) -> None:
    answer = "sat down. Three green"
    for seed in range(30):
        drawing = examples(train_reader, seed, answer)
        text, (start, end) = drawing._window(drawing.sets[0][0], "en")
        assert text[start:end] == answer


def test_the_first_and_the_last_word_are_in_a_window(train_reader: ModuleType) -> None:
    for answer in ("One", "flew", "flew."):
        for seed in range(20):
            drawing = examples(train_reader, seed, answer)
            text, (start, end) = drawing._window(drawing.sets[0][0], "en")
            assert text[start:end] == answer


def test_a_window_elsewhere_never_holds_the_answer(train_reader: ModuleType) -> None:
    places = set()
    for seed in range(200):
        drawing = examples(train_reader, seed)
        text = drawing._elsewhere(drawing.sets[0][0], "en")
        assert text.strip()
        assert ANSWER not in text
        places |= {place for place, whole in PARAGRAPHS.items() if text in whole}
    assert places == set(PARAGRAPHS)  # the paragraph, the article and any other


def test_about_a_third_of_the_examples_have_no_answer(train_reader: ModuleType) -> None:
    drawing = examples(train_reader, 5)
    drawn = [drawing.draw() for _ in range(600)]
    without = sum(span is None for _, _, span in drawn)
    assert 0.28 < without / 600 < 0.42
    assert {question for question, _, _ in drawn} == {"What sat?", "क्या?"}
    assert all(text[span[0] : span[1]] == ANSWER for _, text, span in drawn if span)


def test_a_near_miss_is_drawn_from_its_article_and_has_no_answer(train_reader: ModuleType) -> None:
    drawing = examples(train_reader, 5)
    near = train_reader.Question((0, 0), {"en": "What flew to the sun?"}, {})
    drawing = train_reader.Examples([[near]], drawing.texts, random.Random(5))
    drawn = [drawing.draw() for _ in range(100)]
    assert {(question, span) for question, _, span in drawn} == {("What flew to the sun?", None)}
    own = [PARAGRAPHS[0, 0], PARAGRAPHS[0, 1]]
    assert all(any(text in whole for whole in own) for _, text, _ in drawn)
    assert all(any(text in whole for _, text, _ in drawn) for whole in own)


def test_sets_are_drawn_by_their_shares(train_reader: ModuleType) -> None:
    drawing = examples(train_reader, 5)
    near = train_reader.Question((0, 0), {"en": "What flew to the sun?"}, {})
    sets = [drawing.sets[0], [near] * 50]
    drawing = train_reader.Examples(sets, drawing.texts, random.Random(5), (0.9, 0.1))
    asked = [drawing.draw()[0] for _ in range(600)]
    assert 0.06 < asked.count("What flew to the sun?") / 600 < 0.14


def test_the_same_seed_draws_the_same(train_reader: ModuleType) -> None:
    one, two = examples(train_reader, 7), examples(train_reader, 7)
    assert [one.draw() for _ in range(20)] == [two.draw() for _ in range(20)]


def test_hindi_and_english_are_drawn_three_times_as_often(train_reader: ModuleType) -> None:
    assert train_reader._weighted({"hi": 1, "ar": 2, "en": 3}) == "ar en en en hi hi hi".split()


class Encoded(dict[str, Any]):
    """Two tokens of a question and those of a text, as a tokenizer gives them."""

    def __init__(self, *rows: list[tuple[int, int]]) -> None:
        longest = max(map(len, rows))
        padded = [[(0, 0), (0, 5), (0, 0), *row, *[(0, 0)] * (longest - len(row))] for row in rows]
        super().__init__(offset_mapping=np.array(padded))
        self._sides = [
            [None, 0, None, *[1] * len(row), *[None] * (longest - len(row))] for row in rows
        ]

    def sequence_ids(self, row: int) -> list[int | None]:
        return self._sides[row]


@pytest.mark.parametrize(
    ("span", "first", "last"),
    [
        ((4, 8), 4, 4),  # one token exactly
        ((4, 12), 4, 5),
        ((5, 10), 4, 5),  # tokens that hold a part of it
        ((0, 12), 3, 5),
        ((3, 4), 0, 0),  # the gap between two tokens
        ((50, 60), 0, 0),  # what was cut off
        (None, 0, 0),
    ],
)
def test_targets(
    train_reader: ModuleType, span: tuple[int, int] | None, first: int, last: int
) -> None:
    encoded = Encoded([(0, 3), (4, 8), (9, 12)])
    assert train_reader.targets(encoded, [span]).tolist() == [[first], [last]]


def test_targets_are_by_text_and_never_in_the_question(train_reader: ModuleType) -> None:
    encoded = Encoded([(0, 3), (4, 8), (9, 12)], [(0, 5)])
    assert train_reader.targets(encoded, [(9, 12), (0, 5)]).tolist() == [[5, 3], [5, 3]]


@pytest.mark.parametrize(
    ("answer", "marked", "margin", "expected"),
    [
        ("15,000 soldiers", "१५,००० सैनिक", 0.1, True),  # numbers alone tell
        ("15,000 soldiers", "5,000 सैनिक", 20.0, False),
        ("soldiers", "15 सैनिक", 20.0, False),
        ("15 soldiers", "सैनिक", 20.0, False),
        ("1903 and 1907", "1907 और 1903", 0.1, True),
        ("William the Great", "महान विलियम", 4.5, True),  # a name that sounds alike
        ("William the Great", "महान विलियम", 4.0, False),
        ("the coast", "तट", 7.9, False),
        ("the coast", "तट", 8.1, True),  # so sure that nothing need confirm it
    ],
)
def test_a_mark_in_another_language_is_confirmed(
    train_reader: ModuleType, answer: str, marked: str, margin: float, expected: bool
) -> None:
    assert train_reader.confirmed(answer, marked, margin) is expected


def test_made_questions_are_read_without_those_that_failed(
    train_reader: ModuleType, tmp_path: Path
) -> None:
    row = {"article": 3, "paragraph": 1, "sentence": 40, "kind": "a name"}
    made = {**row, "question": "Who was it?", "start": 44, "end": 49}
    file = tmp_path / "made.jsonl"
    file.write_text(f"{json.dumps(row)}\n{json.dumps(made)}\n", encoding="utf-8")
    [question] = train_reader.load_made(file)
    assert question == train_reader.Question((3, 1), {"en": "Who was it?"}, {"en": (44, 49)})


def test_the_held_out_articles_are_those_that_confidence_is_fitted_on(
    train_reader: ModuleType, calibrate: ModuleType
) -> None:
    assert train_reader.HELD_OUT == calibrate.HELD_OUT


# articles


@pytest.fixture(scope="module")
def written() -> ModuleType:
    return module("articles")


def test_the_written_articles_are_whole(written: ModuleType) -> None:
    found = list(written.articles())
    assert len(found) > 200
    for article in found:
        assert len(article.paragraphs) == 4, article.name
        for paragraph in article.paragraphs:
            answered = [q for q in paragraph.questions if q.answers]
            assert len(answered) >= 4, article.name
            assert len(answered) < len(paragraph.questions), article.name
            for question in paragraph.questions:
                assert set(question.asked) == set(article.languages)
                assert set(question.answers) in (set(), set(article.languages))
    assert 0.1 < sum(article.held_out for article in found) / len(found) < 0.2


def article_file(folder: Path, name: str, answer: str = "red fox") -> None:
    asked = {"en": "Which animal?", "hi": "कौन-सा जानवर?"}
    texts = {"en": "One red fox ran.", "hi": "एक लाल लोमड़ी भागी।"}
    questions = [
        {"asked": asked, "answers": {"en": answer, "hi": "लाल लोमड़ी"}},
        {"asked": {"en": "Which bird?", "hi": "कौन-सा पक्षी?"}},
    ]
    data = {"language": "hi", "paragraphs": [{"texts": texts, "questions": questions}]}
    (folder / name).write_text(json.dumps(data), encoding="utf-8")


def test_an_answer_stands_where_the_article_says(written: ModuleType, tmp_path: Path) -> None:
    article_file(tmp_path, "A-12-fox.json")
    [article] = written.articles(tmp_path)
    [paragraph] = article.paragraphs
    found, near = paragraph.questions
    assert not article.held_out
    assert {x: paragraph.texts[x][a:b] for x, (a, b) in found.answers.items()} == {
        "en": "red fox",
        "hi": "लाल लोमड़ी",
    }
    assert near.answers == {}


@pytest.mark.parametrize("answer", ["blue fox", "n"])
def test_an_answer_that_does_not_stand_there_once_is_an_error(
    written: ModuleType, tmp_path: Path, answer: str
) -> None:
    article_file(tmp_path, "A-12-fox.json", answer)
    with pytest.raises(ValueError, match=r"A-12-fox\.json: .* once"):
        list(written.articles(tmp_path))


# calibrate


def test_the_written_questions_of_held_out_articles_are_asked(
    calibrate: ModuleType, tmp_path: Path
) -> None:
    for name in ("A-12-fox.json", "A-13-fox.json"):
        article_file(tmp_path, name)
    texts, (found, near) = calibrate.written("hi", "en", tmp_path)
    assert texts == {"A-13-fox-0.txt": "One red fox ran."}
    assert (found.article, found.text, found.path) == (
        "A-13-fox",
        "कौन-सा जानवर?",
        "A-13-fox-0.txt",
    )
    assert texts[found.path][found.start : found.end] == "red fox"
    assert (found.answered, near.answered) == (True, False)
    assert calibrate.written("ar", "en", tmp_path) == ({}, [])


def test_thresholds_refuse_no_more_than_the_share(calibrate: ModuleType) -> None:
    best = [(n / 100, True) for n in range(100)] + [(0.001, False)] * 50
    limits = calibrate.thresholds(best)
    assert limits == {"low": 0.04, "normal": 0.12, "high": 0.2}
    for name, share in calibrate.FALSE_REFUSALS.items():
        refused = sum(p < limits[name] for p, can in best if can)
        assert refused == pytest.approx(100 * share)


def test_thresholds_of_few_questions_refuse_none_of_them(calibrate: ModuleType) -> None:
    limits = calibrate.thresholds([(0.9, True), (0.4, True), (0.95, False)])
    assert limits == {"low": 0.4, "normal": 0.4, "high": 0.4}


def test_the_curve_is_the_share_of_each_kind_below(calibrate: ModuleType) -> None:
    best = [(0.2, True), (0.6, True), (0.8, True), (0.9, True), (0.1, False), (0.7, False)]
    assert calibrate.curve(best, {"low": 0.15, "high": 0.8}) == {
        "low": {"answerable": 0.0, "unanswerable": 0.5},
        "high": {"answerable": 0.5, "unanswerable": 1.0},  # .8 itself is not below
    }


def row(calibrate: ModuleType, question: str, answerable: bool, margin: float = 0.0) -> Any:
    signals = calibrate.Signals(margin, 0.5, 0.25, True)
    return calibrate.Row("13", question, "hi→hi", answerable, signals, False, 0.9)


def test_a_question_counts_by_its_best_sentence(calibrate: ModuleType) -> None:
    rows = [row(calibrate, "a", True), row(calibrate, "a", True), row(calibrate, "a", False)]
    found = calibrate.best_rows(rows, np.array([0.3, 0.7, 0.2]))
    assert len(found) == 2
    assert found[0] is rows[1]
    assert found[1] is rows[2]


def test_a_row_gives_the_features_that_are_asked_for(calibrate: ModuleType) -> None:
    assert row(calibrate, "a", True, 3.0).values(calibrate.FOUND) == [3.0, 0.5, 0.25, 1.0]


def test_a_fit_finds_what_tells(calibrate: ModuleType) -> None:
    rng = random.Random(1)
    rows = []
    for n in range(300):
        gold = rng.random() < 0.5
        margin = (2.0 if gold else -2.0) + rng.uniform(-1.9, 1.9)
        signals = calibrate.Signals(margin, rng.random(), 0.0, False)
        rows.append(calibrate.Row(str(13 + n % 3), str(n), "hi→hi", True, signals, gold, 0.9))
    weights, apart = calibrate.fit(rows, ("margin", "cosine"), lambda r: r.gold)
    assert weights.weights["margin"] > 1
    assert abs(weights.weights["cosine"]) < weights.weights["margin"]
    assert np.mean((apart > 0.5) == np.array([r.gold for r in rows])) > 0.95


def test_only_questions_of_held_out_articles_are_asked(
    calibrate: ModuleType, tmp_path: Path
) -> None:
    def article(language: str, number: int) -> dict[str, Any]:
        text = f"{language} {number} answer"
        answer = {"text": "answer", "answer_start": text.index("answer")}
        asked = {"id": f"q{number}", "question": f"{language}?", "answers": [answer]}
        return {"paragraphs": [{"context": text, "qas": [asked]}]}

    for language in ("en", "hindi"):
        data = {"data": [article(language, number) for number in range(16)]}
        file = tmp_path / f"xquad.{language}.train.json"
        file.write_text(json.dumps(data), encoding="utf-8")
    texts, asked = calibrate.articles(tmp_path, "en", "hindi")
    assert len(texts) == 16
    assert [a.article for a in asked] == ["13", "14", "15"]
    assert {a.text for a in asked} == {"en?"}
    assert all(texts[a.path][a.start : a.end] == "answer" for a in asked)

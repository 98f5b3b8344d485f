"""Questions to hits and evidence, over small documents whose order is known by hand."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from conftest import FakeEmbedder, RecordingProgress

from rag.errors import StoreMismatch, UsageError
from rag.index import Index
from rag.ingest import index_documents
from rag.retrieve import KEYWORD_WEIGHT, MAX_QUESTION_CHARS, Found, checked, retrieve
from rag.settings import Settings

SENT = "उत्तर कोरिया ने रूस में लगभग 15,000 सैनिक भेजे हैं।"
Search = Callable[..., Found]


@pytest.fixture
def search(
    tmp_path: Path, settings: Settings, embedder: FakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Search]:
    """Index some texts by name and ask; the index of the last texts stays."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    opened: list[Index] = []

    def ask(
        question: str, k: int = 8, evidence: int = 6, texts: dict[str, str] | None = None
    ) -> Found:
        if texts is not None:
            folder = tmp_path / f"texts{len(opened)}"
            folder.mkdir()
            for name, text in texts.items():
                (folder / f"{name}.txt").write_text(text, encoding="utf-8")
            index_documents([folder], settings, embedder, RecordingProgress())
            opened.append(Index.load(settings.store))
        return retrieve(question, opened[-1], embedder, k=k, evidence=evidence)

    yield ask
    for index in opened:
        index.close()


def paths(found: Found) -> list[str]:
    return [hit.chunk.path for hit in found.hits]


def quotes(found: Found) -> list[str]:
    return [item.quote.text for item in found.evidence]


# Hits


def test_a_question_finds_its_document_across_languages(
    small_index: Index, embedder: FakeEmbedder
) -> None:
    for question, path, sentence in (
        ("How many troops were sent?", "सैनिक.txt", SENT),
        ("कितने लोग राहत शिविरों में हैं?", "river.txt", "About 8,500 people moved into relief camps."),
        ("How many students are in the school?", "مدرسة.txt",
         "يدرس في المدرسة 450 طالبا من القرى المجاورة."),
    ):  # fmt: skip
        found = retrieve(question, small_index, embedder, k=8, evidence=6)
        assert found.hits[0].chunk.path == path
        assert found.evidence[0].quote.text == sentence


def test_scores_are_the_mean_of_chunk_and_best_sentence(search: Search) -> None:
    # The question is two words; the chunk has four words and its sentences two each, so
    # the cosines are 2 / sqrt(2 * 4) with the chunk and 1 with the first sentence.
    texts = {"a": "Rain fell. Snow melted.", "b": "Wind blew hard."}
    found = search("Who saw rain fall", texts={"a": "x y z w"})
    found = search("regen schnee", texts=texts)
    assert [hit.score for hit in found.hits] == [0.0, 0.0]
    found = search("Rain fell", texts=texts)
    assert paths(found) == ["a.txt", "b.txt"]
    dense = (2 / math.sqrt(2 * 4) + 1) / 2
    assert found.hits[0].score == pytest.approx(dense + KEYWORD_WEIGHT)
    assert found.hits[1].score == pytest.approx(0.0, abs=1e-6)
    assert found.best_cosine == pytest.approx(1.0)


def test_ranks_count_from_one_in_each_leg(search: Search) -> None:
    texts = {
        "a": "Rain fell on hills.",
        "b": "Rain fell on hills while many other things went on elsewhere.",
        "c": "Wind blew hard.",
    }
    found = search("Rain fell on hills", texts=texts)
    ranks = [(hit.chunk.path, hit.dense_rank, hit.keyword_rank) for hit in found.hits]
    assert ranks == [("a.txt", 1, 1), ("b.txt", 2, 2), ("c.txt", 3, None)]


def test_keywords_count_within_a_script(search: Search) -> None:
    # One telling word of three in each document: by their vectors they are equal. "rain" is
    # in two documents and "zeppelin" in one, so the latter says more.
    texts = {"a": "Rain one two.", "b": "Zeppelin three four.", "c": "Rain five six."}
    found = search("rain zeppelin", texts=texts)
    assert paths(found) == ["b.txt", "a.txt", "c.txt"]
    rain = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    zeppelin = math.log(1 + (3 - 1 + 0.5) / (1 + 0.5))
    dense = 1 / math.sqrt(2 * 3)
    expected = [
        dense + KEYWORD_WEIGHT * weight / (rain + zeppelin) for weight in (zeppelin, rain, rain)
    ]
    assert [hit.score for hit in found.hits] == pytest.approx(expected)
    assert [hit.keyword_rank for hit in found.hits] == [1, 2, 3]


def test_keywords_change_nothing_across_scripts(search: Search) -> None:
    texts = {"a": "उत्तर कोरिया ने सैनिक भेजे।", "b": "नदी और बांध।", "c": "एक शहर की बात।"}
    found = search("north korea sent troops over the river", texts=texts)
    assert paths(found)[:2] == ["a.txt", "b.txt"]
    assert {hit.keyword_rank for hit in found.hits} == {None}
    # Six telling words ("over" is one) against four, then two: cosines without a bonus.
    assert found.hits[0].score == pytest.approx(4 / math.sqrt(6 * 4))
    assert found.hits[1].score == pytest.approx(1 / math.sqrt(6 * 2))


def test_a_number_in_other_digits_is_a_keyword(search: Search) -> None:
    texts = {"a": "सैनिक १५,००० थे।", "b": "सैनिक १४,००० थे।"}
    found = search("15,000 troops", texts=texts)
    assert paths(found)[0] == "a.txt"
    assert [hit.keyword_rank for hit in found.hits] == [1, None]


def test_equal_documents_keep_the_order_of_their_names(search: Search) -> None:
    texts = {name: "Rain fell on hills." for name in ("b", "c", "a")}
    assert paths(search("rain", texts=texts)) == ["a.txt", "b.txt", "c.txt"]
    assert paths(search("rain", k=1)) == ["a.txt", "b.txt", "c.txt"]  # copies count once


@pytest.mark.parametrize(("k", "hits"), [(1, 1), (2, 2), (3, 3), (50, 3), (10**20, 3)])
def test_k_bounds_the_hits(small_index: Index, embedder: FakeEmbedder, k: int, hits: int) -> None:
    found = retrieve("troops", small_index, embedder, k=k, evidence=6)
    assert len(found.hits) == hits
    assert [h.score for h in found.hits] == sorted((h.score for h in found.hits), reverse=True)


def test_only_the_named_documents_are_searched(small_index: Index, embedder: FakeEmbedder) -> None:
    def within(*names: str) -> Found:
        return retrieve("troops", small_index, embedder, k=8, evidence=6, within=names)

    assert paths(within("river.txt")) == ["river.txt"]
    assert sorted(paths(within("river.txt", "सैनिक.txt"))) == ["river.txt", "सैनिक.txt"]
    for names in ((), ("none.txt",)):
        assert within(*names) == Found((), (), 0.0)


def test_the_same_question_finds_the_same(small_index: Index, embedder: FakeEmbedder) -> None:
    first, second = (
        retrieve("troops in relief camps", small_index, embedder, k=8, evidence=6) for _ in range(2)
    )
    assert first == second


# Evidence


def test_evidence_is_numbered_and_sliced(small_index: Index, embedder: FakeEmbedder) -> None:
    found = retrieve("troops in relief camps", small_index, embedder, k=8, evidence=6)
    assert [item.number for item in found.evidence] == [1, 2, 3, 4, 5, 6]
    for item in found.evidence:
        quote = item.quote
        document = small_index.text.text(quote.chunk.path)
        assert document[quote.start : quote.end] == quote.text
        assert -1 <= item.score <= 1.0001


@pytest.mark.parametrize("count", [1, 2, 5, 100])
def test_evidence_is_bounded(small_index: Index, embedder: FakeEmbedder, count: int) -> None:
    found = retrieve("troops", small_index, embedder, k=8, evidence=count)
    # Eight sentences state something; the ninth is a question.
    assert len(found.evidence) == min(count, 8)


def test_evidence_comes_from_the_hits_alone(small_index: Index, embedder: FakeEmbedder) -> None:
    found = retrieve("troops", small_index, embedder, k=1, evidence=100)
    assert {item.quote.chunk for item in found.evidence} == {found.hits[0].chunk}


def test_questions_and_headings_prove_nothing(search: Search) -> None:
    texts = {
        "a": "Rain report\n\nHow much rain fell on the hills? कितनी बारिश हुई यहाँ पर? "
        "Rain fell on the hills. كم سقط من المطر هنا؟ 雨はどれくらい降りましたか？\n\nPage 3\n",
    }
    assert quotes(search("rain on the hills", texts=texts)) == ["Rain fell on the hills."]


def test_the_same_sentence_in_two_files_is_shown_once(search: Search) -> None:
    texts = {
        "b": "Rain fell on the hills. Then came a long night.",
        "a": "Rain fell on the hills. Nobody was hurt by it.",
        "c": "RAIN fell, on the hills!",
    }
    found = search("rain fell on the hills", texts=texts)
    assert len(found.hits) == 3
    rain = [item for item in found.evidence if "hills" in item.quote.text]
    assert len(rain) == 1
    assert [item.number for item in found.evidence] == [1, 2, 3]


def test_the_best_cosine_is_that_of_the_best_sentence(search: Search) -> None:
    texts = {"a": "Rain fell on hills. Snow melted in valleys of ice."}
    found = search("rain hills", texts=texts)
    assert found.best_cosine == pytest.approx(2 / math.sqrt(2 * 3))
    assert found.evidence[0].score == pytest.approx(found.best_cosine)
    assert search("nothing of that").best_cosine == pytest.approx(0.0, abs=1e-6)


def test_documents_without_a_word_find_nothing(search: Search) -> None:
    found = search("rain", texts={"a": "-----\n", "b": "\u200b"})
    assert (found.evidence, found.best_cosine) == ((), 0.0)


# Refusals


def test_another_embedder_is_refused(small_index: Index) -> None:
    with pytest.raises(StoreMismatch, match=r"fake@1.*other@2"):
        retrieve("troops", small_index, FakeEmbedder("other@2"), k=8, evidence=6)


@pytest.mark.parametrize("question", ["", " ", "🙂", '"', "()", "\u200d"])
def test_a_question_without_a_word_is_refused_before_it_is_embedded(
    small_index: Index, embedder: FakeEmbedder, question: str
) -> None:
    with pytest.raises(UsageError, match="empty"):
        retrieve(question, small_index, embedder, k=8, evidence=6)
    assert embedder.queries == []


def test_checked() -> None:
    assert checked("  how\n many\t? ") == "how many ?"
    assert checked("x" * MAX_QUESTION_CHARS) == "x" * MAX_QUESTION_CHARS
    assert checked("how \udcff many") == "how ? many"
    with pytest.raises(UsageError, match="2001 characters, more than 2000"):
        checked("x" * (MAX_QUESTION_CHARS + 1))


@pytest.mark.parametrize(
    "question",
    ['" OR NEAR(', "troops AND", "' ; -- x", "NOT troops", "x*", 'body:"x', "NEAR(a b, 1)"],
)
def test_operators_do_not_disturb(
    small_index: Index, embedder: FakeEmbedder, question: str
) -> None:
    found = retrieve(question, small_index, embedder, k=8, evidence=6)
    assert sorted(paths(found)) == ["river.txt", "مدرسة.txt", "सैनिक.txt"]


# Names and numbers across scripts


def test_a_name_is_found_in_another_script(search: Search) -> None:
    # No word is shared; only the sounds of the names tell the two texts apart.
    texts = {"a": "लावरोव वोन्सान शहर पहुंचे।", "b": "ज़ेलेंस्की बर्लिन शहर पहुंचे।"}
    found = search("Lavrov Wonsan", texts=texts)
    best, other = found.hits
    assert best.chunk.path == "a.txt"
    assert set(best.matched) == {"Lavrov", "Wonsan"}
    # Two chunks, each sound in one: information log(1 + 1.5 / 1.5) = log 2 for either; the
    # words themselves are in none: log(1 + 2.5 / 0.5) = log 6 each.
    assert best.keyword == pytest.approx(math.log(2) / math.log(6))
    assert best.score == pytest.approx(best.dense + KEYWORD_WEIGHT * best.keyword)
    assert (other.keyword, other.keyword_rank, other.matched) == (0, None, ())
    other_way = search("ज़ेलेंस्की", texts={"a": "Zelensky came.", "b": "It rained."})
    assert other_way.hits[0].chunk.path == "a.txt"


def test_sounds_count_only_between_scripts(search: Search) -> None:
    found = search("Lavrov", texts={"a": "He met Levrev there today.", "b": "Nobody came."})
    assert all(hit.keyword == 0 for hit in found.hits)


def test_numbers_match_in_the_digits_of_any_script(search: Search) -> None:
    texts = {"a": "वहाँ १५,००० लोग थे जो चले गए।", "b": "वहाँ १६,००० लोग थे जो चले गए।"}
    found = search("zzz 15000", texts=texts)
    assert found.hits[0].chunk.path == "a.txt"
    assert found.hits[0].matched == ("15000",)


# What is kept out, and what goes together


def test_boilerplate_is_neither_found_nor_shown(search: Search, embedder: FakeEmbedder) -> None:
    notice = "Subscribe to our daily newsletter here"
    bodies = {
        "a": "The old dam was repaired in twelve days by engineers.",
        "b": "The new school has room for many children of the valley.",
        "c": "Prices of onions doubled at the market after the trucks stopped.",
    }
    texts = {name: f"Title {name}\n\n{body}\n\n{notice}" for name, body in bodies.items()}
    found = search("subscribe daily newsletter", texts=texts)
    # It says something, so it stays ranked in the first file that has it, and only there.
    holding = [e.quote.chunk.path for e in found.evidence if notice in e.quote.text]
    assert holding == ["a.txt"]
    assert [hit.chunk.path for hit in found.hits if hit.keyword] == ["a.txt"]
    assert found.evidence[0].also == ()
    # The text stays whole.
    assert all(notice in hit.chunk.text for hit in found.hits)


def test_the_same_sentence_counts_once_and_names_every_file(search: Search) -> None:
    line = "Rain fell on the hills above the town for nine days in July"
    texts = {
        "a": f"{line}.",
        "b": f"{line.upper()}!",
        "c": f"“{line.replace(' ', '  ')}”.",
        "d": f"{line} 2024.",  # another number: another claim
        "e": line.replace("fell", "never fell") + ".",
        "f": line.replace("hills above the town", "town above the hills") + ".",
    }
    found = search("How long did rain fall on the hills?", texts=texts, evidence=6)
    groups = {
        frozenset([item.quote.chunk.path, *(q.chunk.path for q in item.also)])
        for item in found.evidence
    }
    assert groups == {
        frozenset({"a.txt", "b.txt", "c.txt"}), frozenset({"d.txt"}),
        frozenset({"e.txt"}), frozenset({"f.txt"}),
    }  # fmt: skip
    for item in found.evidence:
        for quote in (item.quote, *item.also):
            assert quote.chunk.text == texts[quote.chunk.path[0]]
    # The copies of the best sentence are gathered however many there are.
    many = {f"{n:02}": f"{line}." for n in range(12)}
    found = search("rain hills", k=20, texts=many, evidence=2)
    assert [len(item.also) for item in found.evidence] == [11]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The night of January was -5 degrees cold.", "The night of January was 5 degrees cold."),
        ("Sales fell by 5% in the spring.", "Sales fell by 5 in the spring."),
        ("It cost them $40 in the end.", "It cost them €40 in the end."),
        ("Ravi owes Asha money since spring.", "Asha owes Ravi money since spring."),
        ("तापमान −5 डिग्री था उस रात में।", "तापमान 5 डिग्री था उस रात में।"),
    ],
)
def test_signs_and_order_make_another_sentence(search: Search, one: str, other: str) -> None:
    found = search("spring January end रात", texts={"a": one, "b": other})
    assert [item.also for item in found.evidence] == [(), ()]


def test_he_is_another_man_in_another_file(search: Search) -> None:
    he = "He arrived in Wonsan on Friday evening."
    texts = {
        "a": f"Lavrov left Moscow in the morning. {he}",
        "b": f"Kim left the capital by train. {he}",
    }
    found = search("Who arrived in Wonsan on Friday evening?", texts=texts)
    assert all(item.also == () for item in found.evidence)
    assert {item.quote.text for item in found.evidence} >= set(texts.values())


def test_only_a_neighbour_explains_a_pronoun(search: Search) -> None:
    he = "He arrived in the city of Wonsan."
    for text in (
        f"Lavrov left Moscow on Friday morning.\n\n{he}",  # a new paragraph
        f"Lavrov left.\n{he}",  # too short to say anything
        f"Lavrov left Moscow, {'and then some more, ' * 20}by train. {he}",  # too long
    ):
        found = search("arrived in Wonsan", texts={"a": text})
        assert he in {item.quote.text for item in found.evidence}
    # "Read also" is boilerplate, and what it is about stands between.
    others = {
        "b": "Title b\nThe school has room for many.\nRead also\nLessons begin early here.",
        "c": "Title c\nPrices of onions doubled this spring.\nRead also\nTraders blamed the rain.",
    }
    cut = f"Title a\nLavrov left Moscow on Friday morning.\nRead also\n{he}"
    found = search("arrived in Wonsan", texts={"a": cut, **others})
    assert found.evidence[0].quote.text == he
    wrapped = f"Lavrov left Moscow on Friday morning.\n{he}"
    found = search("arrived in Wonsan", texts={"a": wrapped})
    assert wrapped in {item.quote.text for item in found.evidence}


def test_a_pronoun_brings_the_sentence_before(search: Search) -> None:
    text = "Lavrov left Moscow on Friday. He arrived in the city of Wonsan. Snow covered the town."
    found = search("arrived in Wonsan", texts={"a": text}, evidence=3)
    shown = {item.quote.text for item in found.evidence}
    assert "Lavrov left Moscow on Friday. He arrived in the city of Wonsan." in shown
    assert "Snow covered the town." in shown
    for item in found.evidence:
        assert text[item.quote.start : item.quote.end] == item.quote.text
    hindi = "लावरोव शुक्रवार को मास्को से निकले। वह वोन्सान शहर पहुंचे और रुके।"
    found = search("Wonsan", texts={"a": hindi}, evidence=1)
    assert found.evidence[0].quote.text == hindi


# Filters and the reranker


def test_only_some_documents_are_looked_in(search: Search, settings: Settings) -> None:
    texts = {f"a{n}": f"Rain fell on hill {n} today." for n in range(9)} | {
        "b": "Rain fell there too."
    }
    found = search("rain fell", texts=texts)
    assert len(found.hits) == 8
    index = Index.load(settings.store)
    try:
        found = retrieve("rain fell", index, FakeEmbedder(), k=8, evidence=4, within=["b.txt"])
        assert paths(found) == ["b.txt"]
        assert {item.quote.chunk.path for item in found.evidence} == {"b.txt"}
        assert retrieve("rain", index, FakeEmbedder(), k=8, evidence=4, within=[]).hits == ()
    finally:
        index.close()


def test_a_reranker_reorders_chunks_and_sentences(search: Search, settings: Settings) -> None:
    class Backwards:
        """Likes what is long."""

        identity = "backwards"

        def scores(self, question: str, texts: Sequence[str]) -> list[float]:
            return [float(len(text)) for text in texts]

    texts = {"a": "Rain fell today here.", "b": "Rain fell on the far hills of the north too."}
    search("rain fell today here", texts=texts)
    index = Index.load(settings.store)
    try:
        plain = retrieve("rain fell today here", index, FakeEmbedder(), k=2, evidence=2)
        found = retrieve(
            "rain fell today here", index, FakeEmbedder(), k=2, evidence=2, reranker=Backwards()
        )
    finally:
        index.close()
    assert paths(plain) == ["a.txt", "b.txt"]
    assert paths(found) == ["b.txt", "a.txt"]
    assert [hit.reranked for hit in found.hits] == [len(texts["b"]), len(texts["a"])]
    assert [item.quote.chunk.path for item in found.evidence] == ["b.txt", "a.txt"]
    assert all(hit.reranked is None for hit in plain.hits)


def test_a_sentence_of_a_better_chunk_comes_first(search: Search) -> None:
    # By itself b's first sentence is nearer (2 / sqrt(2 * 3) against 2 / sqrt(2 * 4)), but the
    # rest of b is about something else.
    texts = {
        "a": "Rain near hills today. Rain near hills again.",
        "b": "Rain hills walk it. Clerks wrote forty letters about lamps and wooden spoons.",
    }
    found = search("rain hills", texts=texts)
    assert found.evidence[0].quote.chunk.path == "a.txt"
    cosines = {item.quote.text: item.score for item in found.evidence}
    assert cosines["Rain hills walk it."] == pytest.approx(2 / math.sqrt(6))
    assert cosines["Rain near hills today."] == pytest.approx(2 / math.sqrt(8))


def test_copies_do_not_crowd_out_other_documents(search: Search) -> None:
    text = "Rain fell on the hills of the north. Roads were closed for a week."
    texts = {f"copy{n}": text for n in range(5)}
    texts |= {"other": "Rain came to hills by the sea too.", "third": "Snow lay on far mountains."}
    found = search("rain fell on the hills", k=2, texts=texts)
    assert paths(found) == [*(f"copy{n}.txt" for n in range(5)), "other.txt"]
    best = found.evidence[0]
    assert [best.quote.chunk.path, *(q.chunk.path for q in best.also)] == paths(found)[:5]
    assert "other.txt" in {item.quote.chunk.path for item in found.evidence}

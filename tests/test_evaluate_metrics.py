import math

import pytest

from rag.evaluate import metrics
from rag.evaluate.normalise import tokens


def test_ranking_by_hand() -> None:
    scores = metrics.ranking(["a", "b", "c"], ["b"])
    assert scores["recall@1"] == 0
    assert scores["recall@3"] == scores["recall@5"] == scores["recall@10"] == 1
    assert scores["mrr"] == pytest.approx(1 / 2)
    assert scores["ndcg@10"] == pytest.approx(1 / math.log2(3))


def test_one_of_several_sources_is_enough_for_recall_but_not_for_ndcg() -> None:
    scores = metrics.ranking(["a", "x", "b"], ["a", "b"])
    assert scores["recall@1"] == 1
    assert scores["mrr"] == 1
    ideal = 1 + 1 / math.log2(3)
    assert scores["ndcg@10"] == pytest.approx((1 + 1 / math.log2(4)) / ideal)


def test_an_empty_ranking_and_a_miss_score_zero() -> None:
    for ranked in ([], ["x", "y"]):
        assert set(metrics.ranking(ranked, ["a"]).values()) == {0.0}


def test_the_order_decides_and_not_the_names() -> None:
    # trec_eval breaks ties by name; a rank has no ties, whatever the names are.
    assert metrics.ranking(["a", "z"], ["a"])["mrr"] == 1
    assert metrics.ranking(["z", "a"], ["z"])["mrr"] == 1


def test_a_document_at_rank_eleven_counts_for_mrr_only() -> None:
    scores = metrics.ranking([f"d{i:02d}" for i in range(11)], ["d10"])
    assert scores["recall@10"] == scores["ndcg@10"] == 0
    assert scores["mrr"] == pytest.approx(1 / 11)


def test_evidence_counts_by_its_first_sentence_that_holds() -> None:
    scores = metrics.evidence_ranking([False, True, True], shown=2)
    assert scores["evidence_recall@1"] == 0
    assert scores["evidence_recall@3"] == 1
    assert scores["evidence_mrr"] == pytest.approx(1 / 2)
    assert scores["evidence_ndcg@10"] == pytest.approx(1 / math.log2(3))
    assert scores["evidence_shown"] == 1


def test_evidence_beyond_what_is_shown_is_not_shown() -> None:
    scores = metrics.evidence_ranking([False, False, True], shown=2)
    assert (scores["evidence_recall@3"], scores["evidence_shown"]) == (1, 0)


def test_no_evidence_at_all() -> None:
    assert set(metrics.evidence_ranking([], shown=6).values()) == {0.0}
    assert set(metrics.evidence_ranking([False, None], shown=6).values()) == {0.0}


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "The  Eiffel-Tower, (Paris)!", ["eiffeltower", "paris"]),
        ("en", "$1,000 + an egg", ["1000", "egg"]),
        ("es", "Los niños y la Luna", ["niños", "y", "luna"]),
        ("de", "Der Hund des Königs", ["hund", "königs"]),
        ("vi", "của tôi", ["tôi"]),
        ("ar", "الكتاب، والقلم؟", ["كتاب", "و", "قلم"]),
        ("hi", "लगभग 15,000 सैनिक।", ["लगभग", "15000", "सैनिक"]),
        ("hi", "the", ["the"]),
        ("zh", "在2019年，北京", ["在", "2019", "年", "北", "京"]),
        ("xx", "a thing", ["a", "thing"]),
        ("en", "…", []),
    ],
)
def test_tokens_as_mlqa_normalises(language: str, text: str, expected: list[str]) -> None:
    assert tokens(text, language) == expected


def test_composed_and_decomposed_texts_are_the_same() -> None:
    assert tokens("अँग्रेज़ी", "hi") == tokens("अँग्रेज\u093cी", "hi")
    assert tokens("Jos\u00e9", "es") == tokens("Jose\u0301", "es")


def test_exact_match_takes_the_best_gold() -> None:
    assert metrics.exact_match("The Alps.", ["Andes", "alps"], "en") == 1
    assert metrics.exact_match("Alps and Andes", ["Andes", "alps"], "en") == 0


def test_f1_by_hand() -> None:
    # said: 3 tokens, gold: 2, common: 2 -> precision 2/3, recall 1, F1 0.8
    assert metrics.token_f1("about 15,000 troops", ["15,000 troops"], "en") == pytest.approx(0.8)
    # a repeated token is common only as often as both have it: P 1/2, R 1, F1 2/3
    assert metrics.token_f1("no no", ["no"], "en") == pytest.approx(2 / 3)
    assert metrics.token_f1("dog", ["cat", "hot dog"], "en") == pytest.approx(2 / 3)
    assert metrics.token_f1("dog", ["cat"], "en") == 0


def test_f1_of_empty_sides() -> None:
    assert metrics.token_f1("", ["cat"], "en") == 0
    assert metrics.token_f1("...", ["!"], "en") == 1  # both are nothing but punctuation
    assert metrics.token_f1("the", ["cat"], "en") == 0
    assert metrics.token_f1("cat", [], "en") == 0


def test_contains_gold_wants_the_tokens_in_a_row() -> None:
    assert metrics.contains_gold("It was the 15,000 men.", ["15000 men"], "en") == 1
    assert metrics.contains_gold("It was 15,000 tall men", ["15,000 men"], "en") == 0
    assert metrics.contains_gold("cartography", ["art"], "en") == 0
    assert metrics.contains_gold("anything", ["..."], "en") == 0  # a gold of no tokens
    assert metrics.contains_gold("", ["x"], "en") == 0


def test_right_is_half_an_f1_or_the_gold_within() -> None:
    assert metrics.is_right("dog", ["hot dog"], "en") == 1
    assert metrics.is_right("they said that it was in Wonsan city", ["Wonsan"], "en") == 1
    assert metrics.is_right("a bird in the sky", ["Wonsan"], "en") == 0
    assert metrics.is_right("", ["Wonsan"], "en") == 0


def test_in_language() -> None:
    hindi = "कितने सैनिक भेजे गए?"
    assert metrics.in_language("लगभग 15,000", hindi, "hi") == 1
    assert metrics.in_language("about 15,000", hindi, "hi") == 0
    assert metrics.in_language("15,000", hindi, "hi") is None
    assert metrics.in_language("Wonsan", "Which city?", "en") == 1
    assert metrics.in_language("वोन्सान", "Which city is वोन्सान वोन्सान वोन्सान?", "en") == 0
    german = "Die Soldaten wurden im Oktober mit dem Zug nach Russland geschickt"
    assert metrics.in_language(german, "When were the troops sent?", "en") == 0
    assert metrics.in_language(german, "Wann wurden sie geschickt?", "de") == 1


def test_citations_by_document() -> None:
    assert metrics.citation_scores(["a", "b"], ["a"]) == {
        "citation_precision": 0.5,
        "citation_recall": 1.0,
    }
    assert metrics.citation_scores(["b"], ["a"]) == {
        "citation_precision": 0.0,
        "citation_recall": 0.0,
    }
    assert metrics.citation_scores(["a"], ["a", "c"])["citation_recall"] == 1  # one suffices
    assert metrics.citation_scores([], ["a"]) == {"citation_recall": 0.0}


def test_what_a_question_says_of_refusing() -> None:
    assert metrics.refusal_scores(True, False) == {"refusal_recall": 1, "refusal_precision": 1}
    assert metrics.refusal_scores(False, False) == {"refusal_recall": 0}
    assert metrics.refusal_scores(True, True) == {"false_refusals": 1, "refusal_precision": 0}
    assert metrics.refusal_scores(False, True) == {"false_refusals": 0}


def test_risk_coverage_by_hand() -> None:
    # sure first: losses 0, 1, 0 -> risks 0, 1/2, 1/3
    curve = metrics.risk_coverage([0.1, 0.9, 0.5], [0, 0, 1])
    assert curve == pytest.approx([0, 1 / 2, 1 / 3])
    assert metrics.aurc([0.1, 0.9, 0.5], [0, 0, 1]) == pytest.approx((0 + 1 / 2 + 1 / 3) / 3)


def test_ties_in_confidence_do_not_depend_on_the_order() -> None:
    one = metrics.risk_coverage([0.9, 0.5, 0.5], [0, 1, 0])
    other = metrics.risk_coverage([0.5, 0.9, 0.5], [0, 0, 1])
    # the tied pair has mean loss 1/2: risks 0, (0 + 1/2) / 2, (0 + 1/2 + 1/2) / 3
    assert one == other == pytest.approx([0, 1 / 4, 1 / 3])


def test_all_tied_is_the_mean_everywhere() -> None:
    assert metrics.risk_coverage([0.5] * 4, [1, 0, 0, 1]) == pytest.approx([0.5] * 4)

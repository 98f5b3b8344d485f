"""The measures, each a pure function of what was expected and what was seen.

A value is in [0, 1], higher is better, unless a docstring says otherwise. Where a measure
has nothing to say of a question it is not computed, and the mean is over fewer questions:
a case without gold is no failure. Nothing here knows the index, a run or a report.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rag.evaluate.normalise import tokens
from rag.language import dominant_script, language, words
from rag.language.identify import CANDIDATES, COMMON

CUTS = (1, 3, 5, 10)
# Fewer words of a script that several languages share do not tell which of them it is.
TELLING_WORDS = 6
RIGHT_F1 = 0.5


def ranking(ranked: Sequence[str], relevant: Collection[str]) -> dict[str, float]:
    """Score a ranking, best first, by trec_eval through ir_measures.

    `recall@k` is 1 where one of the relevant is among the first k: any one source suffices,
    so this is trec_eval's `success` and, with one relevant, its `recall` ("top-k accuracy"
    in Karpukhin et al. 2020, "Dense Passage Retrieval"). `mrr` is the reciprocal of the
    first relevant one's rank, `ndcg@10` the discounted gain of Järvelin and Kekäläinen 2002
    with binary gains. `ranked` must not name anything twice.
    """
    from ir_measures import RR, Qrel, ScoredDoc, Success, calc_aggregate, nDCG

    measures = {f"recall@{k}": Success @ k for k in CUTS} | {"mrr": RR, "ndcg@10": nDCG @ 10}
    wanted = [Qrel("q", name, 1) for name in sorted(relevant)]
    # trec_eval sorts by score and breaks ties by name; the rank itself has no ties.
    run = [ScoredDoc("q", name, -float(rank)) for rank, name in enumerate(ranked)]
    found = calc_aggregate(list(measures.values()), wanted, run)
    return {name: float(found[measure]) for name, measure in measures.items()}


def evidence_ranking(holds: Sequence[bool | None], shown: int) -> dict[str, float]:
    """Score ranked sentences by the first that holds the answer: later ones add nothing.

    `evidence_shown` is 1 where one of the first `shown` holds it.
    """
    first = next((place for place, held in enumerate(holds) if held), None)
    relevant = "none" if first is None else str(first)
    scores = ranking([str(place) for place in range(len(holds))], [relevant])
    named = {f"evidence_{name}": score for name, score in scores.items()}
    return {**named, "evidence_shown": float(first is not None and first < shown)}


def exact_match(answer: str, golds: Sequence[str], lang: str) -> float:
    """Return 1 where the tokens are those of a gold answer (Rajpurkar et al. 2016)."""
    said = tokens(answer, lang)
    return float(any(said == tokens(gold, lang) for gold in golds))


def token_f1(answer: str, golds: Sequence[str], lang: str) -> float:
    """Return the best harmonic mean of token precision and recall over the golds.

    Rajpurkar et al. 2016; an empty side matches only another empty side.
    """
    return max((_f1(tokens(answer, lang), tokens(gold, lang)) for gold in golds), default=0.0)


def _f1(said: Sequence[str], gold: Sequence[str]) -> float:
    if not said or not gold:
        return float(said == gold)
    common = sum(min(said.count(t), gold.count(t)) for t in set(said))
    if not common:
        return 0.0
    precision, recall = common / len(said), common / len(gold)
    return 2 * precision * recall / (precision + recall)


def contains_gold(text: str, golds: Sequence[str], lang: str) -> float:
    """Return 1 where the tokens of a gold answer stand in the text in a row."""
    said = tokens(text, lang)
    return float(any(_within(tokens(gold, lang), said) for gold in golds))


def _within(part: Sequence[str], whole: Sequence[str]) -> bool:
    size = len(part)
    return size > 0 and any(
        list(whole[i : i + size]) == list(part) for i in range(len(whole) - size + 1)
    )


def is_right(answer: str, golds: Sequence[str], lang: str) -> float:
    """Return 1 where the answer holds a gold answer or has a token F1 of half or more."""
    enough = token_f1(answer, golds, lang) >= RIGHT_F1
    return float(enough or contains_gold(answer, golds, lang) == 1)


def in_language(answer: str, question: str, lang: str) -> float | None:
    """Return 1 where an answer is in the question's language `lang`, 0 where not.

    By the script, and among languages of one script by `rag.language` where there are
    words enough; `None` for an answer without letters, such as a number.
    """
    script = dominant_script(answer)
    if script == COMMON:
        return None
    wanted = "Latin" if lang in CANDIDATES["Latin"].split() else dominant_script(question)
    if script != wanted:
        return 0.0
    if script in CANDIDATES and len(words(answer)) >= TELLING_WORDS:
        return float(language(answer) == lang)
    return 1.0


def citation_scores(cited: Collection[str], sources: Collection[str]) -> dict[str, float]:
    """Score the documents cited by an answer: `cited` without repetitions.

    Precision is the share of the cited that are gold; there is none where nothing is
    cited. Recall is 1 where a gold one is cited: each of the sources suffices by itself.
    (Gao et al. 2023, ALCE, judge the same two by entailment; we by the document's name.)
    """
    gold = set(cited) & set(sources)
    scores = {"citation_recall": float(bool(gold))}
    if cited:
        scores["citation_precision"] = len(gold) / len(set(cited))
    return scores


def refusal_scores(refused: bool, answerable: bool) -> dict[str, float]:
    """Return what a question says of each measure of refusing; means give the measures.

    Precision is over the refused, recall over the unanswerable, false refusals (lower is
    better) over the answerable.
    """
    scores = {"false_refusals" if answerable else "refusal_recall": float(refused)}
    if refused:
        scores["refusal_precision"] = float(not answerable)
    return scores


def risk_coverage(confidence: Sequence[float], loss: Sequence[float]) -> list[float]:
    """Return the mean loss of the surest k answers, for k = 1 … n (lower is better).

    The risk–coverage curve of El-Yaniv and Wiener 2010. Equally sure answers could come in
    any order; each counts with the mean loss of its group, which is the expectation.
    """
    groups: dict[float, list[float]] = {}
    for sure, lost in zip(confidence, loss, strict=True):
        groups.setdefault(sure, []).append(lost)
    curve: list[float] = []
    whole = 0.0
    for sure in sorted(groups, reverse=True):
        mean = sum(groups[sure]) / len(groups[sure])
        for _ in groups[sure]:
            whole += mean
            curve.append(whole / (len(curve) + 1))
    return curve


def aurc(confidence: Sequence[float], loss: Sequence[float]) -> float:
    """Return the area under the risk–coverage curve (lower is better).

    The mean of the curve over its n coverages (Geifman et al. 2019, "Bias-Reduced
    Uncertainty Estimation for Deep Neural Classifiers"). `confidence` must not be empty.
    """
    curve = risk_coverage(confidence, loss)
    return sum(curve) / len(curve)

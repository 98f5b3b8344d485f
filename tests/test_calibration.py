"""Signals to a probability, by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rag
from rag.calibration import FURTHEST, Calibration, Signals, Weights

PLAIN = Calibration(
    ranking=Weights(0.0, {"cosine": 1.0}),
    found=Weights(0.0, {"margin": 1.0}),
    read=Weights(0.0, {"refusal_logit": -1.0}),
    thresholds={"low": 0.3, "normal": 0.5, "high": 0.9},
    cosine_floor=0.2,
)
FOUND = Signals(margin=1.5, cosine=0.8, keyword=0.25, crossing=False)
READ = replace(FOUND, refusal=0.2, agreement=0.75)


def logistic(score: float) -> float:
    return 1 / (1 + math.exp(-score))


def test_features() -> None:
    assert FOUND.features() == {"margin": 1.5, "cosine": 0.8, "keyword": 0.25, "crossing": 0.0}
    assert replace(FOUND, crossing=True).features()["crossing"] == 1.0
    features = READ.features()
    assert features.keys() == FOUND.features().keys() | {"refusal_logit", "agreement"}
    assert features["refusal_logit"] == pytest.approx(math.log(0.2 / 0.8))
    assert features["agreement"] == 0.75


def test_a_margin_beyond_all_others_is_cut() -> None:
    assert replace(FOUND, margin=1e9).features()["margin"] == FURTHEST
    assert replace(FOUND, margin=-1e9).features()["margin"] == -FURTHEST


@pytest.mark.parametrize("margin", [-3.0, -0.1, 0.0, 2.0])
def test_before_the_generator_only_what_was_found_counts(margin: float) -> None:
    assert PLAIN.confidence(replace(FOUND, margin=margin)) == pytest.approx(logistic(margin))


def test_sentences_are_ordered_by_weights_of_their_own() -> None:
    assert PLAIN.rank(FOUND) == pytest.approx(logistic(0.8))
    assert PLAIN.rank(READ) == PLAIN.rank(FOUND)


@pytest.mark.parametrize("refusal", [0.01, 0.3, 0.5, 0.9])
def test_with_the_refusal_alone_confidence_is_its_opposite(refusal: float) -> None:
    assert PLAIN.confidence(replace(READ, refusal=refusal)) == pytest.approx(1 - refusal)


def test_a_certain_generator_has_a_finite_say() -> None:
    assert PLAIN.confidence(replace(READ, refusal=0.0)) == pytest.approx(1 - 1e-6)
    assert PLAIN.confidence(replace(READ, refusal=1.0)) == pytest.approx(1e-6)


def test_a_logistic_regression_by_hand() -> None:
    found = Weights(-2.0, {"margin": 0.5, "cosine": 4.0, "keyword": 2.0, "crossing": 0.75})
    read = Weights(-1.0, {"margin": 0.25, "refusal_logit": -0.5, "agreement": 1.5})
    calibration = replace(PLAIN, found=found, read=read)
    # -2 + .5 * 1.5 + 4 * .8 + 2 * .25 + .75 = 3.2
    assert calibration.confidence(replace(FOUND, crossing=True)) == pytest.approx(logistic(3.2))
    # -1 + .25 * 1.5 - .5 * log(1/4) + 1.5 * .75 = .5 + log(2)
    expected = logistic(0.5 + math.log(2))
    assert calibration.confidence(READ) == pytest.approx(expected)


def test_a_weight_that_is_not_there_counts_nothing() -> None:
    calibration = replace(PLAIN, found=Weights(1.0, {"cosine": 1.0}))
    assert calibration.confidence(FOUND) == pytest.approx(logistic(1.8))
    assert calibration.confidence(replace(FOUND, margin=9.0)) == pytest.approx(logistic(1.8))


@given(
    st.floats(-1e9, 1e9),
    st.floats(-1, 1),
    st.booleans(),
    st.none() | st.floats(0, 1),
    st.floats(-1e6, 1e6),
)
def test_confidence_is_a_probability(
    margin: float, cosine: float, crossing: bool, refusal: float | None, intercept: float
) -> None:
    weights = {"margin": 1e3, "cosine": 1e3, "crossing": -1e3}
    calibration = replace(
        PLAIN,
        found=Weights(intercept, weights),
        read=Weights(intercept, {**weights, "refusal_logit": -1e3}),
    )
    assert 0 <= calibration.confidence(Signals(margin, cosine, 0.5, crossing, refusal)) <= 1


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_likelier_refusal_never_gives_more_confidence(one: float, other: float) -> None:
    low, high = sorted((one, other))
    likely, unlikely = (replace(READ, refusal=refusal) for refusal in (low, high))
    assert PLAIN.confidence(likely) >= PLAIN.confidence(unlikely)


@given(st.floats(-99, 99), st.floats(-99, 99))
def test_a_larger_margin_never_gives_less_confidence(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert PLAIN.confidence(replace(FOUND, margin=low)) <= PLAIN.confidence(
        replace(FOUND, margin=high)
    )


def test_strictness_chooses_the_threshold() -> None:
    assert PLAIN.threshold == 0.5
    assert PLAIN.at("low").threshold == 0.3
    assert PLAIN.at("high").threshold == 0.9
    assert PLAIN.at("high").at("normal") == PLAIN
    with pytest.raises(KeyError, match="none"):
        _ = PLAIN.at("none").threshold


def test_what_is_shipped_can_be_used() -> None:
    shipped = Calibration.shipped()
    assert shipped.strictness == "normal"
    low, normal, high = (Calibration.shipped(s).threshold for s in ("low", "normal", "high"))
    assert 0 < low <= normal <= high < 1
    assert -1 <= shipped.cosine_floor < 1
    assert shipped.ranking.weights.keys() <= FOUND.features().keys()
    assert shipped.found.weights.keys() <= FOUND.features().keys()
    assert shipped.read.weights.keys() <= READ.features().keys()
    assert shipped.found.weights["margin"] > 0
    assert shipped.read.weights["refusal_logit"] < 0
    sure = Signals(margin=12.0, cosine=0.9, keyword=0.8, crossing=False)
    unsure = Signals(margin=-12.0, cosine=0.8, keyword=0.1, crossing=False)
    assert shipped.confidence(unsure) < low
    assert high < shipped.confidence(sure)
    agreed = replace(sure, refusal=1e-4, agreement=1.0)
    assert shipped.confidence(replace(agreed, refusal=0.999)) < shipped.confidence(agreed)
    assert shipped.confidence(agreed) > normal


def test_what_is_shipped_says_where_it_is_from() -> None:
    text = (Path(rag.__file__).parent / "calibration.json").read_text(encoding="utf-8")
    assert {"script", "data", "seed", "made"} <= json.loads(text)["provenance"].keys()


@pytest.mark.parametrize("missing", ["ranking", "found", "read", "thresholds", "cosine_floor"])
def test_a_missing_part_is_an_error(missing: str) -> None:
    whole = {
        "ranking": {"intercept": 0, "weights": {"cosine": 1}},
        "found": {"intercept": 0, "weights": {"margin": 1}},
        "read": {"intercept": 0, "weights": {"refusal_logit": -1}},
        "thresholds": {"low": 0.3, "normal": 0.5, "high": 0.9},
        "cosine_floor": 0.2,
    }
    assert Calibration.from_json(whole) == PLAIN
    with pytest.raises(KeyError, match=missing):
        Calibration.from_json({k: v for k, v in whole.items() if k != missing})


@pytest.mark.parametrize("missing", ["intercept", "weights"])
def test_weights_without_a_part_are_an_error(missing: str) -> None:
    whole = {"intercept": 0, "weights": {"margin": 1}}
    with pytest.raises(KeyError, match=missing):
        Weights.from_json({k: v for k, v in whole.items() if k != missing})

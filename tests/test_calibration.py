"""Signals to a probability, by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.calibration import Calibration, Signals

PLAIN = Calibration(0.0, {"refusal_logit": -1.0, "cosine": 0.0, "crossing": 0.0}, 0.5, 0.2)


def test_features() -> None:
    features = Signals(refusal=0.2, cosine=0.8, crossing=True).features()
    assert features["refusal_logit"] == pytest.approx(math.log(0.2 / 0.8))
    assert (features["cosine"], features["crossing"]) == (0.8, 1.0)
    assert Signals(0.2, 0.8, crossing=False).features()["crossing"] == 0.0


@pytest.mark.parametrize("refusal", [0.01, 0.3, 0.5, 0.9])
def test_with_the_refusal_alone_confidence_is_its_opposite(refusal: float) -> None:
    assert PLAIN.confidence(Signals(refusal, 0.1, crossing=False)) == pytest.approx(1 - refusal)


def test_a_logistic_regression_by_hand() -> None:
    weights = {"refusal_logit": -0.5, "cosine": 4.0, "crossing": 0.75}
    calibration = Calibration(-2.0, weights, 0.5, 0.2)
    score = -2.0 - 0.5 * math.log(0.25 / 0.75) + 4.0 * 0.6 + 0.75
    expected = 1 / (1 + math.exp(-score))
    assert calibration.confidence(Signals(0.25, 0.6, crossing=True)) == pytest.approx(expected)


def test_a_weight_that_is_not_there_counts_nothing() -> None:
    calibration = Calibration(1.0, {"cosine": 1.0}, 0.5, 0.2)
    expected = 1 / (1 + math.exp(-1.5))
    assert calibration.confidence(Signals(0.3, 0.5, crossing=True)) == pytest.approx(expected)


@given(st.floats(0, 1), st.floats(-1, 1), st.booleans(), st.floats(-1e6, 1e6))
def test_confidence_is_a_probability(
    refusal: float, cosine: float, crossing: bool, intercept: float
) -> None:
    weights = {"refusal_logit": -1e3, "cosine": 1e3, "crossing": -1e3}
    calibration = Calibration(intercept, weights, 0.5, 0.2)
    assert 0 <= calibration.confidence(Signals(refusal, cosine, crossing)) <= 1


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_likelier_refusal_never_gives_more_confidence(one: float, other: float) -> None:
    low, high = sorted((one, other))
    signals = [Signals(refusal, 0.5, crossing=False) for refusal in (low, high)]
    assert PLAIN.confidence(signals[0]) >= PLAIN.confidence(signals[1])


def test_what_is_shipped_can_be_used() -> None:
    shipped = Calibration.shipped()
    assert 0 < shipped.threshold < 1
    assert -1 <= shipped.cosine_floor < 1
    assert set(shipped.weights) <= set(Signals(0.5, 0.5, crossing=False).features())
    assert shipped.weights["refusal_logit"] < 0
    sure = shipped.confidence(Signals(1e-4, 0.9, crossing=False))
    assert shipped.confidence(Signals(0.999, 0.9, crossing=False)) < sure
    unsure = shipped.confidence(Signals(0.999, 0.8, crossing=False))
    assert unsure < shipped.threshold < sure


@pytest.mark.parametrize("missing", ["intercept", "weights", "threshold", "cosine_floor"])
def test_a_missing_part_is_an_error(missing: str) -> None:
    whole = {"intercept": 0, "weights": {"cosine": 1}, "threshold": 0.5, "cosine_floor": 0.2}
    assert Calibration.from_json(whole) == Calibration(0.0, {"cosine": 1.0}, 0.5, 0.2)
    with pytest.raises(KeyError, match=missing):
        Calibration.from_json({k: v for k, v in whole.items() if k != missing})

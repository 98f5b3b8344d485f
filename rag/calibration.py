"""How sure the program is of an answer: signals to a probability.

Three logistic regressions over a few signals. `ranking` tells which sentence holds the
answer if one does; `found` how likely the documents tell at all, given the best sentence;
`read` the same when the generator has read its passage, too. One regression for both
questions refuses worse (AUC .913 for .939; benchmarks/LOG.md). Their weights and the
thresholds lie in `calibration.json` with their provenance; `training/calibrate.py` fits
them. This module only applies them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

FLOOR = 1e-6
# Beyond so many nats the reader's margin says nothing more.
FURTHEST = 15.0


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known of one sentence that has been read.

    `margin` is the reader's, in nats (see `rag.spans.Span`), `cosine` that of the
    sentence's embedding with the question's, `keyword` the share of the question's
    information whose words its chunk holds, and `crossing` whether sentence and question
    are in different scripts, which lowers every cosine. Where the generator has read the
    passage, `refusal` is the probability of the refusal as its first token and `agreement`
    the token F1 of what it wrote with the reader's span.
    """

    margin: float
    cosine: float
    keyword: float
    crossing: bool
    refusal: float | None = None
    agreement: float = 0.0

    def features(self) -> dict[str, float]:
        """Return the numbers that the weights apply to."""
        found = {
            "margin": min(max(self.margin, -FURTHEST), FURTHEST),
            "cosine": self.cosine,
            "keyword": self.keyword,
            "crossing": float(self.crossing),
        }
        if self.refusal is not None:
            p = min(max(self.refusal, FLOOR), 1 - FLOOR)
            found |= {"refusal_logit": math.log(p / (1 - p)), "agreement": self.agreement}
        return found


@dataclass(frozen=True, slots=True)
class Weights:
    """A fitted logistic regression."""

    intercept: float
    weights: Mapping[str, float]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Weights:
        """Make it from an object with `intercept` and `weights`."""
        weights = {str(k): float(v) for k, v in value["weights"].items()}
        return cls(float(value["intercept"]), weights)

    def probability(self, features: Mapping[str, float]) -> float:
        """Return the probability, in [0, 1]."""
        score = self.intercept + sum(w * features[name] for name, w in self.weights.items())
        return 1 / (1 + math.exp(-max(-60.0, min(60.0, score))))


@dataclass(frozen=True, slots=True)
class Calibration:
    """Fitted weights and the thresholds that follow from them.

    `ranking` orders sentences; `found` applies before the generator has read, `read` after
    it. `thresholds` are the confidences, probabilities, below which the program refuses, by
    strictness (`low`, `normal`, `high`); `threshold` is the one that applies. `cosine_floor`
    is the best cosine below which it refuses without reading.
    """

    ranking: Weights
    found: Weights
    read: Weights
    thresholds: Mapping[str, float]
    cosine_floor: float
    strictness: str = "normal"

    @property
    def threshold(self) -> float:
        """The confidence below which the program refuses."""
        return self.thresholds[self.strictness]

    @classmethod
    def shipped(cls, strictness: str = "normal") -> Calibration:
        """Load the weights that come with the package."""
        text = resources.files("rag").joinpath("calibration.json").read_text(encoding="utf-8")
        return cls.from_json(json.loads(text)).at(strictness)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Calibration:
        """Make it from the object in `calibration.json`; raises KeyError for a missing part."""
        return cls(
            ranking=Weights.from_json(value["ranking"]),
            found=Weights.from_json(value["found"]),
            read=Weights.from_json(value["read"]),
            thresholds={str(k): float(v) for k, v in value["thresholds"].items()},
            cosine_floor=float(value["cosine_floor"]),
        )

    def at(self, strictness: str) -> Calibration:
        """Return the same with another strictness."""
        return replace(self, strictness=strictness)

    def rank(self, signals: Signals) -> float:
        """Return the probability, in [0, 1], that it is this sentence that answers."""
        return self.ranking.probability(signals.features())

    def confidence(self, signals: Signals) -> float:
        """Return the probability, in [0, 1], that the documents tell, and here."""
        weights = self.found if signals.refusal is None else self.read
        return weights.probability(signals.features())

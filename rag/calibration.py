"""How sure the program is that a sentence holds the answer: signals to a probability.

A logistic regression over a few signals that are known before the first word is shown.
Its weights lie in `calibration.json` with their provenance; `training/calibrate.py` fits
them. This module only applies them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

FLOOR = 1e-6


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known of one sentence when the generator has read it.

    `refusal` is the probability of the refusal as the generator's first token, `cosine`
    that of the sentence's embedding with the question's, and `crossing` whether the two
    are in different scripts, which lowers every cosine.
    """

    refusal: float
    cosine: float
    crossing: bool

    def features(self) -> dict[str, float]:
        """Return the numbers that the weights apply to."""
        p = min(max(self.refusal, FLOOR), 1 - FLOOR)
        return {
            "refusal_logit": math.log(p / (1 - p)),
            "cosine": self.cosine,
            "crossing": float(self.crossing),
        }


@dataclass(frozen=True, slots=True)
class Calibration:
    """Fitted weights and the thresholds that follow from them.

    `threshold` is the confidence, a probability, below which the program refuses;
    `cosine_floor` the best cosine below which it refuses without asking the generator.
    """

    intercept: float
    weights: Mapping[str, float]
    threshold: float
    cosine_floor: float

    @classmethod
    def shipped(cls) -> Calibration:
        """Load the weights that come with the package."""
        text = resources.files("rag").joinpath("calibration.json").read_text(encoding="utf-8")
        return cls.from_json(json.loads(text))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Calibration:
        """Make it from the object in `calibration.json`; raises KeyError for a missing part."""
        return cls(
            intercept=float(value["intercept"]),
            weights={str(k): float(v) for k, v in value["weights"].items()},
            threshold=float(value["threshold"]),
            cosine_floor=float(value["cosine_floor"]),
        )

    def confidence(self, signals: Signals) -> float:
        """Return the probability, in [0, 1], that the sentence holds the answer."""
        features = signals.features()
        score = self.intercept + sum(w * features[name] for name, w in self.weights.items())
        return 1 / (1 + math.exp(-max(-60.0, min(60.0, score))))

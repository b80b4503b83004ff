"""How likely a recipient is to bounce: logistic regression, without dependencies."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .features import NAMES, extract


class NotFitted(RuntimeError):
    def __init__(self) -> None:
        super().__init__("the model has no weights yet: call fit() or load()")


def sigmoid(value: float) -> float:
    """Without overflow for large negative values."""
    if value >= 0:
        return 1.0 / (1.0 + math.exp(-value))
    power = math.exp(value)
    return power / (1.0 + power)


class RiskModel:
    """Weights for each feature, and the score from which a recipient is held back."""

    def __init__(self, threshold: float = 0.8) -> None:
        self.threshold = threshold
        self.weights: list[float] | None = None
        self.bias = 0.0

    def fit(
        self,
        recipients: Sequence[dict[str, Any]],
        bounced: Sequence[bool],
        rate: float = 0.1,
        epochs: int = 200,
    ) -> None:
        """Gradient descent over all examples, one after another."""
        if len(recipients) != len(bounced):
            raise ValueError(f"{len(recipients)} recipients, but {len(bounced)} labels")
        rows = [extract(recipient) for recipient in recipients]
        weights = [0.0] * len(NAMES)
        bias = 0.0
        for _ in range(epochs):
            for row, label in zip(rows, bounced):
                error = sigmoid(dot(weights, row) + bias) - float(label)
                weights = [weight - rate * error * value for weight, value in zip(weights, row)]
                bias -= rate * error
        self.weights, self.bias = weights, bias

    def score(self, recipient: dict[str, Any]) -> float:
        """The probability that mail to the recipient comes back."""
        if self.weights is None:
            raise NotFitted
        return sigmoid(dot(self.weights, extract(recipient)) + self.bias)

    def is_risky(self, recipient: dict[str, Any]) -> bool:
        return self.score(recipient) >= self.threshold

    def save(self, path: Path) -> None:
        if self.weights is None:
            raise NotFitted
        state = {"features": list(NAMES), "weights": self.weights, "bias": self.bias}
        path.write_text(json.dumps(state), encoding="utf-8")

    @classmethod
    def load(cls, path: Path, threshold: float = 0.8) -> RiskModel:
        state = json.loads(path.read_text(encoding="utf-8"))
        if state["features"] != list(NAMES):
            raise ValueError(f"{path} was fitted on other features: {state['features']}")
        model = cls(threshold)
        model.weights, model.bias = state["weights"], state["bias"]
        return model


def dot(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))

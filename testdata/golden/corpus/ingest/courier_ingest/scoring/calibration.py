"""Whether scores mean what they say, and which threshold to take."""

from __future__ import annotations

from collections.abc import Sequence


def brier_score(scores: Sequence[float], bounced: Sequence[bool]) -> float:
    """Mean squared distance between forecast and outcome; 0 is perfect."""
    return sum((score - float(label)) ** 2 for score, label in zip(scores, bounced)) / len(scores)


def precision_recall(
    scores: Sequence[float], bounced: Sequence[bool], threshold: float
) -> tuple[float, float]:
    """How many held back would have bounced, and how many of the bounces are held back."""
    held = [label for score, label in zip(scores, bounced) if score >= threshold]
    caught = sum(held)
    precision = caught / len(held) if held else 1.0
    total = sum(bounced)
    return precision, caught / total if total else 1.0


def best_threshold(
    scores: Sequence[float], bounced: Sequence[bool], min_precision: float = 0.95
) -> float:
    """The lowest threshold that does not hold back too many good recipients."""
    for threshold in sorted(set(scores)):
        precision, _ = precision_recall(scores, bounced, threshold)
        if precision >= min_precision:
            return threshold
    return 1.0


def reliability(
    scores: Sequence[float], bounced: Sequence[bool], bins: int = 10
) -> list[tuple[float, float, int]]:
    """For each bin of scores: its middle, the share that bounced, and how many there are."""
    table = []
    for number in range(bins):
        low, high = number / bins, (number + 1) / bins
        last = number == bins - 1
        labels = [
            label
            for score, label in zip(scores, bounced)
            if low <= score < high or (last and score == high)
        ]
        share = sum(labels) / len(labels) if labels else 0.0
        table.append(((low + high) / 2, share, len(labels)))
    return table

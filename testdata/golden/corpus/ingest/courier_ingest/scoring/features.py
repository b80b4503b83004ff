"""Numbers that say something about an address."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

DISPOSABLE = {"mailinator.com", "10minutemail.com", "guerrillamail.com"}
ROLES = {"info", "admin", "sales", "support", "noreply", "postmaster"}

NAMES = ("entropy", "digits", "disposable", "role", "nameless")


def entropy(text: str) -> float:
    """Shannon entropy in bits a character: random strings have a high one."""
    if not text:
        return 0.0
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values())


def extract(recipient: dict[str, Any]) -> list[float]:
    """The features of a recipient, in the order of NAMES."""
    local, _, domain = recipient["email"].rpartition("@")
    digits = sum(character.isdigit() for character in local)
    return [
        entropy(local),
        digits / max(1, len(local)),
        float(domain in DISPOSABLE),
        float(local in ROLES),
        float(not recipient.get("name")),
    ]

"""The same person under two spellings is one recipient."""

from __future__ import annotations

PLUS_TAGS = {"gmail.com", "googlemail.com", "fastmail.com"}
IGNORES_DOTS = {"gmail.com", "googlemail.com"}


def canonical(address: str) -> str:
    """The mailbox that an address ends up in: without tags, and without dots where they
    mean nothing."""
    local, _, domain = address.lower().rpartition("@")
    if domain in PLUS_TAGS:
        local = local.split("+", 1)[0]
    if domain in IGNORES_DOTS:
        local = local.replace(".", "")
        domain = "gmail.com"
    return f"{local}@{domain}"


class Deduplicator:
    """Remembers mailboxes."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def add(self, address: str) -> bool:
        """Whether the mailbox is new."""
        key = canonical(address)
        if key in self._seen:
            return False
        self._seen.add(key)
        return True

    def __len__(self) -> int:
        return len(self._seen)

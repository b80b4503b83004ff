"""What columns a file must have, and what may be in them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Callable

EMAIL = re.compile(r"^[^@\s]+@[^@\s.]+(\.[^@\s.]+)+$")
TRUTHS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


class SchemaError(ValueError):
    """A value that does not fit its column."""

    def __init__(self, column: str, value: object, expected: str) -> None:
        super().__init__(f"column {column!r}: {value!r} is not {expected}")
        self.column = column


def to_email(text: str) -> str:
    if not EMAIL.match(text):
        raise ValueError("an e-mail address")
    local, _, domain = text.rpartition("@")
    return f"{local}@{domain.lower()}"


def to_bool(text: str) -> bool:
    try:
        return TRUTHS[text.lower()]
    except KeyError:
        raise ValueError("yes or no") from None


def to_date(text: str) -> date:
    """ISO dates, and the German `31.01.2026`."""
    if match := re.fullmatch(r"(\d{1,2})\.(\d{1,2})\.(\d{4})", text):
        day, month, year = map(int, match.groups())
        return date(year, month, day)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("a date") from None


@dataclass(frozen=True)
class Field:
    """One column."""

    name: str
    coerce: Callable[[str], Any] = str
    required: bool = False
    default: Any = None

    def read(self, row: dict[str, Any]) -> Any:
        raw = row.get(self.name)
        if raw is None or raw == "":
            if self.required:
                raise SchemaError(self.name, raw, "filled in, but must be")
            return self.default
        try:
            return self.coerce(str(raw))
        except ValueError as error:
            raise SchemaError(self.name, raw, str(error)) from error


@dataclass
class Schema:
    """All columns. Those that a file has beyond them are ignored."""

    fields: list[Field] = field(default_factory=list)

    def coerce(self, row: dict[str, Any]) -> dict[str, Any]:
        return {column.name: column.read(row) for column in self.fields}


RECIPIENTS = Schema(
    [
        Field("email", to_email, required=True),
        Field("name"),
        Field("subscribed", to_bool, default=True),
        Field("joined", to_date),
    ]
)

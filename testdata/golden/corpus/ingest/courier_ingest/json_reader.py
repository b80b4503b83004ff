"""Reads JSON: one array of objects, or one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class JsonReader:
    """Objects of a file. Nested ones are flattened, with dots in their names."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def parse(self, text: str) -> Iterator[dict[str, Any]]:
        if text.lstrip().startswith("["):
            for item in json.loads(text):
                yield flatten(self._object(item, 0))
            return
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip():
                continue
            try:
                item = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{self.path}, line {number}: {error.msg}") from error
            yield flatten(self._object(item, number))

    def _object(self, item: Any, number: int) -> dict[str, Any]:
        if not isinstance(item, dict):
            kind = type(item).__name__
            raise ValueError(f"{self.path}, record {number}: expected an object, found {kind}")
        return item

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self.parse(self.path.read_text(encoding="utf-8"))


def flatten(item: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`."""
    flat: dict[str, Any] = {}
    for key, value in item.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            flat.update(flatten(value, f"{name}."))
        else:
            flat[name] = value
    return flat

"""From rows to recipients that are handed over."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from .dedupe import Deduplicator
from .schema import Schema, SchemaError
from .scoring.model import RiskModel

log = logging.getLogger(__name__)


class TooManyErrors(RuntimeError):
    """A file of which so much is wrong that it is probably the wrong file."""


@dataclass
class Report:
    """What became of the rows."""

    accepted: int = 0
    duplicates: int = 0
    risky: int = 0
    errors: list[str] = field(default_factory=list)

    def summary(self) -> str:
        return (
            f"{self.accepted} accepted, {self.duplicates} duplicates, "
            f"{self.risky} held back as risky, {len(self.errors)} errors"
        )


class Pipeline:
    """Checks, deduplicates and scores rows, and passes on the good ones."""

    def __init__(
        self,
        schema: Schema,
        sink: Callable[[list[dict[str, Any]]], None],
        model: RiskModel | None = None,
        max_errors: int = 100,
        batch_size: int = 500,
    ) -> None:
        self.schema = schema
        self.sink = sink
        self.model = model
        self.max_errors = max_errors
        self.batch_size = batch_size

    def run(self, rows: Iterable[dict[str, Any]]) -> Report:
        report = Report()
        seen = Deduplicator()
        batch: list[dict[str, Any]] = []
        for number, row in enumerate(rows, start=1):
            try:
                recipient = self.schema.coerce(row)
            except SchemaError as error:
                report.errors.append(f"row {number}: {error}")
                if len(report.errors) > self.max_errors:
                    raise TooManyErrors(f"more than {self.max_errors} rows are wrong; the last: {error}")
                continue
            if not seen.add(recipient["email"]):
                report.duplicates += 1
                continue
            if self.model is not None and self.model.is_risky(recipient):
                report.risky += 1
                log.info("held back %s", recipient["email"])
                continue
            batch.append(recipient)
            report.accepted += 1
            if len(batch) == self.batch_size:
                self.sink(batch)
                batch = []
        if batch:
            self.sink(batch)
        return report

"""Reads comma-separated files as they come out of spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

DELIMITERS = ",;\t|"


class CsvError(ValueError):
    """A row that cannot be read, with its place."""

    def __init__(self, path: str, line: int, reason: str) -> None:
        super().__init__(f"{path}, line {line}: {reason}")
        self.path = path
        self.line = line


def sniff_delimiter(sample: str) -> str:
    """The character that splits the header into the most columns."""
    header = sample.splitlines()[0] if sample else ""
    return max(DELIMITERS, key=header.count)


class CsvReader:
    """Rows of a file as dictionaries, keyed by the header's names."""

    def __init__(self, path: Path, encoding: str = "utf-8-sig") -> None:
        self.path = path
        self.encoding = encoding

    def parse(self, text: str) -> Iterator[dict[str, str]]:
        rows = csv.reader(io.StringIO(text), delimiter=sniff_delimiter(text[:4096]))
        try:
            header = [name.strip().lower() for name in next(rows)]
        except StopIteration:
            raise CsvError(str(self.path), 1, "the file is empty") from None
        duplicates = {name for name in header if header.count(name) > 1}
        if duplicates:
            raise CsvError(str(self.path), 1, f"duplicate column {min(duplicates)!r}")
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(header):
                reason = f"expected {len(header)} columns, found {len(row)}"
                raise CsvError(str(self.path), rows.line_num, reason)
            yield dict(zip(header, (cell.strip() for cell in row)))

    def __iter__(self) -> Iterator[dict[str, str]]:
        return self.parse(self.read_text())

    def read_text(self) -> str:
        """The file's text; old spreadsheets write Windows-1252 and do not say so."""
        data = self.path.read_bytes()
        try:
            return data.decode(self.encoding)
        except UnicodeDecodeError:
            return data.decode("cp1252")

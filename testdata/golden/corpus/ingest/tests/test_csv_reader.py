from pathlib import Path

import pytest

from courier_ingest.csv_reader import CsvError, CsvReader, sniff_delimiter


def rows(text: str) -> list[dict[str, str]]:
    return list(CsvReader(Path("contacts.csv")).parse(text))


def test_semicolons_are_detected():
    assert sniff_delimiter("email;name;joined\na;b;c") == ";"
    assert rows("Email;Name\na@b.org;Ada\n") == [{"email": "a@b.org", "name": "Ada"}]


def test_blank_rows_are_skipped():
    assert len(rows("email,name\n\n,\na@b.org,Ada\n")) == 1


def test_wrong_number_of_columns_names_the_line():
    with pytest.raises(CsvError, match="line 3: expected 2 columns, found 3"):
        rows("email,name\na@b.org,Ada\nc@d.org,Charles,Babbage\n")


def test_windows_encoding(tmp_path):
    path = tmp_path / "old.csv"
    path.write_bytes("email,name\nj@b.org,Jürgen\n".encode("cp1252"))
    assert list(CsvReader(path))[0]["name"] == "Jürgen"

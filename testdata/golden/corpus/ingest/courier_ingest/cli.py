"""The command line: `courier-ingest import contacts.csv`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from .csv_reader import CsvError, CsvReader
from .json_reader import JsonReader
from .pipeline import Pipeline, TooManyErrors
from .schema import RECIPIENTS
from .scoring.model import RiskModel
from .upload import Uploader, UploadError

EXIT_BAD_INPUT = 65
EXIT_UNAVAILABLE = 69


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="courier-ingest", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    imports = commands.add_parser("import", help="check a file and hand its recipients over")
    imports.add_argument("file", type=Path)
    imports.add_argument("--gateway", default="http://localhost:8080")
    imports.add_argument("--model", type=Path, help="weights; without them nothing is held back")
    imports.add_argument("--dry-run", action="store_true", help="check only")
    score = commands.add_parser("score", help="print the risk of one address")
    score.add_argument("address")
    score.add_argument("--model", type=Path, required=True)
    return parser


def reader_for(path: Path) -> CsvReader | JsonReader:
    """By the file's extension."""
    match path.suffix.lower():
        case ".csv" | ".tsv" | ".txt":
            return CsvReader(path)
        case ".json" | ".jsonl" | ".ndjson":
            return JsonReader(path)
        case other:
            raise SystemExit(f"cannot tell the format of {path}: unknown extension {other!r}")


def run_import(arguments: argparse.Namespace) -> int:
    token = os.environ.get("COURIER_TOKEN", "")
    if not token and not arguments.dry_run:
        print("COURIER_TOKEN is not set; use --dry-run to check without it", file=sys.stderr)
        return 2
    sink = (lambda batch: None) if arguments.dry_run else Uploader(arguments.gateway, token)
    model = RiskModel.load(arguments.model) if arguments.model else None
    try:
        report = Pipeline(RECIPIENTS, sink, model).run(reader_for(arguments.file))
    except (CsvError, TooManyErrors) as error:
        print(error, file=sys.stderr)
        return EXIT_BAD_INPUT
    except UploadError as error:
        print(error, file=sys.stderr)
        return EXIT_UNAVAILABLE
    for line in report.errors:
        print(line, file=sys.stderr)
    print(report.summary())
    return 0


def main(argv: list[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    if arguments.command == "import":
        return run_import(arguments)
    model = RiskModel.load(arguments.model)
    print(f"{model.score({'email': arguments.address}):.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Imports a small list without a gateway: prints what would be handed over."""

from pathlib import Path

from courier_ingest import CsvReader, Pipeline
from courier_ingest.schema import RECIPIENTS


def main() -> None:
    here = Path(__file__).parent
    pipeline = Pipeline(RECIPIENTS, sink=lambda batch: print(*batch, sep="\n"))
    report = pipeline.run(CsvReader(here / "contacts.csv"))
    print(report.summary())


if __name__ == "__main__":
    main()

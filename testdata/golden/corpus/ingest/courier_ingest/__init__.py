"""Imports recipients from files and hands them to Courier."""

from .csv_reader import CsvReader
from .json_reader import JsonReader
from .pipeline import Pipeline, Report
from .schema import Field, Schema, SchemaError

__all__ = ["CsvReader", "Field", "JsonReader", "Pipeline", "Report", "Schema", "SchemaError"]

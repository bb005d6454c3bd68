"""Exports: rows of any number as CSV, JSON, NDJSON, XLSX or Parquet, in bounded memory."""

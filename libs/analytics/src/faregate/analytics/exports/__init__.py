"""Exports as CSV, JSON, NDJSON, XLSX or Parquet, in bounded memory."""

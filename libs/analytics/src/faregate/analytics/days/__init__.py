"""Export of the BI views as Parquet, by day."""

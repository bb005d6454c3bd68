"""Contents of a report: figures, page, mail, files."""

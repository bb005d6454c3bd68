"""Fault tests of settlement: processes, engines and connections are killed.

`faregate chaos`, from a checkout. Seeded. A fault phase, then a heal phase with a deadline; then a judge that shares no
code with the ledger compares what was published with what the database says.
"""

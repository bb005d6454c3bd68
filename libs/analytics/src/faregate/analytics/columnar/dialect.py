"""Differences between the SQL of the engines that answer questions."""

from dataclasses import dataclass

__all__ = ["CLICKHOUSE", "DUCKDB", "ColumnDialect"]


@dataclass(frozen=True, slots=True)
class ColumnDialect:
    """How an engine writes a parameter, and the whole part of a quotient."""

    parameter_form: str
    quotient_form: str

    def parameter(self, name: str) -> str:
        """Return the parameter `name`, whose value is text."""
        return self.parameter_form.format(name)

    def quotient(self, dividend: str, divisor: int) -> str:
        """Return the whole part of a quotient."""
        return self.quotient_form.format(dividend, divisor)


DUCKDB = ColumnDialect("${}", "({}) // {}")
CLICKHOUSE = ColumnDialect("{{{}:String}}", "intDiv({}, {})")

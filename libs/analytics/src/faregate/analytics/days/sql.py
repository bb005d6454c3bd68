"""SQL of the export by day."""

from faregate.analytics.bi.values import BiView
from faregate.analytics.days.views import DAY_COLUMNS

__all__ = ["day_body", "days_sql"]


def day_body(view: BiView) -> str:
    """Return the query of the rows of one day, from its `from` on."""
    at = DAY_COLUMNS[view.name]
    return f"from ({_rows(view)}) v where v.{at} >= :start and v.{at} < :end order by v.{at}, v::text"


def days_sql(view: BiView) -> str:
    """Return the statement that yields each day of a range with rows: how many they are, and a digest of all of them.

    The digest is a sum over the rows, so that their order does not matter.
    """
    at = DAY_COLUMNS[view.name]
    return f"""
    select (v.{at} at time zone 'UTC')::date as day, count(*) as rows, sum(hashtextextended(v::text, 0))::text as digest
    from ({_rows(view)}) v where v.{at} >= :start and v.{at} < :end group by 1 order by 1
    """  # noqa: S608


def _rows(view: BiView) -> str:
    columns = ", ".join(f"{column.expression} as {column.name}" for column in view.columns)
    source = view.source
    return f"select {columns} from {source}"  # noqa: S608

"""Guard against formula injection in spreadsheets. Pure.

The rule is OWASP's: a cell that begins with `= + - @`, a tab, a line break, or the full-width form of one of them gets
an apostrophe in front, which spreadsheets read as "this is text". Numbers, also negative ones, are left unchanged.
"""

__all__ = ["guarded_sql", "harmless"]

_DANGEROUS = "\t\n\r+-=@\uff0b\uff0d\uff1d\uff20"
_CODES = ", ".join(str(ord(character)) for character in _DANGEROUS)


def harmless(text: str) -> str:
    """Return `text` as the safe text of a CSV cell."""
    return f"'{text}" if text[:1] and text[0] in _DANGEROUS else text


def guarded_sql(expression: str) -> str:
    """Return SQL that applies `harmless` to `expression` (of type text)."""
    return f"case when ascii({expression}) in ({_CODES}) then '''' || {expression} else {expression} end"

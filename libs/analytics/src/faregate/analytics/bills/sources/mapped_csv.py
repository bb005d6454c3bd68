"""CSV of any provider, read by a mapping of columns. Pure."""

from collections.abc import Iterator, Mapping

from faregate.analytics.bills.errors import UnreadableBillError
from faregate.analytics.bills.sources.reading import (
    Fields,
    amount,
    count,
    joined,
    moment,
    optional,
    table,
    whole_day,
    within_a_day,
)
from faregate.analytics.bills.token_parts import CACHE_READ, CACHE_WRITE, CACHE_WRITE_1H, INPUT, OUTPUT
from faregate.analytics.bills.values import BillLine
from faregate.core.errors import InvalidError

__all__ = ["FIELDS", "csv_lines", "read_mapping"]

_TOKENS = (INPUT, "prompt_tokens", CACHE_READ, CACHE_WRITE, CACHE_WRITE_1H, OUTPUT)
FIELDS = (
    "time",
    "end_time",
    "model",
    "token_type",
    "quantity",
    "cost_usd",
    "requests",
    "request_id",
    "detail",
    *_TOKENS,
)
"""What a column can be. `input_tokens` are without those of caches; `prompt_tokens` are all."""


def read_mapping(pairs: Mapping[str, str]) -> Mapping[str, str]:
    """Return a mapping of fields to columns, checked.

    Raises:
        InvalidError: a field is unknown, `time` or `model` is missing, or nothing is mapped that can be compared.
    """
    unknown = sorted(set(pairs) - set(FIELDS))
    if unknown:
        raise InvalidError(f"map: {unknown[0]!r} is none of {', '.join(FIELDS)}", param="map")
    missing = [name for name in ("time", "model") if not pairs.get(name)]
    if missing:
        raise InvalidError(f"map: name the column of {missing[0]}, as in {missing[0]}=Date", param="map")
    if not {"cost_usd", "quantity", *_TOKENS} & set(pairs):
        raise InvalidError("map: name the column of cost_usd, or columns of tokens", param="map")
    if "quantity" in pairs and "token_type" not in pairs:
        raise InvalidError("map: quantity needs the column of token_type", param="map")
    return pairs


def csv_lines(content: bytes, mapping: Mapping[str, str], *, provider: str) -> Iterator[BillLine]:
    """Yield the lines of a CSV; without `end_time`, a line without a request id is about the whole day of `time`.

    Raises:
        UnreadableBillError: names the line and the field.
    """
    for number, row in table(content):
        absent = sorted(column for column in mapping.values() if column not in row)
        if absent:
            raise UnreadableBillError(f"there is no column {absent[0]!r}; the file has {', '.join(row)}", line=1)
        yield _line({name: row[column] for name, column in mapping.items()}, number, provider)


def _line(fields: Fields, number: int, provider: str) -> BillLine:
    at = moment(fields, "time", line=number)
    request_id = optional(fields, "request_id", line=number)
    period = whole_day(at) if request_id is None else (at, at)
    if "end_time" in fields:
        period = within_a_day(at, moment(fields, "end_time", line=number), line=number)
    token_type = optional(fields, "token_type", line=number)
    tokens = {name: count(fields, name, line=number) for name in _TOKENS if name in fields}
    if token_type is not None and token_type not in _TOKENS:
        raise UnreadableBillError(f"token_type {token_type!r} is none of {', '.join(_TOKENS)}", line=number)
    if token_type is not None and "quantity" in fields:
        tokens[token_type] = count(fields, "quantity", line=number)
    return BillLine(
        number,
        provider,
        *period,
        model=optional(fields, "model", line=number),
        token_type=token_type,
        tokens=tokens,
        cost_usd=amount(fields, "cost_usd", line=number),
        requests=count(fields, "requests", line=number) if "requests" in fields else None,
        request_id=request_id,
        detail=joined([optional(fields, "detail", line=number)]),
    )

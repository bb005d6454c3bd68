"""The hash chain: Python and SQL compute the same bytes, and no two rows have the same bytes."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faregate.core.db.database import Database
from faregate.credit.ledger.accounts import Account, TransferKind
from faregate.credit.ledger.chain import GENESIS, link
from faregate.credit.proof.chain import LINK

BIG = st.integers(-(2**63), 2**63 - 1)
TEXT = st.none() | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=40)
MOMENT = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
SLICES = st.dictionaries(st.uuids(), BIG, max_size=4).map(lambda found: list(found.items()))
FIELDS = st.fixed_dictionaries(
    {
        "wallet_id": BIG,
        "seq": BIG,
        "kind": st.sampled_from(TransferKind),
        "debit": st.sampled_from(Account),
        "credit": st.sampled_from(Account),
        "amount": BIG,
        "balance_after": BIG,
        "corrects_seq": st.none() | st.integers(1, 2**63 - 1),
        "effective_at": MOMENT,
        "created_at": MOMENT,
        "texts": st.tuples(TEXT, TEXT, TEXT, TEXT),
        "slices": SLICES,
    }
)

IN_SQL = f"""
select {LINK} as hash from (
  select cast(:previous as bytea) as previous_hash, cast(:wallet_id as bigint) as wallet_id, cast(:seq as bigint) as seq,
    cast(:kind as smallint) as kind, cast(:debit as smallint) as debit_account,
    cast(:credit as smallint) as credit_account, cast(:amount as bigint) as amount,
    cast(:balance_after as bigint) as balance_after, cast(:corrects_seq as bigint) as corrects_seq,
    cast(:effective_at as timestamptz) as effective_at, cast(:created_at as timestamptz) as created_at,
    cast(:usage_key as text) as usage_key, cast(:operation_key as text) as operation_key, cast(:actor as text) as actor,
    cast(:reason as text) as reason
) t cross join (
  select string_agg(uuid_send(grant_id) || int8send(amount), '' order by grant_id) as parts
  from unnest(cast(:grants as uuid[]), cast(:changes as bigint[])) as part (grant_id, amount)
) s
"""


async def test_sql_and_python_link_the_same_hash(database: Database) -> None:
    """Nulls, empty and long texts, all of Unicode, any moment to the microsecond, any number of slices."""
    examples: list[tuple[bytes, dict[str, object]]] = []

    @settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
    @given(st.binary(min_size=32, max_size=32), FIELDS)
    def collect(previous: bytes, fields: dict[str, object]) -> None:
        examples.append((previous, fields))

    collect()
    wrong: list[dict[str, object]] = []
    async with database.transaction() as session:
        for previous, fields in examples:
            ((derived,),) = await database.rows(session, IN_SQL, previous=previous, **_parameters(fields))
            if derived != link(previous, **fields):  # type: ignore[arg-type]
                wrong.append(fields)

    assert len(examples) >= 200
    assert wrong == []


def test_fixed_row_has_its_fixed_hash() -> None:
    """A fixed row has a fixed hash: a change of the layout invalidates every existing ledger."""
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    found = link(
        GENESIS,
        wallet_id=1,
        seq=1,
        kind=TransferKind.GRANT,
        debit=Account.PURCHASES,
        credit=Account.WALLET,
        amount=100_000_000,
        balance_after=100_000_000,
        corrects_seq=None,
        effective_at=moment,
        created_at=moment + timedelta(microseconds=1),
        texts=(None, "top-up 1", "ops", ""),
        slices=[(UUID(int=2), 70_000_000), (UUID(int=1), 30_000_000)],
    )

    assert found.hex() == "b266e26c060539bedbe0e571011c9424576239a4be2ed2c6219b5ea319a954d8"


@given(FIELDS, FIELDS)
@settings(max_examples=300, deadline=None)
def test_different_rows_have_different_hashes(one: dict[str, object], other: dict[str, object]) -> None:
    same = {**one, "slices": sorted(one["slices"])} == {**other, "slices": sorted(other["slices"])}  # type: ignore[call-overload]

    assert (link(GENESIS, **one) == link(GENESIS, **other)) is same  # type: ignore[arg-type]


def test_text_cannot_move_into_its_neighbour_field() -> None:
    def of(*texts: str | None) -> bytes:
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        return link(
            GENESIS,
            wallet_id=1,
            seq=1,
            kind=TransferKind.CHARGE,
            debit=Account.WALLET,
            credit=Account.REVENUE,
            amount=1,
            balance_after=1,
            corrects_seq=None,
            effective_at=moment,
            created_at=moment,
            texts=texts,
        )

    rows = [("ab", "c", None, None), ("a", "bc", None, None), ("abc", None, None, None), ("abc", "", None, None)]
    assert len({of(*row) for row in rows}) == len(rows)


def _parameters(fields: dict[str, object]) -> dict[str, object]:
    texts, slices = fields["texts"], fields["slices"]
    assert isinstance(texts, tuple)
    assert isinstance(slices, list)
    names = ("usage_key", "operation_key", "actor", "reason")
    return {
        **{name: value for name, value in fields.items() if name not in {"texts", "slices"}},
        **dict(zip(names, texts, strict=True)),
        "grants": [grant for grant, _ in slices],
        "changes": [change for _, change in slices],
    }

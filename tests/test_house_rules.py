"""The rules of the source find what they are for."""

from pathlib import Path

import pytest
from house_rules import doubled_classes, first_line_problem, holds_sql, may_hold_sql, names_like_ids


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("Start request.", None),
        ("Retry with jitter; circuit breaker.", None),
        ("Twelve words are one or two more than a good line needs.", None),
        ("Thirteen words are two or three more than any good first line needs.", "begins with 13 words"),
        ("A look at what is left.", "says 'a look'"),
        ("", "has no docstring"),
    ],
)
def test_a_first_line_is_short_and_plain(line: str, problem: str | None) -> None:
    found = first_line_problem(f'"""{line}\n\nMore.\n"""\n' if line else "x = 1\n")

    assert (found is None) is (problem is None)
    assert (found or "").startswith(problem or "")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('X = "select 1 from faregate.wallet"', True),
        ('X = f"update faregate.wallet set {y}"', True),
        ('X = """\nfrom faregate.wallet w\nwhere true\n"""', True),
        ('"""Tables: select from faregate.wallet."""', False),
        ('X = 1\n"""From faregate.wallet, where it is set."""', False),
        ('X = "select pg_notify($1, $2)"', False),
        ("from faregate.core import errors", False),
    ],
)
def test_a_statement_about_our_tables_is_found(text: str, found: bool) -> None:
    assert holds_sql(text) is found


def test_sql_has_its_places() -> None:
    names = ["a/repository.py", "a/sql.py", "a/repair_sql.py", "a/personal_data.py", "credit/proof/chain.py"]

    assert all(may_hold_sql(Path(name)) for name in names)
    assert not any(may_hold_sql(Path(name)) for name in ("a/service.py", "a/sqlite.py", "a/proofs.py"))


def test_one_name_for_two_things_is_found() -> None:
    texts = {"a": "class Charge: ...", "b": "class Charge: ...\nclass _Own: ...", "c": "class _Own: ..."}

    assert doubled_classes(texts) == {"Charge": ["a", "b"]}


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ('assert "ada" not in text', ["ada"]),
        ('assert b"bea1" not in body', ["bea1"]),
        ('assert "zoe" not in text', []),
        ('assert "ada" not in {"bob", "carl"}', []),
        ('assert "42" not in text', []),
        ('assert not mentions(text, "ada")', []),
    ],
)
def test_a_name_that_a_random_id_may_hold_is_not_searched_for(line: str, names: list[str]) -> None:
    assert names_like_ids(line) == names

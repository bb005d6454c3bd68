"""API key format: found by scanners, and with a checksum against typing errors."""

import re

from hypothesis import given
from hypothesis import strategies as st

from faregate.core.access.key_format import KEY_PATTERN, hash_secret, new_key, parse_key


def test_a_key_is_parsed_from_its_text_and_found_by_scanners() -> None:
    keys = [new_key(environment) for environment in ("live", "test") for _ in range(200)]

    assert [parse_key(str(key)) for key in keys] == keys
    assert all(re.search(KEY_PATTERN, f'"token={key}"') for key in keys)
    assert len({key.secret for key in keys}) == 400


@given(st.integers(0, 68), st.characters(codec="ascii", categories=["L", "N"]))
def test_one_mistyped_character_is_detected_by_the_checksum(position: int, letter: str) -> None:
    text = str(new_key("live"))
    mistyped = text[:position] + letter + text[position + 1 :]

    assert (parse_key(mistyped) is None) == (mistyped != text)


def test_the_hash_depends_on_secret_id_and_pepper() -> None:
    one, two = new_key("live"), new_key("live")

    assert hash_secret("pepper", one) == hash_secret("pepper", one)
    assert len({hash_secret("pepper", one), hash_secret("other", one), hash_secret("pepper", two)}) == 3
    assert one.secret not in repr(one)

"""Names are found in texts, and not in the ids within them."""

import pytest

from support.mentions import mentions


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ada", True),
        (b'{"owner_id":"ada"}', True),
        ("user_ada1", True),
        ("ada@example.com", True),
        ('{"id":"01a229eb-94d2-7000-adac-ea8c7bd7743a"}', False),
        (b"sha256:9f86d081884c7d659a2feada15ad0c2a0f1b8e5c6d7a8b9c0d1e2f3a4b5c6d7e", False),
        ("", False),
    ],
)
def test_a_name_is_found_outside_of_ids(text: str | bytes, found: bool) -> None:
    assert mentions(text, "ada") is found

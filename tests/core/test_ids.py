"""Ids are ordered by time, and invalid ones are refused."""

import os
from uuid import RFC_4122, UUID

import pytest

from faregate.core.errors import InvalidError
from faregate.wire.ids import check_external_id, check_user_id, new_uuid7, new_uuid7_text

IDENTITIES = ["auth0|5f7c8ec7c33c6c004bbafe82", "google-oauth2|1", "ada+test@x.de", "a/b", "YWRh=", "+", "|a|"]
"""Subjects of identity providers, e-mail addresses with tags, base64."""


def test_uuid7_has_its_version_and_grows_with_time() -> None:
    ids = [new_uuid7() for _ in range(200)]

    assert {(i.version, i.variant) for i in ids} == {(7, RFC_4122)}
    assert len(set(ids)) == 200
    assert ids == sorted(ids)


def test_the_text_of_an_id_is_that_of_the_uuid() -> None:
    texts = [new_uuid7_text() for _ in range(1_000)]

    assert [str(UUID(text)) for text in texts] == texts
    assert {(UUID(text).version, UUID(text).variant) for text in texts} == {(7, RFC_4122)}
    assert texts == sorted(set(texts))


def test_a_forked_process_makes_other_ids() -> None:
    new_uuid7()  # reads random bytes that the fork would share
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, " ".join(new_uuid7_text()[-17:] for _ in range(20)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = set(os.read(reader, 10_000).decode().split())

    assert len(theirs) == 20
    assert not theirs & {new_uuid7_text()[-17:] for _ in range(20)}


@pytest.mark.parametrize(
    "value", ["507f1f77bcf86cd799439011", "ai_chat_v1", "ada@example.com", "a:b-c.d", "x" * 255, *IDENTITIES]
)
def test_ids_of_all_usual_kinds_pass(value: str) -> None:
    assert check_external_id(value, param="id") == value


@pytest.mark.parametrize(
    "value", ["", "x" * 256, "a b", "a%2Fb", "a\\b", "a?b", "a#b", "a&b", "a,b", "ä", "a\n", "a\x00", "'; drop table"]
)
def test_invalid_ids_are_refused_with_the_parameter_name(value: str) -> None:
    with pytest.raises(InvalidError, match="user_id"):
        check_user_id(value)


def test_a_user_id_cannot_have_the_form_of_an_organisation() -> None:
    with pytest.raises(InvalidError, match="names an organisation"):
        check_user_id("org:acme")

"""Templates of endpoints: the user's id is not kept in them."""

import pytest

from faregate.feature_log.routes import endpoint_template


@pytest.mark.parametrize(
    ("endpoint", "user_id", "template"),
    [
        ("/api/users/ada/chat", "ada", "/api/users/{user}/chat"),
        ("/api/users/auth0|1/chat", "auth0|1", "/api/users/{user}/chat"),
        ("/api/users/auth0%7C1/chat?q=1", "auth0|1", "/api/users/{user}/chat"),
        ("/api/users/ada%2Btest@x.de/chat", "ada+test@x.de", "/api/users/{user}/chat"),
        ("/api/users/a%2Fb", "a/b", "/api/users/{user}"),
        ("https://host/api/users/a/b/chat", "a/b", "https://host/api/users/{user}/chat"),
        ("/api/users/aa/bb/chat", "a/b", "/api/users/aa/bb/chat"),
    ],
)
def test_the_user_is_replaced_in_each_spelling(endpoint: str, user_id: str, template: str) -> None:
    assert endpoint_template(endpoint, user_id) == template

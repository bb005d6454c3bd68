"""Redaction of records: no secret is kept, in any place; everything else is."""

import json
import re
from decimal import Decimal
from typing import Any

import pytest
from genai_prices.data import providers
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from faregate.core.redaction.records import REDACTED, Redactor, looks_like_credential
from faregate.core.redaction.scrubbing import is_credential
from faregate.core.redaction.secret_names import Secrecy, secrecy_of
from faregate.core.redaction.secret_values import SecretPattern

redactor = Redactor()

SECRET_NAMES = [
    *(
        "password",
        "Password",
        "user_password",
        "passwd",
        "pwd",
        "pass",
        "token",
        "access_token",
        "refreshToken",
        "id-token",
    ),
    *("X-API-Key", "apiKey", "api key", "API_KEY", "client_secret", "SECRET", "Authorization", "Proxy-Authorization"),
    *(
        "cookie",
        "Set-Cookie",
        "session",
        "sessionId",
        "session_id",
        "JSESSIONID",
        "PHPSESSID",
        "private_key",
        "credentials",
    ),
    *(
        "x-server-api-key",
        "aws_secret_access_key",
        "accessKeyId",
        "csrf_token",
        "X-XSRF-TOKEN",
        "otp",
        "pin",
        "cvv",
        "jwt",
    ),
    *(
        "card_number",
        "iban",
        "connection_string",
        "SENTRY_DSN",
        "database_url",
        "webhook_url",
        "signature",
        "\uff50\uff41\uff53\uff53word",
    ),
    *("authToken", "bearer", "ssn", "passphrase", "signing_key", "recovery_codes"),
]
OPEN_NAMES = [
    *(
        "max_tokens",
        "tokens",
        "total_tokens",
        "input_tokens",
        "outputTokens",
        "token_count",
        "prompt_tokens",
        "tokenizer",
    ),
    *(
        "author",
        "authority",
        "usage_key",
        "key",
        "feature_key",
        "compass",
        "passenger",
        "pinned",
        "spinner",
        "keyboard",
    ),
    *("design", "assignee", "sequence", "panel", "japan", "country", "model", "status", "session_count", "token_type"),
]
SECRETS = [
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "sk-proj-abcdefghijklmnopqrstuvwxyz012345",
    "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
    "sk-ant-api03-abcdefghijklmnop-qrstuv",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "github_pat_11ABCDEFG0abcdefghijkl_mnop",
    "glpat-abcdefghij0123456789",
    "xoxb-123456789012-abcdefghijkl",
    "AIzaSyA-abcdefghijklmnopqrstuvwxyz01234",
    "ya29.a0AfH6SMBabcdefghijkl",
    "hf_abcdefghijklmnopqrstuvwxyz",
    "npm_abcdefghijklmnopqrstuvwxyz0123456789",
    "fg_test_0123456789abcdef",
    "fg_boot_Zm9vYmFyYmF6cXV4",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "4111 1111 1111 1111",
    "5500-0000-0000-0004",
    "378282246310005",
    "DE89 3704 0044 0532 0130 00",
    "GB82WEST12345698765432",
    "ada.lovelace+test@example.co.uk",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA",
]
CONTAINERS = [
    *("{}", "text before {} and after", "url=https://example.com/x?a=1&b={}", '{{"inner": "{}"}}', '[1, "{}"]'),
    *('"{{\\"deep\\": \\"{}\\"}}"', "a,b,{},c", "<xml>{}</xml>", "line one\n{}\nline three", "({})"),
]  # fmt: skip


def text_of(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_values_under_a_secret_name_are_replaced_at_any_depth(name: str) -> None:
    kept = redactor.value({"a": [{"b": {name: "hunter2-canary", "other": 1}}]})

    assert "hunter2" not in text_of(kept)
    assert kept["a"][0]["b"]["other"] == 1


@pytest.mark.parametrize("name", OPEN_NAMES)
def test_counts_and_harmless_names_are_kept(name: str) -> None:
    body = {name: 1000, "list": [{name: 7}]}

    assert redactor.value(body) == body
    if secrecy_of(name) is Secrecy.OPEN:
        assert redactor.value({name: "plain words"}) == {name: "plain words"}


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_a_secret_is_recognised_by_its_form_in_any_place(secret: str, container: str) -> None:
    written = secret.replace("\n", "\\n") if container.startswith(("{{", "[", '"')) else secret
    text = container.format(written)
    kept = text_of(redactor.value({"note": text, "list": [text]}))
    fragments = [
        part for part in re.split(r"[\s\\n]+", secret) if len(part) >= 10 and "BEGIN" not in part and "KEY" not in part
    ]

    assert secret not in kept
    assert [part for part in fragments if part in kept] == []


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Authorization: Bearer abcdef123456", "Authorization: [redacted]"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: [redacted]"),
        ("send Bearer abcdef123456 with it", "send Bearer [redacted] with it"),
        ("Basic information about it", "Basic information about it"),
        ("use Basic dXNlcjpwYXNzd29yZA== here", "use Basic [redacted] here"),
        ("Cookie: a=b; sid=c", "Cookie: [redacted]"),
        ("https://user:pa55@host/x", "https://[redacted]@host/x"),
        ("postgresql://app:s3cret@db:5432/x?sslmode=require", "postgresql://[redacted]@db:5432/x?sslmode=require"),
        ("/x?api_key=abc&page=2&token=def#top", "/x?api_key=[redacted]&page=2&token=[redacted]"),
        ("/x?password%3Dabc&page=2", "/x?password%3D[redacted]&page=2"),
        ("max_tokens=1000&n=1", "max_tokens=1000&n=1"),
        ("password: 'two words', next", "password: '[redacted]', next"),
        ('err {"password": "a \\" b", "n": 1}', 'err {"password": "[redacted]", "n": 1}'),
        ('log: {\\"secret\\": \\"x y\\", \\"n\\": 1}', 'log: {\\"secret\\": \\"[redacted]\\", \\"n\\": 1}'),
        ("The password is long. It was 1700000000000 ms.", "The password is long. It was 1700000000000 ms."),
        ("id 507f1f77bcf86cd799439011, 550e8400-e29b-41d4-a716-446655440000", None),
        ("card 4111111111111112 fails the check", None),
        ("5 @ 3 EUR, see @home", None),
    ],
)
def test_texts(text: str, kept: str | None) -> None:
    assert redactor.text(text) == (text if kept is None else kept)


def test_headers_cookies_pairs_and_numbers() -> None:
    body = {
        "headers": [["Authorization", "Bearer abc"], ["accept", "*/*"], {"name": "Cookie", "value": "a=b"}],
        "pan": 4111111111111111,
        "pin": 1234,
        "number": 4111111111111111,
        "has_password": True,
        "password": None,
        "usage": {"completion_tokens_details": {"reasoning_tokens": 5}},
        "sk-abcdefghijklmnopqrstuv": 1,
    }
    kept = redactor.value(body)

    assert kept["headers"] == [["Authorization", REDACTED], ["accept", "*/*"], {"name": "Cookie", "value": REDACTED}]
    assert (kept["pan"], kept["pin"], kept["number"]) == (REDACTED, REDACTED, "[redacted:card]")
    assert (kept["has_password"], kept["password"]) == (True, None)
    assert kept["usage"] == body["usage"]
    assert "sk-abcdef" not in text_of(kept)


def test_e_mail_addresses_are_redacted_or_kept_by_policy() -> None:
    text = "write to ada@example.com"

    assert Redactor(with_emails=False).text(text) == text
    assert redactor.text(text) == "write to [redacted:email]"


def test_a_host_adds_patterns_and_names() -> None:
    own = SecretPattern("case", ("case-",), re.compile(r"CASE-\d+"), "[case]")

    def secrecy(name: str) -> Secrecy:
        return Secrecy.ALL if name == "diagnosis" else secrecy_of(name)

    kept = Redactor(extra_patterns=[own], secrecy=secrecy).value({"note": "see CASE-77", "diagnosis": "x", "pwd": "y"})

    assert kept == {"note": "see [case]", "diagnosis": REDACTED, "pwd": REDACTED}


def test_sizes_depth_and_cycles_are_bounded() -> None:
    cyclic: dict[str, Any] = {"a": 1}
    cyclic["self"] = [cyclic]
    deep: Any = "x"
    for _ in range(500):
        deep = [deep]
    long = redactor.value({"t": "a b " * 100_000, "l": list(range(100_000)), "m": {str(n): n for n in range(10_000)}})

    assert redactor.value(cyclic) == {"a": 1, "self": ["[circular]"]}
    assert "[too deep]" in text_of(redactor.value(deep))
    assert len(long["t"]) < 17_000
    assert len(long["l"]) <= 2_001
    assert len(long["m"]) <= 2_001
    assert "sk-" not in redactor.text("x" * 16_380 + " sk-abcdefghijklmnopqrstuvwxyz")


class Hostile:
    """An object that raises an exception from every method."""

    def __str__(self) -> str:
        raise RuntimeError("canary-in-error")

    __repr__ = __str__

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("canary-in-error")


@pytest.mark.parametrize(
    "value",
    [Hostile(), [Hostile()], {"a": Hostile()}, {Hostile(): 1}, b"bytes", {1, 2}, float("nan"), Decimal("NaN"), object],
)
def test_it_never_raises_and_writes_json(value: Any) -> None:
    json.dumps(redactor.value({"x": value}), default=str)


PIECES = [
    *(
        "sk",
        "-",
        "_",
        "=",
        ":",
        " ",
        "\n",
        '"',
        "'",
        "@",
        "%40",
        "//",
        "/",
        ".",
        "a",
        "Z",
        "\u017f",
        "\u0131",
        "\u0130",
    ),
    *(
        "api",
        "KEY",
        "k\u0131",
        "token",
        "Bearer ",
        "basic ",
        "dTpw",
        "eyJ",
        "AKIA",
        "hooks.slack.com/services/",
        "DE89",
    ),
    *(
        "370400440532013000",
        "4111111111111111",
        "4111 1111",
        "\u0664\u0661",
        "user:pw",
        "passw",
        "ord",
        "max_",
        "x" * 12,
    ),
    *(
        "cook\u0131e: abcdef",
        "\u017fe\u017f\u017fion=abcdef",
        "4222222222222",
        "\ud800",
        "GB82WEST12345698765432",
        "ada@example.com",
        "0123456789ab",
    ),
]


@settings(max_examples=800, deadline=None)
@given(st.lists(st.sampled_from(PIECES + SECRETS), max_size=8).map("".join) | st.text(max_size=60))
@example("-user:pw")
def test_patterns_skipped_by_hints_would_change_nothing(text: str) -> None:
    """`-u` alone is not a secret: other programs have this option, too, so its pattern is tried only together with `curl`."""
    hints = redactor.hints
    skipped = [pattern for pattern in hints.patterns if pattern not in hints.candidates(text)]
    skipped = [pattern for pattern in skipped if pattern.name != "curl" or "curl" in text.lower()]

    assert [pattern.name for pattern in skipped if pattern.expression.sub(pattern.replacement, text) != text] == []


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text()
    | st.binary()
    | st.sampled_from(SECRETS),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text(max_size=12) | st.sampled_from(SECRET_NAMES + OPEN_NAMES), inner, max_size=5)
    ),
    max_leaves=12,
)


@settings(
    max_examples=1_500 if settings.get_current_profile_name() == "long" else 300,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(json_values)
def test_any_value_is_redacted_without_an_error_and_redacting_again_changes_nothing(value: Any) -> None:
    """`faregate bench redaction --fuzz` tries more."""
    once = redactor.value(value)
    kept = text_of(once)

    assert text_of(redactor.value(once)) == kept
    assert [secret for secret in SECRETS[:18] if secret in kept] == []


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab:= \"'\\{}[]@/.?&%-_0123456789\npasswordtokeny", max_size=400))
def test_any_text_is_redacted_without_an_error(text: str) -> None:
    assert isinstance(redactor.text(text), str)


def test_names_are_distinguished_from_credentials() -> None:
    assert [text for text in SECRETS[:4] if not looks_like_credential(text)] == []
    assert not any(
        map(looks_like_credential, ["507f1f77bcf86cd799439011", "ada@example.com", "4111111111111111", "k-1", None])
    )


def test_redacting_a_card_number_under_a_count_name_is_idempotent() -> None:
    """Redacting again must change nothing, also if the number is in JSON inside a text."""
    for value in ({"TOKEN": 4111111111111111}, '{"TOKEN": 4111111111111111}'):
        once = Redactor().value(value)
        assert Redactor().value(once) == once
        assert "4111" not in str(once)


def test_the_fast_path_and_the_full_redaction_give_the_same_result() -> None:
    """A record that the fast path accepts must have the same result as in the full redaction."""
    plain = {
        "a": [1, None, True, {"password": "x", "max_tokens": 7, "token": "t", "session": "12"}],
        "text": "two words",
    }
    spoilt = {**plain, "note": "key=value; token=abcdef", "a_rather_long_name": "x"}
    for record in (plain, spoilt):
        glanced = Redactor().value(record)
        thorough = Redactor().value({**record, "json": '{"a":1}'})
        assert glanced == {name: item for name, item in thorough.items() if name != "json"}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(json_values)
def test_any_value_has_the_same_result_on_the_fast_path(value: Any) -> None:
    glanced = redactor.value({"record": value})
    thorough = redactor.value({"record": value, "json": '{"a":1}'})  # JSON in a text needs the full redaction

    assert text_of(glanced["record"]) == text_of(thorough["record"])


KEYS_OF_TODAY = [
    "AQ.Ab8RN6Ikd93jfDKe02mXlw92mfkQpWzYtr7VbnM3aLk5s",
    "hvs.CAESIJ3x9Kd02mfLw8QpZ7VbnM3aLk5sTyUiOp",
    "lin_api_x9Kd02mfLw8QpZ7VbnM3aLk5sTyUiOpQ1w2E3r4T",
    "ntn_12345678901AbCdEfGhIjKlMnOpQrStUvWxYz012345",
    "PMAK-5f2b8c9d1e3a4b5c6d7e8f90-a1b2c3d4e5f60718293a4b5c6d7e8f9012",
    "ATATT3xFfGF0x9Kd02mfLw8QpZ7VbnM3aLk5sTyUiOp",
    "sbp_a1b2c3d4e5f60718293a4b5c6d7e8f9012345678",
    "sb_secret_N7UND0UgjKTVK-Uodkm0Hg_xSvEMPvz",
    "glsa_x9Kd02mfLw8QpZ7VbnM3aLk5sTyUiOpQ_a1b2c3d4",
    "dp.pt.x9Kd02mfLw8QpZ7VbnM3aLk5sTyUiOpQ1w2E3r4T5y6",
    "tvly-dev-x9Kd02mfLw8QpZ7VbnM3aLk5",
    "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",
    "nvapi-x9Kd02mfLw8QpZ7VbnM3aLk5sTyUiOpQ1w2E3r4T5y6U7i8O9p0",
    "csk-a8x3k9m2p5t8w3y6b4c5d8e2f5h9j3k6m2n8p3r5t9v4x6z2",
    "vck_x9Kd02mfLw8QpZ7VbnM3aLk5sTyUiOpQ1w2E3r4T5y6U7i8O9p0a1",
    "fw_3Zx9Kd02mfLw8QpZ7VbnM3",
    "dapia1b2c3d4e5f60718293a4b5c6d7e8f90",
    "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",
    "gldt-x9Kd02mfLw8QpZ7VbnM3",
    "xai-x9Kd02mfLw8QpZ7VbnM3aLk5sTyUiOpQ1w2E3r4T5y6U7i8O9p0a1",
    "pk_live_x9Kd02mfLw8QpZ7VbnM3aLk5",
    "SKa1b2c3d4e5f60718293a4b5c6d7e8f90",
    "abc8Q~x9Kd02mfLw8QpZ7VbnM3aLk5sTyUiOpQ1w",
    "x9Kd02mfLw8QpZ7VbnM3aLk5sTyUiOpQ1w2E3r4T5y6U7i8O9p0aJQQJ99BCACYeBjFXJ3w3AAABACOG",
    "AccountKey=x9Kd02mfLw8QpZ7VbnM3aLk5sTyUiOpQ1w2E3r4T5y6U7i8O9p0a1==;EndpointSuffix=core",
    "SharedAccessKey=x9Kd02mfLw8QpZ7VbnM3aLk5sTyUiOp=",
]


@pytest.mark.parametrize("secret", KEYS_OF_TODAY)
@pytest.mark.parametrize("container", CONTAINERS)
def test_keys_of_current_issuers_are_recognised_in_any_place(secret: str, container: str) -> None:
    kept = text_of(redactor.value({"note": container.format(secret)}))

    assert re.search(r"x9Kd02mf|a1b2c3d4|NopQrSt|N7UND0|a8x3k9|3Zx9Kd|Ab8RN6", kept) is None


NO_KEYS = [
    *("xai-grok-4-fast-reasoning", "pk_customer_0000000001", "pk_orders_customer_id_fkey", "sk_customer_0000000001"),
    *("sk-learn-random-forest-classifier", "fw_accounts_models_llama-v3p1-405b-instruct", "rk_order_20250101_000001"),
    *("ASIAPACIFICREGION", "ion_storage_statistics", "gsk_pharmaceuticals_2025", "pypi-simple-repository-index"),
    *("hf_meta-llama_Llama-3.1-8B-Instruct", "AQ.ORDERS.CUSTOMERS.2025", "task-management-dashboard"),
    *("xai-grok-code-fast-1-0825", "pk_550e8400_customers", "rpa_bot_invoices_0000001", "dapi-customers-2025"),
]


@pytest.mark.parametrize("name", NO_KEYS)
def test_names_of_models_users_and_constraints_are_not_keys(name: str) -> None:
    assert redactor.text(f"see {name} here") == f"see {name} here"
    assert not looks_like_credential(name)
    assert not is_credential(name)


def test_no_model_with_a_price_is_mistaken_for_a_key() -> None:
    names = {model.id for provider in providers for model in provider.models}

    assert len(names) > 500
    assert [name for name in names if is_credential(name) or looks_like_credential(name)] == []


@pytest.mark.parametrize(
    "value",
    [
        "q=%7B%22password%22%3A%22hunter2%22%7D&page=2",
        "next=https%3A%2F%2Fhost%2Fx%3Faccess_token%3Dhunter2%26page%3D2",
        "next=https%253A%252F%252Fhost%252Fx%253Faccess_token%253Dhunter2",
        '{"password": "hunter2", "password": ""}',
        '{"deep": [{"pin": "hunter2", "pin": 1, "n": 2}]}',
        '"{\\"token\\": \\"hunter2\\", \\"token\\": \\"x\\"}"',
        {"tokenizer_secret": "hunter2", "tokenizer": "cl100k"},
        {"tokeniserPassword": "hunter2"},
        {"name": "password", "value": "hunter2", "a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6},
        {"k": "api_key", "v": "hunter2"},
        {"Key": "db_password", "Value": "hunter2", "PropagateAtLaunch": True},
        [{"key": "Authorization", "val": "hunter2"}],
        "<login><user>ada</user><password>hunter2</password></login>",
        "<ns:ApiKey type='x'>\n  hunter2\n</ns:ApiKey>",
        "<secret><![CDATA[hunter2]]></secret>",
        '<user name="ada" password="hunter2"/>',
        '<add key="ApiKey" value="hunter2" />',
        '{"name": "client_secret", "value": "hunter2", "cut',
        '--b\r\nContent-Disposition: form-data; name="password"\r\n\r\nhunter2\r\n--b--\r\n',
        '--b\nContent-Disposition: form-data; name="token"; x="y"\nContent-Type: text/plain\n\nhunter2',
        "curl -u ada:hunter2 https://example.com",
        "curl -sS --user 'ada:hunter2' https://example.com",
        "curl --proxy-user=ada:hunter2 https://example.com",
        "password        =      hunter2",
        "password\t:=\thunter2",
        "Authorization       :      hunter2",
    ],
)
def test_named_secrets_are_replaced_in_every_notation(value: Any) -> None:
    kept = redactor.value({"value_of": value, "list": [value]})

    assert "hunter2" not in text_of(kept)
    assert redactor.value(kept) == kept


@pytest.mark.parametrize(
    "value",
    [
        *("4111.1111.1111.1111", "3782.822463.10005", "de89 3704 0044 0532 0130 00", "gb82west12345698765432"),
        *(4111111111111111.0, Decimal("4111111111111111.00"), "4111111111111111.0", "De89370400440532013000"),
    ],
)
def test_card_numbers_and_ibans_are_recognised_in_every_notation(value: Any) -> None:
    kept = text_of(redactor.value({"a": value, "b": [value]}))

    assert re.search(r"1111\.?1111|822463|3704|1234569", kept) is None


@pytest.mark.parametrize(
    "text",
    [
        *("100 % of it", "50%25 of it, q=a%20b&page=2", "0.4111111111111111", "<token_count>5</token_count>"),
        *("<model>gpt-4o</model>", 'name="model" value="gpt-4o"', '{"a": 1, "a": 2}', "1.2.3.4 and 10.0.0.1"),
        *("curl -u ada https://example.com", "in 12 weeks from 2025", "name=x; value=y", "de12 word rest"),
    ],
)
def test_texts_similar_to_secrets_are_kept(text: str) -> None:
    assert redactor.value({"note": text}) == {"note": text}

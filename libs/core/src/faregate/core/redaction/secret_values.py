"""Patterns of secret values: tokens, keys, card numbers, addresses. Pure.

Values are recognised by their form, under any name. Each pattern has hints: it is tried only if one of them occurs in the
lower-cased text, so that text without secrets costs one pass (`secret_hints`). Every pattern takes linear time.
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from faregate.core.redaction.key_formats import KEY_EXPRESSION, KEY_HINTS, is_key
from faregate.core.redaction.secret_names import Secrecy, secrecy_of

__all__ = ["REDACTED", "SecretPattern", "built_in_patterns", "is_card_number"]

REDACTED = "[redacted]"

Replacement = str | Callable[[re.Match[str]], str]


@dataclass(frozen=True, slots=True)
class SecretPattern:
    """A kind of secret.

    Attributes:
        hints: lower-cased texts, one of which must occur; without any, `look` (or the expression) is tried first.
        also: lower-cased texts, one of which must occur as well.
        shape: for a pattern without hints, what must occur in an ASCII text after its capitals are replaced by A, its digits,
            blanks, full stops and hyphens by 0, and all other characters by a.
        unbroken: the match has no white space and at least 12 characters.
        replacement: as for `re.sub`; should be stable when redacted again.
    """

    name: str
    hints: tuple[str, ...]
    expression: re.Pattern[str]
    replacement: Replacement
    also: tuple[str, ...] = ()
    look: re.Pattern[str] | None = None
    shape: bytes = b""
    unbroken: bool = False

    def finds(self, text: str) -> bool:
        """Return whether anything in `text` would be replaced."""
        if isinstance(self.replacement, str):
            return self.expression.search(text) is not None
        return any(self.replacement(found) != found[0] for found in self.expression.finditer(text))


_WORDS = (
    r"passw(?:or)?d|passwort|passphrase|passcode|pwd|secret|credentials?|api[ _-]?key|access[ _-]?key|private[ _-]?key"
    r"|signing[ _-]?key|account[ _-]?key|auth[ _-]?key|sharedaccesskey"
    r"|token|csrf|xsrf|jwt|session|signature|x-amz-signature|sig|cvv|cvc|otp|pin"
)
_WORD_HINTS = (
    *(
        "passw",
        "passphrase",
        "passcode",
        "pwd",
        "secret",
        "credential",
        "key",
        "token",
        "csrf",
        "xsrf",
        "jwt",
        "session",
    ),
    *("sig", "cvv", "cvc", "otp", "pin"),
)
_VALUE = (
    r"""(?:\\+"[^\r\n]*?(?:\\+"|$)|"(?:[^"\\]|\\.)*+"?|'[^']*+'?"""
    r"""|[^\s&;,"'{}\[\]()<>]++(?:\[redacted[^\]\s]*\])?|\[redacted[^\]\s]*\])"""
)
_COUNT = re.compile(r"""["'\\]*\d{1,12}(?:\.\d+)?["'\\]*""")
_CURL = r"""(?i)(?<!\S)((?:-u|--user|--proxy-user)(?:\s{1,4}|=)?)(["']?[^\s"':]{1,200}:)[^\s"']+"""
_ELEMENT = r"(<(?:[\w-]{1,40}:)?([\w.-]{1,80})(?:\s[^<>]{0,2000})?>\s*)(<!\[CDATA\[.*?\]\]>|[^<]+)"
_PAIR = (
    r"""(?i)((?:\b|["'\\])(?:name|key|k|header|field|param|id)["'\\]{0,4}\s*[=:]\s*["'\\]{1,4})([^"'\\<>]{1,80})"""
    r"""(["'\\]{1,4}[^<>{}]{0,200}?\b(?:value|val|v)["'\\]{0,4}\s*[=:]\s*["'\\]{1,4})([^"'\\]*)"""
)
_PART = r"""(\bname=["']?)([^"'\r\n;]{1,200})([^\r\n]*(?:\r?\n[^\r\n]++)*\r?\n\r?\n)(.*?)(?=\r?\n--|\Z)"""
_DOTTED_CARD = r"(?<![0-9A-Za-z.])(?:\d{4}\.\d{4}\.\d{4}\.\d{1,7}|\d{4}\.\d{6}\.\d{5})(?![0-9A-Za-z])"
_IBAN = r"(?<![0-9A-Za-z])[A-Za-z][A-Z]\d{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,3})?(?![0-9A-Za-z])"
_LOWER_IBAN = _IBAN.replace("[A-Z]", "[a-z]", 1)


@cache
def built_in_patterns(*, with_emails: bool = True) -> tuple[SecretPattern, ...]:
    """Return the patterns, the most specific ones first; compiled at the first call, not at import."""
    emails = _email_patterns() if with_emails else ()
    return (
        _pattern(
            "pem", ("-----begin",), r"-----BEGIN [^-]{0,60}-----(?:.*?-----END [^-]{0,60}-----|.*)", flags=re.DOTALL
        ),
        _pattern(
            "header",
            ("authorization", "cookie"),
            r"""(?i)((?:authorization|cookie)\d?["'\\]{0,4}\s{0,24}+[:=]\s{0,24}+["'\\]{0,4})([^\r\n"'\\]+)""",
            r"\1" + REDACTED,
        ),
        _pattern("jwt", ("eyj",), r"eyJ[A-Za-z0-9_-]{8,}+(?:\.[A-Za-z0-9_-]*+){0,4}"),
        _pattern(
            "bearer", ("bearer",), r"(?i)(\bbearer(?:\s{1,4}|%20|\+))[A-Za-z0-9._~+/=:-]{6,}", r"\1" + REDACTED
        ),
        _pattern("basic", ("basic",), r"(?i)(\bbasic\s{1,4})([A-Za-z0-9+/_-]{6,}={0,2})", _basic),
        _pattern("key", KEY_HINTS, KEY_EXPRESSION, _key, unbroken=True),
        _pattern(
            "webhook",
            ("hooks.slack.com", "discord"),
            r"(hooks\.slack\.com/services/|/api/webhooks/)[\w/-]+",
            r"\1" + REDACTED,
        ),
        _pattern("userinfo", ("://",), r"(?<=://)[^\s/?#@\"'<>\\]{1,512}+@", REDACTED + "@"),
        *emails,
        _pattern(
            "named",
            _WORD_HINTS,
            rf"""(?i)(?<![a-z])((?:[a-z0-9]{{1,24}}[._\[-])?(?:{_WORDS})[\w.\-\]]{{0,40}}+)(["'\\]{{0,4}}\s{{0,24}}+(?:=>|:=|==?|:|%3D)\s{{0,24}}+)({_VALUE})""",
            _named,
            also=("=", ":", "%3d"),
        ),
        _pattern("curl", ("-u", "--user", "--proxy-user"), _CURL, r"\1\2" + REDACTED, also=("curl",)),
        _pattern("element", _WORD_HINTS, _ELEMENT, _element, also=("<",), flags=re.DOTALL),
        _pattern("pair", _WORD_HINTS, _PAIR, _pair, also=("value", "val", '"v"')),
        _pattern("part", ("form-data",), _PART, _part, flags=re.DOTALL),
        _pattern(
            "card", (), r"(?<![0-9A-Za-z.])(?:\d[ -]?){12,18}\d(?![0-9A-Za-z])", _card, look=r"\d[\d -]{11}\d", shape=b"0" * 13
        ),
        _pattern("card", (), _DOTTED_CARD, _card, look=_DOTTED_CARD, shape=b"0" * 13),
        _pattern("key", (), r"(?<![A-Za-z0-9])SK[0-9a-f]{32}(?![A-Za-z0-9])", look=r"SK[0-9a-f]{32}", shape=b"AA"),
        _pattern("iban", (), _IBAN, _iban, look=r"[A-Za-z][A-Z]\d\d", shape=b"A00"),
        _pattern("iban", (), _LOWER_IBAN, _iban, look=r"[A-Za-z][a-z]\d\d(?: ?[A-Za-z0-9]{4}){2}", shape=b"0" * 10),
    )  # fmt: skip


def is_card_number(digits: str) -> bool:
    """Return whether these digits are a payment card number: an issuer's prefix, a valid length, and a correct check digit."""
    if not 13 <= len(digits) <= 19 or digits[0] not in "23456" or len(set(digits)) == 1:
        return False
    doubled = (int(digit) * 2 for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(n - 9 if n > 9 else n for n in doubled)) % 10 == 0


def _pattern(
    name: str,
    hints: tuple[str, ...],
    expression: str,
    replacement: Replacement | None = None,
    *,
    flags: int = 0,
    also: tuple[str, ...] = (),
    look: str | None = None,
    shape: bytes = b"",
    unbroken: bool = False,
) -> SecretPattern:
    return SecretPattern(
        name=name,
        hints=hints,
        expression=re.compile(expression, flags),
        replacement=replacement or f"[redacted:{name}]",
        also=also,
        look=re.compile(look) if look else None,
        shape=shape,
        unbroken=unbroken,
    )


def _email_patterns() -> tuple[SecretPattern, ...]:
    edge = r"\s@<>\"',;:()\[\]{}\\/=&?|"
    return (
        _pattern("email", ("@",), rf"(?<![^{edge}])[^{edge}]{{1,256}}+@[^{edge}.]{{1,63}}+(?:\.[^{edge}.]{{1,63}}+)+"),
        _pattern("email", ("%40",), r"(?<![\w.+-])[\w.+-]{1,64}+%40[\w-]{1,63}+(?:\.[\w-]{1,63}+)+"),
    )


def _basic(found: re.Match[str]) -> str:
    """Redact `Basic` followed by base64 of `user:password`; "Basic information" is kept."""
    code = found[2].rstrip("=")
    try:
        content = base64.b64decode(code + "=" * (-len(code) % 4), altchars=b"-_" if set(code) & {"-", "_"} else None)
    except (binascii.Error, ValueError):
        return found[0]
    return f"{found[1]}{REDACTED}" if b":" in content else found[0]


def _key(found: re.Match[str]) -> str:
    return "[redacted:key]" if is_key(found) else found[0]


def _element(found: re.Match[str]) -> str:
    """Redact `<password>…</password>` by the rules for names."""
    return f"{found[1]}{REDACTED}" if _hides(found[2], found[3].strip()) else found[0]


def _pair(found: re.Match[str]) -> str:
    """Redact `name="password" value="…"` by the rules for names."""
    return f"{found[1]}{found[2]}{found[3]}{REDACTED}" if _hides(found[2], found[4]) else found[0]


def _part(found: re.Match[str]) -> str:
    """Redact a field of a multipart form by the rules for names."""
    return f"{found[1]}{found[2]}{found[3]}{REDACTED}" if _hides(found[2], found[4]) else found[0]


def _hides(name: str, value: str) -> bool:
    secrecy = secrecy_of(name)
    return bool(value) and not (secrecy is Secrecy.OPEN or (secrecy is Secrecy.TEXT and _COUNT.fullmatch(value)))


def _named(found: re.Match[str]) -> str:
    """Redact `name=value` in a text by the rules for names; numbers after `max_tokens` are kept."""
    secrecy = secrecy_of(found[1])
    if secrecy is Secrecy.OPEN or (secrecy is Secrecy.TEXT and _COUNT.fullmatch(found[3])):
        return found[0]
    quote = re.match(r"""\\*["']""", found[3])
    return f"{found[1]}{found[2]}{quote[0]}{REDACTED}{quote[0]}" if quote else f"{found[1]}{found[2]}{REDACTED}"


def _card(found: re.Match[str]) -> str:
    return "[redacted:card]" if is_card_number(re.sub(r"\D", "", found[0])) else found[0]


def _iban(found: re.Match[str]) -> str:
    compact = found[0].replace(" ", "").upper()
    digits = "".join(str(int(letter, 36)) for letter in compact[4:] + compact[:4])
    return "[redacted:iban]" if 15 <= len(compact) <= 34 and int(digits) % 97 == 1 else found[0]

"""Names of secrets: JSON keys, headers, cookies, query parameters. Pure.

Names are compared without case, separators and full-width letters: `API-Key`, `apiKey` and `api_key` are one name. Counts are
not secrets: `max_tokens: 1000` must be kept, `token: "…"` must not.
"""

import re
import unicodedata
from enum import IntEnum
from functools import lru_cache

__all__ = ["Secrecy", "normalized", "secrecy_of"]


class Secrecy(IntEnum):
    """Whether a name marks its value as secret."""

    OPEN = 0
    TEXT = 1
    """Texts are secret, numbers are counts: `token`, `session`."""
    ALL = 2
    """Every value is secret: `password`, `pin`."""


_SECRET_PARTS = (
    *("password", "passwd", "passphrase", "passcode", "passwort", "pwd", "secret", "credential", "authorization"),
    *(
        "apikey",
        "accesskey",
        "privatekey",
        "signingkey",
        "encryptionkey",
        "masterkey",
        "sshkey",
        "authkey",
        "sharedkey",
    ),
    *("accountkey", "licensekey", "serverkey", "clientkey", "cookie", "jwt", "bearer", "csrf", "xsrf", "signature"),
    *("connectionstring", "connstr", "cardnumber", "creditcard", "ccnumber", "securitycode", "recoverycode"),
    *(
        "backupcode",
        "onetimecode",
        "verificationcode",
        "samlresponse",
        "clientassertion",
        "webhookurl",
        "socialsecurity",
    ),
    *("accesstoken", "refreshtoken", "authtoken", "idtoken", "apitoken", "sessiontoken", "resettoken", "securitytoken"),
    *("sessionid", "sessionkey", "bankaccount", "accountnumber"),
)
_SECRET_NAMES = frozenset(
    (
        *("pin", "cvv", "cvc", "cvv2", "cvc2", "otp", "totp", "ssn", "auth", "oauth", "xauth", "basicauth", "pass"),
        *(
            "pw",
            "psw",
            "sid",
            "phpsessid",
            "pan",
            "iban",
            "dsn",
            "databaseurl",
            "brokerurl",
            "redisurl",
            "sig",
            "mfacode",
        ),
    )
)
_TEXT_PARTS = ("token", "session")
_NEVER = re.compile(
    r"tokeni[sz](?:ers?|ed|es?|ing|ations?)(?!ecret|ession|sn|ig)|tokentype|tokenlimit|publickeyid|secretary|signaturedate|cookieconsent|cookiecutter"
)
_SEPARATORS = re.compile(r"[\W_]+")
_LENGTH_MAX = 200


def secrecy_of(name: str) -> Secrecy:
    """Return the secrecy that `name` gives to its value; only the first 200 characters of a name count."""
    return _secrecy_of(name[:_LENGTH_MAX])


@lru_cache(maxsize=16_384)
def _secrecy_of(name: str) -> Secrecy:
    plain = _NEVER.sub("", normalized(name))
    if plain in _SECRET_NAMES or plain.endswith("dsn") or any(part in plain for part in _SECRET_PARTS):
        return Secrecy.ALL
    return Secrecy.TEXT if any(part in plain for part in _TEXT_PARTS) else Secrecy.OPEN


def normalized(name: str) -> str:
    """Return a name without case, separators and typographic variants of letters."""
    short = name[:_LENGTH_MAX]
    plain = short if short.isascii() else unicodedata.normalize("NFKC", short)
    return _SEPARATORS.sub("", plain).casefold()

"""JSON Web Tokens of people.

They are signed with a shared secret or with the published keys of the identity provider.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import jwt

from faregate.core.errors import InvalidError
from faregate.gateway.errors import UnauthenticatedError
from faregate.gateway.security.auth import Principal, Role, person
from faregate.wire.ids import check_external_id, check_not_reserved, check_user_id

__all__ = ["IKeySource", "SecretSource", "TokenRules", "Tokens", "person_of_claims"]

_LEEWAY_SECONDS = 30
_LENGTH_LIMIT = 16 * 1024


class IKeySource(Protocol):
    """Source of the keys that verify tokens."""

    async def key(self, key_id: str | None) -> Any:
        """Return the key of this id, or raise `UnauthenticatedError`."""
        ...


class SecretSource:
    """One shared secret."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    async def key(self, key_id: str | None) -> str:  # noqa: ARG002  there is only one key
        return self._secret


@dataclass(frozen=True, slots=True)
class TokenRules:
    """Requirements for a token. `algorithms` are ours: the algorithm in the token's header is not trusted."""

    algorithms: Sequence[str]
    issuer: str | None = None
    audience: str | None = None


class Tokens:
    """Verifies tokens. Claims: `sub` (the user id), `role` or `roles`, `org`; `exp` is required."""

    def __init__(self, source: IKeySource, rules: TokenRules) -> None:
        self._source = source
        self._rules = rules

    async def principal(self, token: str) -> Principal:
        """Return the person that `token` was issued to.

        Raises:
            UnauthenticatedError: it is not a token, is invalid or expired, or names only unknown roles.
            EngineUnavailableError: the identity provider's keys were never fetched, or not for a day.
        """
        return person_of_claims(await self.claims(token))

    async def claims(self, token: str) -> Mapping[str, Any]:
        """Return the verified claims of a token, or raise as `principal` does."""
        if len(token) > _LENGTH_LIMIT:
            raise UnauthenticatedError("The token is too long")
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in self._rules.algorithms:
                raise UnauthenticatedError("The token is signed in a way that is not accepted here")
            key_id = header.get("kid")
            key = await self._source.key(key_id if isinstance(key_id, str) else None)
            return cast("Mapping[str, Any]", self._decode(token, key))
        except jwt.ExpiredSignatureError:
            raise UnauthenticatedError("The token has expired; sign in again") from None
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError, RecursionError):
            raise UnauthenticatedError("The token is not valid here; sign in again") from None

    def _decode(self, token: str, key: Any) -> dict[str, Any]:
        rules = self._rules
        required = ["exp", "sub", *(["iss"] if rules.issuer else []), *(["aud"] if rules.audience else [])]
        return jwt.decode(
            token,
            key,
            algorithms=list(rules.algorithms),
            issuer=rules.issuer,
            audience=rules.audience,
            leeway=_LEEWAY_SECONDS,
            options={"require": required, "verify_aud": rules.audience is not None},
        )


def person_of_claims(claims: Mapping[str, Any]) -> Principal:
    """Return the person that verified claims name.

    Raises:
        UnauthenticatedError: an id is invalid, or only unknown roles are named.
    """
    try:
        user_id = check_not_reserved(check_user_id(str(claims["sub"]), param="sub"), param="sub")
        organization = claims.get("org")
        if organization is not None:
            organization = check_not_reserved(check_external_id(str(organization), param="org"), param="org")
    except InvalidError as error:
        raise UnauthenticatedError(f"The token's claims cannot be used: {error.detail}") from None
    return person(user_id, _roles(claims), organization_id=organization)


def _roles(claims: Mapping[str, Any]) -> set[Role]:
    """Return the known roles of a token, regardless of case; none if it names no role.

    Roles of other systems are ignored if there is a known one.

    Raises:
        UnauthenticatedError: the token names roles, and none of them is known.
    """
    given = claims.get("roles", claims.get("role"))
    named = cast("list[Any]", given) if isinstance(given, list) else [] if given is None else [given]
    known = {role for role in Role if role.value in {str(name).strip().lower() for name in named}}
    if named and not known:
        raise UnauthenticatedError(
            f"The token names no known role; `role` or `roles` must hold one of {', '.join(Role)}, or be "
            "left out for a user"
        )
    return known

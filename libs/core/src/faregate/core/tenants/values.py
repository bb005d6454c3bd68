"""Tenants, and the rules of their keys, tags and hosts."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

from faregate.core.access.key_format import TAG_LENGTH, tag_text
from faregate.core.errors import InvalidError

__all__ = [
    "Tenant",
    "TenantState",
    "Tenants",
    "check_host",
    "check_key",
    "check_schema",
    "host_of",
    "schema_of",
    "tag_of",
]

_KEY = re.compile(r"[a-z][a-z0-9-]{0,28}[a-z0-9]")
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*")

_BESIDE = ("_bi", "_aside")
"""Ends of the names of schemas beside that of a tenant: the views for BI tools, and what a restore replaces."""


class TenantState(StrEnum):
    """Only `active` tenants are served. The tables of the others are not complete yet, complete, or about to be dropped."""

    CREATING = "creating"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETING = "deleting"


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant. Two equal values mean that nothing about the tenant has changed.

    Attributes:
        tag: the beginning of the ids of its API keys.
        overrides: the settings that it has of its own, by field name.
    """

    key: str
    schema: str
    tag: str
    state: TenantState
    hosts: tuple[str, ...]
    overrides: Mapping[str, Any]
    created_at: datetime
    changed_at: datetime

    @property
    def is_active(self) -> bool:
        """Whether it is served."""
        return self.state is TenantState.ACTIVE


@dataclass(frozen=True, slots=True)
class Tenants:
    """All tenants at one moment, found by key, host or tag."""

    all: Sequence[Tenant]
    by_key: Mapping[str, Tenant] = field(init=False)
    by_host: Mapping[str, Tenant] = field(init=False)
    by_tag: Mapping[str, Tenant] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_key", {tenant.key: tenant for tenant in self.all})
        object.__setattr__(self, "by_host", {host: tenant for tenant in self.all for host in tenant.hosts})
        object.__setattr__(self, "by_tag", {tenant.tag: tenant for tenant in self.all})

    @property
    def active(self) -> list[Tenant]:
        """Those that are served."""
        return [tenant for tenant in self.all if tenant.is_active]


def check_key(key: str) -> str:
    """Return `key`, or raise `InvalidError`."""
    if not _KEY.fullmatch(key):
        raise InvalidError(
            f"{key!r} is no key of a tenant; use 2 to 30 characters of a-z, 0-9 and -, a letter first, no - at the end",
            param="key",
        )
    return key


def check_host(host: str) -> str:
    """Return `host` in lower case, or raise `InvalidError`."""
    lower = host.lower()
    if not _HOST.fullmatch(lower):
        raise InvalidError(
            f"{host!r} is no host name; write it without scheme and port, as acme.example.com", param="host"
        )
    return lower


def check_schema(schema: str) -> str:
    """Return `schema`, or raise `InvalidError`."""
    if not _SCHEMA.fullmatch(schema) or schema.startswith("pg_") or schema in {"public", "information_schema"}:
        raise InvalidError(
            f"{schema!r} cannot be the schema of a tenant; use a-z, 0-9 and _, and none of PostgreSQL's own",
            param="schema",
        )
    if schema.endswith(_BESIDE):
        raise InvalidError(
            f"The schema {schema!r} could be one beside another tenant's; choose one that does not end with "
            f"{' or '.join(_BESIDE)}",
            param="schema",
        )
    return schema


def schema_of(key: str) -> str:
    """Return the schema of a new tenant."""
    return f"tenant_{key.replace('-', '_')}"


def tag_of(key: str) -> str:
    """Return the beginning of the ids of a tenant's API keys, by which a key finds its tenant."""
    return tag_text(int.from_bytes(sha256(key.encode()).digest()[:8]))[:TAG_LENGTH]


def host_of(header: str) -> str:
    """Return the host name of a Host header as tenants are found by it: without port and final dot, in lower case."""
    name = header.partition(":")[0] if not header.startswith("[") else header
    return name.rstrip(".").lower()

"""Two tenants, acme and beta, in one deployment; made once per run and cloned for each test."""

import os
from collections.abc import AsyncIterator
from itertools import count

import pytest

from faregate.core.clock import SystemClock
from faregate.core.container import make_database
from faregate.core.privacy.key_ring import KeyRing
from faregate.core.tenants.registry import TenantRegistry
from faregate.core.tenants.service import TenantService
from support.servers import address, execute
from support.tenancy import HOSTS, KEYS, SECRETS, TENANTS, Front, deployment_settings, open_front

_numbers = count(1)


@pytest.fixture(scope="session")
async def tenants_template(server_url: str, template: str) -> str:
    """A database with two tenants, to be cloned."""
    name = f"tenants_{os.getpid()}"
    await execute(server_url, f"create database {name} template {template} strategy file_copy")
    settings = deployment_settings(address(server_url, name))
    database = make_database(settings)
    await database.open()
    service = TenantService(database, TenantRegistry(database, KeyRing()), settings, SystemClock())
    for key in TENANTS:
        own = {"server_api_key": KEYS[key], "jwt_secret": SECRETS[key]}
        await service.create(key, hosts=[HOSTS[key]], overrides=own)
    await database.close()
    return name


@pytest.fixture
async def deployment_url(server_url: str, tenants_template: str) -> AsyncIterator[str]:
    """The address of a fresh database with two tenants."""
    name = f"tenants_{os.getpid()}_{next(_numbers)}"
    await execute(server_url, f"create database {name} template {tenants_template} strategy file_copy")
    yield address(server_url, name)
    await execute(server_url, f"drop database {name} with (force)")


@pytest.fixture
async def front(deployment_url: str) -> AsyncIterator[Front]:
    """A gateway that serves both."""
    async with open_front(deployment_settings(deployment_url)) as front:
        yield front

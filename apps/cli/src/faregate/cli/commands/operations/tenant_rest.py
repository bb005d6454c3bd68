"""What a tenant has outside its tables."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from faregate.analytics.bi.service import BiService
from faregate.analytics.days.stores import objects_of_tenant
from faregate.core.container import check_queues, remove_queues
from faregate.core.errors import ConfigurationError
from faregate.core.tenants.overrides import folders_of

if TYPE_CHECKING:
    from pathlib import Path

    from faregate.core.db.database import Database
    from faregate.core.settings import Settings

__all__ = ["Removed", "TenantRest"]


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed: folders on this machine, a prefix in S3, and roles; `roles_kept` have other uses."""

    folders: Sequence[str] = ()
    objects: str | None = None
    roles: Sequence[str] = ()
    roles_kept: Sequence[str] = ()

    @property
    def facts(self) -> Mapping[str, Any]:
        """The same for programs."""
        return {
            "folders": list(self.folders),
            "objects": self.objects,
            "roles": list(self.roles),
            "roles_kept": list(self.roles_kept),
        }

    @property
    def sentence(self) -> str:
        """The same for people."""
        parts = [f"{len(self.folders)} folders of files"]
        parts += [f"the objects of {self.objects}"] if self.objects else []
        parts += [f"the roles {', '.join(self.roles)}"] if self.roles else []
        kept = f"; it had the roles {', '.join(self.roles_kept)}, which stay" if self.roles_kept else ""
        return ", ".join(parts) + kept


class TenantRest:
    """Queues, files, objects, views and roles of the tenant of `settings`; `database` is its own."""

    def __init__(self, settings: Settings, database: Database, *, keep_files: bool) -> None:
        self._settings = settings
        self._database = database
        self._folders = [] if keep_files else folders_of(settings)
        self._objects = None if keep_files else objects_of_tenant(settings)
        self.removed = Removed()

    async def check(self) -> None:
        """Check that all places can be reached.

        Raises:
            ConfigurationError: the store of objects cannot be used.
            EngineUnavailableError: the broker is unavailable.
        """
        if self._objects is not None:
            await asyncio.to_thread(self._objects.check)
        await check_queues(self._settings)

    async def remove(self) -> None:
        """Remove everything. Safe to repeat; raises as `check`, or because something of others is among the views."""
        await remove_queues(self._settings)
        if self._objects is not None:
            await asyncio.to_thread(self._objects.remove_all)
        await self._database.open()
        roles = await BiService(self._database).drop_with_roles()
        await asyncio.to_thread(_remove_folders, self._folders)
        self.removed = Removed(
            [str(path) for path in self._folders],
            self._objects.address if self._objects is not None else None,
            roles.dropped,
            roles.kept,
        )


def _remove_folders(folders: Sequence[Path]) -> None:
    for folder in folders:
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ConfigurationError(
                f"{folder} cannot be removed: {error.strerror}; correct it and repeat the command, or leave the files with "
                "--keep-files"
            ) from error

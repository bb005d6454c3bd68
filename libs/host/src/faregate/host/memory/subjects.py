"""Subjects and account directory in memory."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.subjects import Subject, Subjects
from faregate.core.errors import FaregateError
from faregate.host.memory.database import MemoryDatabase
from faregate.usage.accounts.directory import DatabaseDirectory, OrganizationClaim
from faregate.usage.errors import NotAMemberError, UnknownOrganizationError
from faregate.usage.values import AccountFacts, ChargingPolicy
from faregate.wire.ids import check_not_reserved, organization_owner_id

__all__ = ["MemoryDirectory", "MemorySubjects"]


class MemorySubjects(Subjects):
    """Numbers users and organisations as they appear."""

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__(database)
        self._store = database.store

    async def find(self, session: AsyncSession, external_ids: Iterable[str]) -> Mapping[str, Subject]:
        return {name: self._store.subjects[name] for name in sorted(set(external_ids)) if name in self._store.subjects}

    async def ensure(self, session: AsyncSession, external_ids: Iterable[str]) -> Mapping[str, Subject]:
        names = sorted(set(external_ids))
        for name in (name for name in names if name not in self._store.subjects):
            check_not_reserved(name, param="organization_id" if name.startswith("org:") else "user_id")
            self._store.subjects[name] = Subject(len(self._store.subjects) + 1, name, None)
        return {name: self._store.subjects[name] for name in names}

    async def numbers(self, session: AsyncSession, external_ids: Iterable[str]) -> Mapping[str, int]:
        return {name: subject.subject_id for name, subject in (await self.ensure(session, external_ids)).items()}

    async def named(self, session: AsyncSession, subject_ids: Iterable[int]) -> Mapping[int, Subject]:
        wanted = set(subject_ids)
        return {s.subject_id: s for s in self._store.subjects.values() if s.subject_id in wanted}

    async def remember_email(self, session: AsyncSession, subject_id: int, email: str) -> None:
        for name, subject in self._store.subjects.items():
            if subject.subject_id == subject_id:
                self._store.subjects[name] = replace(subject, email=email)
                return


class MemoryDirectory(DatabaseDirectory):
    """Memberships and policies in memory."""

    def __init__(self, database: MemoryDatabase, subjects: Subjects, *, claim: OrganizationClaim = "member") -> None:
        super().__init__(database, subjects, claim=claim)
        self._store = database.store

    async def facts(self, session: AsyncSession, accounts: Sequence[tuple[str, str | None]]) -> Sequence[AccountFacts]:
        return [self._facts(user_id, named) for user_id, named in accounts]

    async def version(self, session: AsyncSession, owner_id: str) -> str | None:
        return None

    async def join(self, session: AsyncSession, user_id: str, organization_id: str | None) -> None:
        if organization_id is None:
            self._store.members.pop(user_id, None)
            return
        await self.add(session, organization_id)
        await self._subjects.ensure(session, [user_id])
        self._store.members[user_id] = organization_id

    async def set_policy(self, session: AsyncSession, organization_id: str, policy: ChargingPolicy) -> None:
        await self.add(session, organization_id)
        self._store.policies[organization_id] = policy

    async def add(self, session: AsyncSession, organization_id: str) -> None:
        await self._subjects.ensure(session, [organization_owner_id(organization_id)])
        self._store.policies.setdefault(organization_id, ChargingPolicy.RECORDED)

    async def policy(self, session: AsyncSession, organization_id: str) -> ChargingPolicy | None:
        return self._store.policies.get(organization_id)

    async def members(self, session: AsyncSession, organization_id: str) -> list[str]:
        return sorted(user for user, joined in self._store.members.items() if joined == organization_id)[:1000]

    async def organizations(self, session: AsyncSession, *, after: str, limit: int) -> list[tuple[str, ChargingPolicy]]:
        return [(name, policy) for name, policy in sorted(self._store.policies.items()) if name > after][:limit]

    def _facts(self, user_id: str, named: str | None) -> AccountFacts:
        organization = named or self._store.members.get(user_id)
        owners = [user_id, *([organization_owner_id(organization)] if organization else [])]
        found = [subject for name in owners if (subject := self._store.subjects.get(name)) is not None]
        wallets = {
            s.external_id: self._store.wallets[s.subject_id] for s in found if s.subject_id in self._store.wallets
        }
        plans = [wallets[name].plan for name in owners if name in wallets and wallets[name].plan is not None]
        return AccountFacts(
            user_id=user_id,
            organization_id=organization,
            policy=self._store.policies.get(organization or "", ChargingPolicy.RECORDED),
            plan=plans[0] if plans else None,
            owners=tuple(subject for subject in found if subject.external_id in wallets),
            refusal=self._why_not(user_id, named),
        )

    def _why_not(self, user_id: str, named: str | None) -> FaregateError | None:
        if named is None:
            return None
        if named not in self._store.policies:
            return UnknownOrganizationError(named)
        if self._claim == "member" and self._store.members.get(user_id) != named:
            return NotAMemberError(user_id, named)
        return None

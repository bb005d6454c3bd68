"""Source of facts for questions: files and tail of one snapshot."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.columnar.dialect import ColumnDialect
from faregate.analytics.columnar.interfaces import IColumnEngine, Selected
from faregate.analytics.columnar.questions_sql import condition_of
from faregate.analytics.columnar.registry import Registry, View
from faregate.analytics.columnar.sql import TAIL
from faregate.analytics.facts.conditions_sql import Rest, conditions, parameters
from faregate.analytics.question.filters import Question
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.core.db.transaction_notes import keep_for_transaction, kept_for_transaction
from faregate.core.errors import MissingExtraError
from faregate.core.logging import get_logger

__all__ = ["ColumnarSource"]

log = get_logger(__name__)

_TAIL_FACTS = 20_000
_SELECTED = "faregate_columnar"
_NOBODY = 0


class ColumnarSource:
    """Finds the facts of a question in the snapshot of a session, and answers from them.

    Args:
        tail_facts: with more facts of a question outside the files, PostgreSQL answers it.
    """

    def __init__(
        self,
        database: Database,
        subjects: Subjects,
        registry: Registry,
        engine: IColumnEngine,
        *,
        tail_facts: int = _TAIL_FACTS,
    ) -> None:
        self._database = database
        self._subjects = subjects
        self._registry = registry
        self._engine = engine
        self._tail_facts = tail_facts

    @property
    def dialect(self) -> ColumnDialect:
        """How the engine writes SQL."""
        return self._engine.dialect

    async def select(self, session: AsyncSession, question: Question) -> Selected | None:
        """Return the facts of a question; None if PostgreSQL has to answer it. Found once in each transaction."""
        found: dict[tuple[Any, ...], Selected | None] | None = kept_for_transaction(session, _SELECTED)
        if found is None:
            found = {}
            keep_for_transaction(session, _SELECTED, found)
        key = question.range, tuple(question.filters.given.items()), str(question.filters.spelled)
        if key not in found:
            found[key] = await self._select(session, question)
        return found[key]

    def forget(self) -> None:
        """Forget the facts of earlier questions, as after a start."""
        self._engine.forget()

    async def rows(self, selected: Selected, sql: str) -> Sequence[tuple[Any, ...]] | None:
        """Return the rows of a question; None if it cannot be answered here: a file is gone, or memory or time were not enough."""
        try:
            return await self._engine.rows(selected, sql)
        except MissingExtraError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the engine refuses, PostgreSQL answers
            log.warning("columnar_answer_failed", error=type(error).__name__, reason=str(error)[:200])
            return None

    async def _select(self, session: AsyncSession, question: Question) -> Selected | None:
        span = question.range
        view = await self._registry.view(session, span.start, span.end)
        if not view.copied or not view.file_ids:
            return None
        if not await self._engine.reads(view):
            return None
        tail = await self._tail(session, question, view)
        if tail is None:
            return None
        people = await self._people(session, question)
        return Selected(view, condition_of(question, people, self._engine.dialect), tail)

    async def _tail(self, session: AsyncSession, question: Question, view: View) -> str | None:
        """Return the facts of a question that are not in the files, as JSON: empty for none, None for too many."""
        rest = Rest(None, None, tail=True, from_tx=view.from_tx, open_txs=view.open_txs)
        sql = TAIL.format(conditions=conditions(question.filters, rest), limit=self._tail_facts + 1)
        (row,) = await self._database.rows(session, sql, **parameters(question, rest))
        if row.facts > self._tail_facts:
            return None
        return row.rows if row.facts else ""

    async def _people(self, session: AsyncSession, question: Question) -> Mapping[str, int]:
        """Return the subject numbers of the user and the organisation of the filters, by column."""
        filters = question.filters
        wanted = {"subject_id": filters.user_id, "organization_id": filters.organization_owner}
        names = {column: name for column, name in wanted.items() if name is not None}
        found = await self._subjects.find(session, names.values())
        return {column: found[name].subject_id if name in found else _NOBODY for column, name in names.items()}

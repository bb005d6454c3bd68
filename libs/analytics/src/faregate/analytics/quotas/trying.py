"""Test alerts through every channel."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from faregate.analytics.quotas.interfaces import IAlertChannel
from faregate.analytics.quotas.levels import Level
from faregate.analytics.quotas.periods import QuotaPeriod, window_at
from faregate.analytics.quotas.values import EVERYBODY, Alert
from faregate.core.clock import IClock
from faregate.core.errors import FaregateError
from faregate.wire.ids import new_uuid7

__all__ = ["AlertTester", "Tried"]

_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Tried:
    """The result of the test alert on one channel; `problem` is None if it was delivered."""

    channel: str
    problem: str | None


class AlertTester:
    """Sends test alerts. They are marked as tests, contain nobody's use, and are not stored in the history."""

    def __init__(self, channels: Sequence[IAlertChannel], clock: IClock) -> None:
        self._channels = channels
        self._clock = clock

    async def run(self, *, emails: Sequence[str] = ()) -> Sequence[Tried]:
        """Send one test alert by every channel, once; mails also go to `emails`. Each call sends again."""
        alert = self._alert(tuple(emails))
        return [Tried(channel.name, await _problem(channel, alert)) for channel in self._channels]

    def _alert(self, emails: tuple[str, ...]) -> Alert:
        now = self._clock.now()
        window = window_at(QuotaPeriod.DAY, now, "UTC")
        return Alert(
            id=new_uuid7(),
            quota_id=new_uuid7(),
            owner_id=EVERYBODY,
            meter="test",
            period=QuotaPeriod.DAY,
            period_start=window.start,
            period_end=window.end,
            level=Level.WARNING,
            percent=None,
            used=_NOTHING,
            limit=_NOTHING,
            hard=False,
            superseded=False,
            runs_out_at=None,
            emails=emails,
            fired_at=now,
            test=True,
        )


async def _problem(channel: IAlertChannel, alert: Alert) -> str | None:
    try:
        await channel.deliver(alert)
    except Exception as error:  # noqa: BLE001  any exception of a channel is its result
        return error.detail if isinstance(error, FaregateError) else f"{type(error).__name__}: {error}"
    return None

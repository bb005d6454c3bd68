"""Services that the fields of the GraphQL schema call."""

from dataclasses import dataclass
from decimal import Decimal

from faregate.analytics.answers.service import AnalyticsService
from faregate.analytics.answers.story import Storyteller
from faregate.analytics.answers.trends import Patterns
from faregate.core.clock import IClock
from faregate.usage.accounts.many_wallets import ManyWallets
from faregate.usage.accounts.wallets import WalletService
from faregate.usage.credits_process.many_uses import ManyUses
from faregate.usage.service import UsageService

__all__ = ["GraphServices"]


@dataclass(frozen=True, slots=True)
class GraphServices:
    """The services of the HTTP calls, and reads of many wallets or uses at once."""

    wallets: WalletService
    many_wallets: ManyWallets
    usage: UsageService
    many_uses: ManyUses
    stories: Storyteller
    analytics: AnalyticsService
    patterns: Patterns
    clock: IClock
    credit_price_usd: Decimal

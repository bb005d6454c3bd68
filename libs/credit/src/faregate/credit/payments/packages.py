"""Packages of credits for sale, and the price of any other amount."""

from collections.abc import Mapping
from decimal import Decimal

from faregate.core.settings.packages import PackageSetting
from faregate.credit.errors import UnknownPackageError
from faregate.credit.payments.rules import minor_units
from faregate.credit.payments.values import Package
from faregate.wire.exact_json import plain

__all__ = ["Packages"]


class Packages:
    """The packages of the settings.

    Args:
        credit_price_usd: the price of one credit where an automatic top-up orders an amount that no package has.
    """

    def __init__(self, packages: Mapping[str, PackageSetting], credit_price_usd: Decimal) -> None:
        self._packages = {
            key: Package(key, each.name or f"{plain(each.credits)} credits", each.credits, each.usd)
            for key, each in packages.items()
        }
        self._credit_price_usd = credit_price_usd

    def all(self) -> list[Package]:
        """Return the packages, the smallest first."""
        return sorted(self._packages.values(), key=lambda package: (package.credits, package.key))

    def get(self, key: str) -> Package:
        """Return one package.

        Raises:
            UnknownPackageError: there is none with this key.
        """
        if key not in self._packages:
            raise UnknownPackageError(key, self._packages)
        return self._packages[key]

    def price_of(self, credits: Decimal) -> tuple[str | None, int]:
        """Return the package of exactly this many credits if there is one, and the price in cents."""
        for package in self.all():
            if package.credits == credits:
                return package.key, minor_units(package.price_usd)
        return None, minor_units(credits * self._credit_price_usd)

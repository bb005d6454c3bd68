"""The shop's tests: one in memory, and one on PostgreSQL with a worker."""

import os
import subprocess
import sys
import time
from decimal import Decimal
from unittest.mock import patch
from urllib.parse import urlsplit

from django.db import connection
from django.http import HttpResponse
from django.test import TestCase, TransactionTestCase

from faregate.host import SyncFakeFaregate, SyncFaregate
from shop import credits
from shop.models import Order


class ShopInMemoryTest(TestCase):
    """`SyncFakeFaregate` takes Faregate's place; there is nothing to start."""

    def setUp(self) -> None:
        fare = self.enterContext(SyncFakeFaregate(features=credits.FEATURES, balance=3))
        self.enterContext(patch.object(credits, "fare", fare))

    def test_a_chat_is_charged_by_its_tokens(self) -> None:
        answer = self.client.post("/chat", {"prompt": "hello"}, headers={"User": "ada"}).json()

        self.assertEqual((answer["answer"], Decimal(answer["credits"])), ("HELLO", Decimal("0.42")))

    def test_who_has_too_few_credits_is_refused(self) -> None:
        titles = [self.client.post("/orders", {"title": title}, headers={"User": "ada"}) for title in ("Faust", "Emma")]

        self.assertEqual([answer.status_code for answer in titles], [201, 402])
        self.assertEqual(Order.objects.count(), 1)


class ShopWithWorkerTest(TransactionTestCase):
    """The real Faregate on Django's test database, and a worker beside it."""

    def setUp(self) -> None:
        url = (
            urlsplit(os.environ["FAREGATE_DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
        )
        self.fare = self.enterContext(SyncFaregate(url, features=credits.FEATURES))
        self.enterContext(patch.object(credits, "fare", self.fare))
        self.fare.grant("ada", 10, key="welcome")
        worker = subprocess.Popen(
            [sys.executable, "-m", "faregate.cli", "worker"], env={**os.environ, "FAREGATE_DATABASE_URL": url}
        )
        self.addCleanup(worker.wait)
        self.addCleanup(worker.terminate)

    def test_an_order_is_charged_once_it_is_committed(self) -> None:
        answers = [self.order(title) for title in ("Faust", "Faust", "Emma")]
        while len(uses := self.fare.usage.list(user="ada")) < 2:
            time.sleep(0.05)

        self.assertEqual([answer.status_code for answer in answers], [201, 409, 201])
        self.assertEqual({use.usage_key for use in uses}, {answers[i].json()["usage_key"] for i in (0, 2)})
        self.assertEqual(self.fare.balance("ada").free, 6)

    def order(self, title: str) -> HttpResponse:
        return self.client.post("/orders", {"title": title}, headers={"User": "ada"})

"""The sync client in threads, after a fork and at process exit."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest

from faregate.client import (
    InsufficientCreditsError,
    ModelUsage,
    SyncFakeCredits,
    UnavailableError,
    one_credit,
)

GPT = ModelUsage("gpt-4o", 1000, 100)


def test_all_phases() -> None:
    with SyncFakeCredits(balance=3, pricing=one_credit) as credits:
        go = credits.authorize("chat", user_id="ada")
        done = credits.settle_via_api("chat", user_id="ada", usage_key=go.usage_key, usages=[GPT])
        accepted = credits.settle_via_queue("chat", user_id="ada", usage_key="k", usages=[GPT])
        paper = credits.record_usage("paper", user_id="ada")
        with pytest.raises(InsufficientCreditsError):
            credits.authorize("chat", user_id="ada")

    assert (done.charged, accepted.by, paper.credits_charged) == (1, "gateway", 1)


def test_a_charge_settles_and_voids() -> None:
    with SyncFakeCredits(pricing=lambda lines: Decimal("0.5") * len(lines)) as credits:
        with credits.charge("chat", user_id="ada") as ride:
            ride.add("gpt-4o", input_tokens=3)
        with pytest.raises(RuntimeError), credits.charge("chat", user_id="ada") as failed:
            raise RuntimeError

    assert ride.result.state == "settled"
    assert ride.result.charged == Decimal("0.5")
    assert failed.result.state == "voided"


def test_many_threads_share_one_client() -> None:
    with SyncFakeCredits(balance=100, pricing=one_credit) as credits:

        def use(number: int) -> None:
            with credits.charge("chat", user_id="ada") as ride:
                ride.add("gpt-4o", input_tokens=number)

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(use, range(64)))

        assert len(credits.settled) == 64
        assert credits.gateway.free("ada") == 36


def test_an_unavailable_gateway_raises() -> None:
    with SyncFakeCredits() as credits:
        credits.gateway.down = True
        with pytest.raises(UnavailableError):
            credits.authorize("chat", user_id="ada")


def test_a_forked_worker_gets_its_own_event_loop() -> None:
    """Servers load the application and then fork; threads are not copied."""
    code = """
import os, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from faregate.client import SyncFakeCredits
credits = SyncFakeCredits()
credits.authorize("chat", user_id="ada")
child = os.fork()
if child == 0:
    credits.authorize("chat", user_id="bela")
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
credits.authorize("chat", user_id="ada")
print("fine")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)

    assert (done.stdout, done.stderr) == ("fine\n", "")


def test_a_process_that_exits_leaves_its_logs_in_the_spool(tmp_path: Path) -> None:
    code = """
import sys; from pathlib import Path
from faregate.client import SyncFeatureLogger
logger = SyncFeatureLogger("http://127.0.0.1:9", "key", spool_dir=Path(sys.argv[1]))
assert logger.dispatch_to_queue({"feature_endpoint_id": "chat", "user_id": "ada"})
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=30, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert sum(path.read_bytes().count(b'"ada"') for path in tmp_path.glob("*.spool")) == 1

"""Short runs of the ledger and pricing benchmarks.

They compare their figures with the limits, and their exit code is the result.
"""

from faregate.wire import exact_json
from support.processes import run_command


async def test_verify_is_timed_in_full_and_incrementally() -> None:
    done = await run_command("bench", "verify", "--transfers", "500", "--wallets", "10")

    assert done.code == 0, done.err
    assert "full: " in done.out
    assert "incremental, nothing new" in done.out


async def test_pricing_gives_the_same_price_as_genai_prices() -> None:
    """Checks prices only; the speed is judged on a machine at rest."""
    done = await run_command("bench", "pricing", "--calls", "20", "-o", "json")
    told = exact_json.loads(done.out.encode())

    assert len(told["cases"]) == 4
    assert all(case["same_price"] for case in told["cases"])
    assert done.code == (0 if told["passed"] else 1)

"""`faregate bench reports`."""

from faregate.wire import exact_json
from support.processes import run_command


async def test_the_reports_of_tenants_are_mailed_and_add_up() -> None:
    """A short form of the bench: each tenant gets one mail, and all mails together state the recorded credits."""
    done = await run_command("bench", "reports", "--tenants", "4", "--uses", "3", "-o", "json")
    found = exact_json.loads(done.out.encode())

    assert done.code == 0, done.err + done.out
    assert (found["mails"], found["passed"]) == (4, True)
    assert found["credits in all mails"] == found["credits recorded"] > 0

"""`/api/reports` and the page that unsubscribes."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.apps import Gateway, open_gateway, settings_for
from support.mentions import mentions

WEEKLY = {"kind": "weekly", "recipients": ["ops@example.com"], "timezone": "Europe/Berlin", "hour": 8}
YESTERDAY = datetime.now(UTC).replace(hour=12, minute=0) - timedelta(days=1)
BROWSER = {"accept": "text/html", "content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with open_gateway(settings_for(database_url, public_url="https://ours.example")) as gateway:
        yield gateway


async def used(gateway: Gateway) -> None:
    fact = {"user_id": "ada", "service": "chat", "time": YESTERDAY.isoformat(), "credits": 12.5, "model": "gpt-4o"}
    assert (await gateway.post("/api/usage-events", fact)).status < 300


async def link(gateway: Gateway, name: str = "team") -> str:
    (recipient,) = (await gateway.container.report_service().get(name)).recipients
    return f"/reports/unsubscribe/{recipient.token}"


async def states(gateway: Gateway) -> list[str]:
    return [each["state"] for each in (await gateway.get("/api/reports/team")).data["recipients"]]


async def test_a_report_is_set_read_changed_listed_and_deleted(gateway: Gateway) -> None:
    made = (await gateway.put("/api/reports/team", WEEKLY)).data
    changed = (await gateway.put("/api/reports/team", {**WEEKLY, "active": False, "files": ["csv", "csv"]})).data
    await gateway.put("/api/reports/acme", {**WEEKLY, "scope": "organization", "owner": "acme", "filters": {"model": "gpt-4o"}})  # fmt: skip
    first = await gateway.get("/api/reports?limit=1")
    second = await gateway.get(f"/api/reports?limit=1&cursor={first.body['meta']['next_cursor']}")
    deleted = await gateway.call("DELETE", "/api/reports/acme")

    assert datetime.fromisoformat(made["next_at"]) > datetime.now(UTC)
    assert (made["weekday"], made["recipients"][0]["state"]) == (1, "active")
    assert (changed["next_at"], changed["files"]) == (None, ["csv"])
    assert [first.data[0]["name"], second.data[0]["name"]] == ["acme", "team"]
    assert (first.data[0]["owner"], first.data[0]["filters"]["model"]) == ("acme", "gpt-4o")
    assert deleted.status == 200
    assert (await gateway.get("/api/reports/acme")).error["code"] == "not_found"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"kind": "yearly"}, "kind"),
        ({"recipients": []}, "recipients"),
        ({"recipients": ["nobody"]}, "recipients"),
        ({"hour": 24}, "hour"),
        ({"weekday": True}, "weekday"),
        ({"owner": "acme"}, "owner"),
        ({"filters": {"user_id": "ada"}}, "filters.user_id"),
        ({"timezone": "Mars"}, "timezone"),
    ],
)
async def test_a_wrong_field_is_named(gateway: Gateway, wrong: dict[str, Any], field: str) -> None:
    answer = await gateway.put("/api/reports/team", {**WEEKLY, **wrong})

    assert answer.status == 422
    assert answer.error["param"] == field


async def test_a_preview_shows_the_mail_of_any_period_and_sends_nothing(gateway: Gateway) -> None:
    await used(gateway)
    await gateway.put(
        "/api/reports/day", {"kind": "daily", "recipients": ["ops@example.com"], "files": ["xlsx", "pdf"]}
    )
    shown = (await gateway.get(f"/api/reports/day/preview?day={YESTERDAY:%Y-%m-%d}")).data
    page = await gateway.http.get(
        f"/api/reports/day/page?day={YESTERDAY:%Y-%m-%d}", headers={"x-server-api-key": gateway.key}
    )

    assert shown["subject"].endswith("12.50 credits, 1 requests")
    assert "12.50" in shown["text"]
    assert [file["name"].rpartition(".")[2] for file in shown["files"]] == ["xlsx", "pdf"]
    assert all(file["bytes"] > 1000 for file in shown["files"])
    assert page.headers["content-type"].startswith("text/html")
    assert "sandbox" in page.headers["content-security-policy"]
    assert 'src="data:image/png;base64,' in page.text
    assert "cid:" not in page.text
    assert (await gateway.get("/api/reports/day/deliveries")).data == []


@pytest.mark.parametrize(("form", "begins"), [("csv", b"part,value"), ("xlsx", b"PK"), ("pdf", b"%PDF")])
async def test_the_files_of_a_report_can_be_downloaded(gateway: Gateway, form: str, begins: bytes) -> None:
    await gateway.put("/api/reports/team", WEEKLY)
    got = await gateway.http.get(f"/api/reports/team/file?format={form}", headers={"x-server-api-key": gateway.key})

    assert got.status_code == 200
    assert got.content.startswith(begins)
    assert f".{form}" in got.headers["content-disposition"]


async def test_a_test_mail_is_queued_once_for_each_idempotency_key(gateway: Gateway) -> None:
    await gateway.put("/api/reports/team", WEEKLY)
    body = {"address": "me@example.com"}
    made = [await gateway.post("/api/reports/team/test", body, idempotency_key=f"k-{n}") for n in (1, 1, 2)]
    wrong = await gateway.post("/api/reports/team/test", {"address": "me"})
    listed = (await gateway.get("/api/reports/team/deliveries?limit=1")).body
    rest = (await gateway.get(f"/api/reports/team/deliveries?cursor={listed['meta']['next_cursor']}")).data

    assert [answer.status for answer in made] == [201, 201, 201]
    assert made[0].data["id"] == made[1].data["id"] != made[2].data["id"]
    assert (made[0].data["test"], made[0].data["status"]) == (True, "pending")
    assert wrong.status == 422
    assert {each["id"] for each in [*listed["data"], *rest]} == {made[0].data["id"], made[2].data["id"]}


async def test_a_link_unsubscribes_by_post_only_and_without_signing_in(gateway: Gateway) -> None:
    """Mail programs post (RFC 8058); what scans mails gets the page, and changes nothing."""
    await gateway.put("/api/reports/team", WEEKLY)
    path = await link(gateway)
    asked = await gateway.http.get(path, headers=BROWSER)
    before = await states(gateway)
    done = await gateway.http.post(path, headers=BROWSER, content="List-Unsubscribe=One-Click")
    again = await gateway.http.post(path, headers=BROWSER, content="List-Unsubscribe=One-Click")
    after = await states(gateway)
    await gateway.put("/api/reports/team", WEEKLY)

    assert (asked.status_code, before) == (200, ["active"])
    assert "<form" in asked.text
    assert "ops@example.com" in asked.text
    assert (done.status_code, again.status_code, after) == (200, 200, ["unsubscribed"])
    assert "no longer receives" in done.text
    assert await states(gateway) == ["unsubscribed"]

    back = await gateway.http.post(path, headers=BROWSER, content="subscribe=again")
    assert "receives the report" in back.text
    assert await states(gateway) == ["active"]


@pytest.mark.parametrize("token", ["x", "0190163d-8694-739b-aea5-966c26f8ad91"])
async def test_an_unknown_link_changes_nothing(gateway: Gateway, token: str) -> None:
    await gateway.put("/api/reports/team", WEEKLY)
    found = [
        await gateway.http.get(f"/reports/unsubscribe/{token}"),
        await gateway.http.post(f"/reports/unsubscribe/{token}", content="List-Unsubscribe=One-Click"),
        await gateway.http.post(await link(gateway), content=b"x" * 20_000),
    ]

    assert [answer.status_code for answer in found] == [404, 404, 404]
    assert await states(gateway) == ["active"]


async def test_a_bounce_is_noted_by_the_id_of_the_mail(gateway: Gateway) -> None:
    await gateway.put("/api/reports/team", WEEKLY)
    made = (await gateway.post("/api/reports/team/test", {"address": "me@example.com"})).data
    noted = await gateway.post(
        "/api/report-bounces", {"message_id": f"<report-{made['id']}@ours.example>", "reason": "550 gone"}
    )
    unknown = await gateway.post("/api/report-bounces", {"message_id": "<x@y>", "reason": "550 gone"})

    assert (noted.data["status"], noted.data["last_error"]) == ("bounced", "550 gone")
    assert (unknown.status, unknown.error["param"]) == (404, "message_id")


async def test_suspended_recipients_are_resumed(gateway: Gateway) -> None:
    await gateway.put("/api/reports/team", WEEKLY)
    async with gateway.database.transaction() as session:
        await gateway.database.rows(session, "update faregate.report_recipient set state = 'suspended'")
    assert await states(gateway) == ["suspended"]

    other = await gateway.post("/api/reports/team/resume", {"address": "other@example.com"})
    resumed = await gateway.post("/api/reports/team/resume", {})
    assert [answer.data["recipients"][0]["state"] for answer in (other, resumed)] == ["suspended", "active"]


async def test_an_erasure_reaches_reports_recipients_and_mails(gateway: Gateway) -> None:
    await gateway.put("/api/wallets/ada", {"email": "Ada@example.com"})
    await gateway.put("/api/reports/team", {**WEEKLY, "recipients": ["ops@example.com", "ada@example.com"]})
    await gateway.put("/api/reports/own", {**WEEKLY, "scope": "user", "owner": "ada"})
    made = (await gateway.post("/api/reports/team/test", {"address": "ada@example.com"})).data
    other = (await gateway.post("/api/reports/team/test", {"address": "ops@example.com"})).data
    for each in (made, other):
        await gateway.post("/api/report-bounces", {"message_id": f"report-{each['id']}@x", "reason": "no ada@example.com here"})  # fmt: skip
    exported = await gateway.call("GET", "/api/privacy/export?user_id=ada", raw=True)
    await gateway.post("/api/privacy/erase", {"user_id": "ada"})
    mails = (await gateway.get("/api/reports/team/deliveries")).data

    assert exported.status == 200
    assert [each["address"] for each in (await gateway.get("/api/reports/team")).data["recipients"]] == ["ops@example.com"]  # fmt: skip
    assert [mail["address"] for mail in mails] == ["ops@example.com"]
    assert not mentions(str(mails[0]["last_error"]), "ada")
    assert (await gateway.get("/api/reports/own")).status == 404

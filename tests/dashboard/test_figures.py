"""Overview, Explore and Uses in a real browser: the books, limits, comparisons, exports, drill-down, filters."""

import io
import re
from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest
from playwright.async_api import Page, expect

from faregate.cli.commands.credits.verify import prove
from support.apps import Gateway
from support.browsing import Desk, loaded
from support.people import token


def plain(text: str) -> Decimal:
    return Decimal(re.sub(r"[^\d.-]", "", text))


async def asked(page: Page, path: str) -> str:
    """Return the query of the first call of `path` that the page made."""
    script = "(path) => performance.getEntriesByType('resource').map((e) => e.name).find((n) => new URL(n).pathname === path)"
    address: str = await page.evaluate(script, path)
    return address.partition("?")[2]


async def api(gateway: Gateway, path: str) -> Any:
    answer = await gateway.get(path)
    assert answer.status == 200, answer.body
    return answer.data


async def test_each_line_of_the_books_is_the_ledger_s_and_verify_finds_no_drift(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/overview?range=7d&live=0")
    await loaded(page)
    statement = await api(desk.gateway, f"/api/ledger/statement?{await asked(page, '/api/ledger/statement')}")
    wallets = await api(desk.gateway, "/api/ledger/balance")
    usage = (await api(desk.gateway, f"/api/analytics/explore?{await asked(page, '/api/analytics/explore')}"))["totals"]
    expected = {
        "granted": sum(statement["granted"].values()),
        "used": -statement["used"],
        "closing": statement["closing"],
        "held": wallets["held"],
        "revenue": usage["chargedCredits"],
        "cost": usage["providerCostUsd"],
        "margin": usage["marginCredits"],
    }
    shown = {name: plain(await page.locator(f"[data-line={name}]").inner_text()) for name in expected}
    verified = await prove(desk.gateway.database, since_heads=False, remember=False)

    assert shown == expected
    assert statement["closing"] == wallets["balance"] > wallets["held"] > 0
    assert not verified.drifts
    await page.context.close()


async def test_limits_and_quotas_are_bars_with_the_numbers_of_the_api(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/overview?range=today&live=0&country=DE")
    await loaded(page)
    allowances = await api(desk.gateway, "/api/analytics/allowances?limit=8")
    lines = await page.locator(".allowances li").all_inner_texts()

    assert len(lines) == len(allowances) >= 5
    for line, allowance in zip(lines, allowances, strict=True):
        assert f"{Decimal(allowance['used']).normalize():,f} " in line
        assert f"per {allowance['period']}" in line
    assert await page.get_by_text("Not filtered: the books know wallets").count() == 3
    await page.context.close()


async def test_an_exploration_stands_beside_the_period_before_and_its_file_is_as_it_is_sorted(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/explore?by=model&range=7d&tz=UTC&compare=1")
    await loaded(page)
    await expect(page.locator(".legend")).to_contain_text("Period before")
    found = await api(desk.gateway, f"/api/analytics/explore?{await asked(page, '/api/analytics/explore')}")
    periods = page.get_by_role("region", name="Credits by period")
    column = (await periods.locator("thead th").all_inner_texts()).index("Period before")
    shown = [
        plain((await row.locator("td").all_inner_texts())[column]) for row in await periods.locator("tbody tr").all()
    ]
    assert shown == list(reversed(found["seriesBefore"]))
    await page.get_by_role("region", name="values in this range").get_by_role("button", name="model").click()
    async with page.expect_download() as download:
        await page.get_by_role("button", name="XLSX").first.click()
    openpyxl: Any = import_module("openpyxl")
    sheet = openpyxl.load_workbook(io.BytesIO((await (await download.value).path()).read_bytes()))["rows"]
    rows = list(sheet.iter_rows(min_row=2, values_only=True))

    credits_of = {"(others or none)" if each["isRest"] else each["value"]: each["credits"] for each in found["slices"]}
    assert [row[0] for row in rows] == sorted(credits_of)
    assert {row[0]: Decimal(str(row[6])) for row in rows} == credits_of
    await page.context.close()


async def test_any_table_is_a_file_of_any_form(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/wallets")
    await loaded(page)
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Parquet").first.click()
    pq: Any = import_module("pyarrow.parquet")
    table = pq.read_table(await (await download.value).path())
    assert {"ada", "org:acme"} <= set(table.to_pydict()["Owner"])
    await page.context.close()


async def test_a_quarter_hour_opens_its_uses_and_they_are_those_that_it_counts(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/explore?range=today&unit=hour&of=requests&by=service&service=ai_chat_v1")
    await loaded(page)
    for address in ("unit=quarter-hour", "/dashboard/uses"):
        await loaded(page)
        rows = page.get_by_role("region", name="Requests by period").locator("tbody tr")
        await rows.filter(has_not_text=re.compile("M00Uses$")).first.locator("a").first.click()
        await expect(page).to_have_url(re.compile(address))
    await page.locator("tbody a.mono").first.wait_for()
    keys = await page.locator("tbody a.mono").all_inner_texts()
    query = (await asked(page, "/api/usage")).replace("limit=100", "")
    listed = await api(desk.gateway, f"/api/usage?{query}&limit=100")

    assert keys == [each["usage_key"] for each in listed]
    assert set(keys) & {f"use-{number}" for number in range(9)}
    await page.context.close()


async def test_a_filter_that_cannot_be_used_is_dim_and_says_why(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/explore?range=7d&meter=tokens&of=errors&status=success&country=DE")
    await loaded(page)
    reasons = await page.locator(".chip.dim .why").all_inner_texts()

    assert [reason.strip(" \u2013") for reason in reasons] == [
        "errors never have the status success",
        "meters have quantities, but no credits, requests or tokens",
    ]
    query = await asked(page, "/api/analytics/explore")
    assert "country=DE" in query
    assert not re.search("meter=|status=", query)
    await page.get_by_role("button", name="+ Filter").click()
    await page.get_by_label("Dimension").select_option("meter")
    await expect(page.get_by_role("dialog").get_by_role("status")).to_contain_text("meters have quantities")
    await page.context.close()


async def test_views_go_into_a_file_and_come_back_and_a_wrong_file_is_refused_in_words(desk: Desk) -> None:
    page = await desk.signed_in("/dashboard/explore?by=country&range=7d&compare=1")
    await page.get_by_role("button", name="Saved views").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name of the view").fill("Countries")
    await dialog.get_by_label("Show it to everybody").check()
    await dialog.get_by_role("button", name="Save this view").click()
    await expect(dialog.get_by_role("link", name="Countries")).to_be_visible()
    async with page.expect_download() as download:
        await dialog.get_by_role("button", name="Export as JSON").click()
    content = (await (await download.value).path()).read_bytes()
    await dialog.get_by_role("button", name="Delete: Countries").click()
    await expect(dialog.get_by_role("link", name="Countries")).to_have_count(0)
    picker = dialog.locator("input[type=file]")
    await picker.set_input_files({"name": "v.json", "mimeType": "application/json", "buffer": b'{"a": 1}'})
    await expect(dialog.locator(".problem")).to_contain_text("holds no views")
    await dialog.locator("input[type=file]").set_input_files(
        {"name": "v.json", "mimeType": "application/json", "buffer": content}
    )

    await expect(dialog.get_by_role("link", name="Countries")).to_be_visible()
    view = next(each for each in await api(desk.gateway, "/api/views") if each["name"] == "Countries")
    assert (view["shared"], view["state"]["compare"], view["state"]["by"]) == (True, "1", "country")
    await page.context.close()


async def test_a_viewer_costs_one_stream_and_a_visit_one_entry_in_the_audit_log(desk: Desk) -> None:
    page = await desk.page()
    await page.goto(f"{desk.url}/dashboard/overview?range=today")
    await page.get_by_label("Server API key or token").fill(token("vera", role="analyst"))
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await loaded(page)
    desk.problems.clear()
    calls: list[str] = []
    page.on("request", lambda request: calls.append(request.url))
    before = plain(await page.locator("[data-total=totalRequests]").inner_text())
    event = {"user_id": "bela", "service": "chat", "kind": "request", "status": 200}
    await desk.gateway.post("/api/usage-events", event)
    await expect(page.locator("[data-total=totalRequests]")).to_have_text(f"{before + 1:,}")
    assert calls == [], "what is new comes by the stream"
    await page.goto(f"{desk.url}/dashboard/explore?range=7d")
    await loaded(page)
    entries = await api(desk.gateway, "/api/audit?limit=100")

    reads = [
        each["action"] for each in entries if each["actor_user_id"] == "vera" and each["action"] != "session.sign_in"
    ]
    assert len(reads) == 1, reads
    await page.context.close()


async def test_a_link_signs_in_once_and_leaves_no_secret_in_the_address(desk: Desk) -> None:
    made = (await desk.gateway.post("/api/session/links", {})).data
    url = made["url"].replace("http://gateway", desk.url)
    page, late = await desk.page(), await desk.page()
    await page.goto(url)
    await loaded(page)
    await late.goto(url)

    await expect(page.locator("h1")).to_have_text("Overview")
    assert "#" not in page.url
    await expect(late.get_by_role("alert")).to_contain_text("was used or has expired")
    desk.problems.clear()
    for each in (page, late):
        await each.context.close()


async def test_a_customer_sees_limits_and_downloads_a_statement(desk: Desk) -> None:
    made = (await desk.gateway.post("/api/portal/links", {"user_id": "bela"})).data
    page = await desk.page()
    await page.goto(made["url"].replace("http://gateway", desk.url))
    await loaded(page)
    await expect(page.locator(".allowances")).to_contain_text("of 50")
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Download as PDF").click()
    content = (await (await download.value).path()).read_bytes()

    assert content.startswith(b"%PDF-")
    await page.context.close()


@pytest.mark.parametrize("owner", ["user", "organization"])
async def test_no_link_or_id_of_the_customers_page_leads_to_another(desk: Desk, owner: str) -> None:
    """Follow every link, press every button, and look at every answer that the page gets."""
    others = {"ada", "carla", "emil@example.com", "auth0:58f3", *(["fatou"] if owner == "user" else ["bela"])}
    body = {"user_id": "bela"} if owner == "user" else {"organization_id": "acme"}
    made = (await desk.gateway.post("/api/portal/links", body)).data
    page = await desk.page()
    answers: list[Any] = []
    page.on("response", lambda response: answers.append(response) if "/api/" in response.url else None)
    await page.goto(made["url"].replace("http://gateway", desk.url))
    await loaded(page)
    for _ in range(await page.get_by_role("button", name="Explain").count()):
        await page.get_by_role("button", name="Explain").first.click()
    for option in await page.get_by_label("By").locator("option").all():
        await page.get_by_label("By").select_option(await option.get_attribute("value"))
        await loaded(page)
    links = await page.locator("a[href]").evaluate_all("(all) => all.map((each) => each.href)")
    texts = [await page.locator("main").inner_text(), *[await answer.text() for answer in answers]]

    assert [each for each in links if not each.startswith((page.url.partition("#")[0], "#"))] == []
    assert {re.sub(r"\?.*", "", answer.url.removeprefix(desk.url)).split("/")[2] for answer in answers} == {"portal"}
    assert len(answers) >= 6
    assert [
        (other, text[:80])
        for other in others
        for text in texts
        if re.search(rf'"{re.escape(other)}"|\b{re.escape(other)}\b', text)
    ] == []
    await page.context.close()

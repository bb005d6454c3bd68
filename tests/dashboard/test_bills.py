"""The page of provider bills in a real browser: imports, differences, their rows."""

import re
from urllib.parse import urlencode

from playwright.async_api import expect

from support.browsing import Desk, loaded

CSV = b"Date,Model,In,Out,Total\n2025-11-01,gpt-4o,100,10,0.00035\n2025-11-02,no-such-model,1,1,0.5\n"
QUERY = {
    "source": "csv",
    "provider": "deepseek",
    "map": "time=Date,model=Model,input_tokens=In,output_tokens=Out,cost_usd=Total",
    "file_name": "november.csv",
}


async def test_a_bill_leads_to_its_differences_and_they_to_its_lines(desk: Desk) -> None:
    await desk.gateway.call("POST", f"/api/bills?{urlencode(QUERY)}", CSV, headers={"content-type": "text/csv"})
    page = await desk.signed_in("/dashboard/bills", viewport={"width": 320, "height": 700})
    await page.get_by_role("row", name=re.compile(r"november\.csv")).get_by_role("link", name="deepseek").click()
    await loaded(page)
    row = page.get_by_role("row", name=re.compile("no-such-model"))
    await expect(row).to_contain_text("Unknown model")
    assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    await row.get_by_role("link").click()
    await loaded(page)
    await expect(page.get_by_role("row", name=re.compile("no-such-model"))).to_contain_text("0.5")

    await page.goto(f"{desk.url}/dashboard/bills")
    await loaded(page)
    await page.get_by_role("row", name=re.compile(r"november\.csv")).get_by_role("button", name="Remove").click()
    await page.get_by_role("button", name="Yes, do it").click()
    await expect(page.locator("#said")).to_contain_text("Removed the import")
    assert (await desk.gateway.get("/api/bills")).data == []
    await page.context.close()

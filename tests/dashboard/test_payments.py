"""Buying credits in a real browser: the customers' page, Stripe's page and back; the operators' list of purchases."""

from playwright.async_api import Page, expect
from pydantic import SecretStr

from support.apps import settings_for
from support.browsing import Desk, loaded, open_desk
from support.people import SECRET as JWT_SECRET
from support.servers import address, execute
from support.stripe_events import SECRET
from support.stripe_server import API_KEY, stripe_server

PACKAGES = {"small": {"credits": "10", "usd": "10.00"}, "large": {"credits": "120", "usd": "100.00", "name": "Large"}}


async def portal(shop: Desk, user: str) -> Page:
    made = (await shop.gateway.post("/api/portal/links", {"user_id": user})).data
    page = await shop.page()
    await page.goto(made["url"].replace(made["url"].partition("/portal/")[0], shop.url))
    await loaded(page)
    return page


async def test_a_customer_buys_comes_back_and_turns_on_the_automatic_top_up(
    desk: Desk, server_url: str, template: str
) -> None:
    await execute(server_url, f"create database shop template {template} strategy file_copy")
    with stripe_server() as stripe:
        settings = settings_for(
            address(server_url, "shop"),
            port=0,
            jwt_secret=JWT_SECRET,
            packages=PACKAGES,
            stripe_api_key=SecretStr(API_KEY),
            stripe_webhook_secret=SecretStr(SECRET),
            stripe_api_url=stripe.url,
        )
        async with open_desk(settings, desk.browser) as shop:
            stripe.webhook = f"{shop.url}/api/payments/stripe"
            await shop.gateway.grant("ada", 1)
            page = await portal(shop, "ada")
            await page.get_by_label("Save the payment method").check()
            await page.get_by_role("button", name="Buy 10 credits for 10 USD").click()
            await page.wait_for_url(f"{stripe.url}/pay/*")
            assert "fgp_" not in str(stripe.sessions), "the secret of the link must not go to Stripe"
            await page.get_by_role("button", name="Pay").click()
            await page.wait_for_url(f"{shop.url}/portal/**")
            await expect(page.locator("#main").get_by_text("10 credits were added")).to_be_visible()
            await expect(page.locator("[data-own=balance]")).to_have_text("11")

            await page.get_by_label("When fewer credits are left than").fill("5")
            await page.locator("form.bar select").select_option("large")
            await page.get_by_role("button", name="Turn on").click()
            await expect(
                page.get_by_text("Automatic top-up is on: 120 credits when fewer than 5 are left.")
            ).to_be_visible()
            await page.get_by_role("button", name="Turn off").click()
            await expect(page.get_by_text("Automatic top-up is off.")).to_be_visible()

            operator = await shop.signed_in("/dashboard/payments?status=paid")
            await loaded(operator)
            await operator.get_by_role("button", name="Details").click()
            await expect(operator.get_by_role("dialog")).to_contain_text("payment_intent.succeeded")
            outside = [each for each in shop.problems if not each.startswith(stripe.url)]
            assert outside == []
            for each in (page, operator):
                await each.context.close()
    await execute(server_url, "drop database shop with (force)")

// Purchases through Stripe: list, one with its events, events that wait for their purchase.
import { get } from "./api.js";
import { dialog, empty, facts, fill, h, problem, skeleton } from "./dom.js";
import * as fmt from "./format.js";
import { actions, badge, button, code, column, listing, number, shown, walletLink } from "./listing.js";
import { readable } from "./difference.js";
import { table } from "./tables.js";
import { bring, t } from "./texts.js";
import { payment_texts } from "./texts_payments.en.js";

bring(payment_texts);

const STATUSES = ["", "open", "paid", "failed", "expired", "partly_refunded", "refunded", "disputed"];
const COLOURS = { paid: "good", failed: "bad", disputed: "bad", partly_refunded: "warn", refunded: "warn" };
const status = (row) => badge(COLOURS[row.status] || "", t(`status_${row.status}`));

function eventTable(rows, caption) {
  return table([column("occurred_at", { label: t("time") }), code("type", { label: t("event") }), code("payment_intent", { label: t("payment") }), { key: "facts", label: t("facts"), value: (row) => readable(row.facts), show: (row) => h("code", {}, readable(row.facts)) }], rows, { quiet: true, caption, name: "payment-events" });
}

async function show(row) {
  const { data } = await get(`/api/payments/${encodeURIComponent(row.id)}`);
  const fields = ["owner_id", "package", "credits", "amount_usd", "granted", "taken", "lost", "payment_intent", "failure", "created_at", "paid_at"];
  await dialog(t("purchase"), () => h("div", {}, facts([[t("status"), status(data)], ...fields.map((name) => [name.replaceAll("_", " "), shown(data[name], name)])]), h("h3", {}, t("purchase_events")), eventTable(data.events, t("purchase_events"))));
}

async function waiting() {
  const { data } = await get("/api/payment-events");
  await dialog(t("events_waiting"), () => (data.length ? eventTable(data, t("events_waiting")) : empty(t("events_none"), "faregate payments events")));
}

const shownOr = (work) => async () => {
  try { await work(); } catch (error) { await dialog(t("failed"), () => problem(error)); }
};

export function render(main) {
  fill(main, skeleton(true));
  return listing(main, {
    name: "payments", title: t("page_payments"), address: "/api/payments", empty: "purchases_none", command: "faregate payments list",
    filters: [{ name: "owner", query: "owner_id", label: t("owner") }, { name: "status", label: t("status"), options: STATUSES.map((each) => [each, each ? t(`status_${each}`) : t("any")]) }],
    above: () => [h("button", { onclick: shownOr(waiting) }, t("events_waiting"))],
    columns: () => [column("created_at", { label: t("time"), show: (row) => fmt.time(row.created_at) }), walletLink("owner_id"), column("package", { label: t("packages") }), number("credits", { label: t("credits") }), number("amount_usd", { label: t("price"), show: (row) => t("price_usd", { amount: fmt.exactly(row.amount_usd) }) }), column("status", { label: t("status"), show: status }), number("taken", { label: t("taken") }), number("lost", { label: t("lost") }),
      actions((row) => button(t("details"), shownOr(() => show(row))))],
  });
}

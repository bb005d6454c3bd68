// What settled uses would have cost and brought at other prices, margins or grants.
import { call, exact } from "./api.js";
import { empty, fill, h, problem, skeleton } from "./dom.js";
import * as fmt from "./format.js";
import { evidence, named } from "./insight_card.js";
import { credits, usd } from "./insights_costs.js";
import { column, number } from "./listing.js";
import { filters, question } from "./question.js";
import { params } from "./state.js";
import { table } from "./tables.js";
import { t } from "./texts.js";

export const FIELDS = [
  { name: "w_margin", number: true, text: "margin_percent" }, { name: "w_model", text: "filter_model", placeholder: "gpt-4o" }, { name: "w_input", number: true, text: "field_input_mtok" }, { name: "w_output", number: true, text: "field_output_mtok" },
  { name: "w_plan", text: "plan", placeholder: "basic" }, { name: "w_grant", number: true, text: "monthly_credits" }, { name: "w_credit", number: true, text: "credit_price" },
];

// The proposal that the address holds; null without one.
export function proposal() {
  const given = Object.fromEntries(FIELDS.map(({ name }) => [name, params().get(name)]));
  const price = { ...(given.w_input ? { input_mtok: exact(given.w_input) } : {}), ...(given.w_output ? { output_mtok: exact(given.w_output) } : {}) };
  const found = {
    margins: given.w_margin ? [{ marginPercent: exact(given.w_margin), model: given.w_model || undefined, plan: given.w_plan || undefined }] : undefined,
    prices: given.w_model && Object.keys(price).length ? [{ model: given.w_model, prices: price }] : undefined,
    grants: given.w_plan && given.w_grant ? [{ plan: given.w_plan, monthlyCredits: exact(given.w_grant) }] : undefined,
    creditPriceUsd: given.w_credit ? exact(given.w_credit) : undefined,
  };
  return Object.values(found).some(Boolean) ? found : null;
}

const SIDES = ["credits", "charged", "revenueUsd", "costUsd", "returnUsd"];
const change = (before, after) => fmt.change(after, before);
const amount = (key, value) => (/Usd$/.test(key) ? fmt.usd(value) : fmt.credits(value));

function sides(data) {
  const rows = SIDES.map((key) => ({ key, name: t(`side_${key}`), before: data.before[key], after: data.after[key], change: change(data.before[key], data.after[key]) }));
  return table([column("name", { label: t("amount") }), number("before", { label: t("as_it_was"), show: (row) => amount(row.key, row.before) }), number("after", { label: t("as_proposed"), show: (row) => h("strong", {}, amount(row.key, row.after)) }), number("change", { label: t("change"), show: (row) => fmt.percent(row.change) })], rows, { quiet: true, caption: t("what_if"), name: "what-if" });
}

function parts(title, name, rows, key) {
  const flat = rows.map((row) => ({ [key]: row[key], users: row.users, ...Object.fromEntries(["charged", "costUsd", "returnUsd"].flatMap((each) => [[each, row.before[each]], [`${each}After`, row.after[each]]])) }));
  return rows.length > 0 && named(title, name, table([column(key, { label: t(key === "plan" ? "plan" : "filter_feature"), show: (row) => row[key] ?? t("no_plan") }), credits("charged", "column_chargedCredits"), credits("chargedAfter", "charged_after"), usd("costUsd", "column_providerCostUsd"), usd("costUsdAfter", "cost_after"), usd("returnUsd", "return"), usd("returnUsdAfter", "return_after")], flat, { quiet: true, caption: title, name }));
}

export function shown(data) {
  if (data.enough === false || !data.before) return [h("div", { className: "empty" }, h("p", {}, h("strong", {}, t("not_enough"))), data.evidence.limits.map((each) => h("p", {}, each)))];
  return [h("p", {}, t("what_if_counts", { uses: fmt.integer(data.uses), lines: fmt.integer(data.lines), unpriced: fmt.integer(data.unpricedLines) })), sides(data), parts(t("by_feature"), "what-if-features", data.features, "feature"), parts(t("plan"), "what-if-plans", data.plans, "plan"), evidence(data)];
}

// Fills `place` with the answer to a proposal over the range and filters of the page.
export async function ask(place, proposed, more = {}) {
  if (!proposed) return void fill(place, empty(t("propose")));
  const { startDate, endDate, timezone } = question();
  const { feature, model, userId, organizationId } = filters();
  fill(place, skeleton(true));
  try {
    const { data } = await call("POST", "/api/analytics/what-if", { body: { startDate, endDate, timezone, feature, model, userId, organizationId, ...more, ...proposed } });
    fill(place, shown(data));
  } catch (error) { fill(place, problem(error, () => ask(place, proposed, more))); }
}

// What features, plans and users bring beyond their provider cost, and what the same work could have cost.
import { facts, h } from "./dom.js";
import { choice, chosen } from "./choices.js";
import * as fmt from "./format.js";
import { insightCard, named, none } from "./insight_card.js";
import { person } from "./insights_churn.js";
import { column, long, number } from "./listing.js";
import { link } from "./state.js";
import { table } from "./tables.js";
import { t } from "./texts.js";

const BY = ["feature", "plan", "user"];
export const usd = (key, label) => number(key, { label: t(label), show: (row) => h("span", { className: Number(row[key]) < 0 ? "down" : null }, fmt.usd(row[key])) });
export const credits = (key, label) => number(key, { label: t(label), show: (row) => fmt.credits(row[key]) });

function returns(data) {
  const of = { feature: column("name", { label: t("filter_feature"), show: (row) => row.name && h("a", { href: link("explore", { feature: row.name, by: "user" }) }, row.name) }), plan: column("name", { label: t("plan"), show: (row) => row.name ?? t("no_plan") }), user: person() }[data.by];
  const rows = data.by === "user" ? data.people : data.parts;
  const made = table([of, number("uses", { label: t("uses") }), credits("charged", "column_chargedCredits"), usd("revenueUsd", "revenue"), usd("costUsd", "column_providerCostUsd"), usd("returnUsd", "return"), number("rate", { label: t("return_rate"), show: (row) => fmt.percent(row.rate) }), number("unpriced", { label: t("column_unpriced"), value: (row) => row.unpriced.uses, show: (row) => fmt.integer(row.unpriced.uses) })], rows, { quiet: true, caption: t("returns"), name: `returns-${data.by}` });
  const { total } = data;
  return [total && facts([[t("revenue"), fmt.usd(total.revenueUsd)], [t("column_providerCostUsd"), fmt.usd(total.costUsd)], [t("return"), h("strong", {}, fmt.usd(total.returnUsd))], [t("unpriced_uses"), t("unpriced_known", { uses: fmt.integer(total.unpriced.uses), cost: fmt.usd(total.unpriced.knownCostUsd) })], [t("credit_price"), fmt.usd(data.creditPriceUsd)]]), rows.length ? named(t("lowest_first"), "returns", made) : none(t("no_usage"), "faregate demo")];
}

function savings(data) {
  const made = table([column("kind", { label: t("hint"), show: (row) => t(`saving_${row.kind}`) }), column("feature", { label: t("filter_feature") }), column("model", { label: t("filter_model") }), column("toModel", { label: t("to_model") }), number("lines", { label: t("calls") }), number("tokens", { label: t("of_tokens") }), usd("costUsd", "then_cost"), usd("wouldCostUsd", "would_cost"), usd("savingUsd", "saving"),
    column("rule", { label: t("reason"), value: (row) => `${row.rule}; ${row.assumption}`, show: long((row) => [h("div", {}, row.rule), h("div", { className: "fresh" }, row.assumption)]) })], data.hints, { quiet: true, caption: t("savings"), name: "savings" });
  return data.hints.length ? [h("p", {}, t("savings_summary", { cost: fmt.usd(data.costUsd) })), named(t("savings"), "savings", made)] : none(t("no_savings"));
}

export function cards() {
  const by = chosen("by", BY);
  const select = () => choice(t("by"), "by", by, BY.map((each) => [each, t(`by_${each}`)]));
  return [insightCard({ title: t("returns"), about: t("about_returns"), path: "/api/analytics/returns", query: () => ({ by }), controls: select, show: returns }), insightCard({ title: t("savings"), about: t("about_savings"), path: "/api/analytics/savings", show: savings })];
}

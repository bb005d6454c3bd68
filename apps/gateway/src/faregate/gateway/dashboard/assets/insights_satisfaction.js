// What users say of their uses, by feature, model and price.
import { facts } from "./dom.js";
import { choice, chosen } from "./choices.js";
import * as fmt from "./format.js";
import { insightCard, named } from "./insight_card.js";
import { column, number } from "./listing.js";
import { table } from "./tables.js";
import { t } from "./texts.js";

const BY = ["feature", "model", "price"];
const interval = (low, high, show) => `${show(low)} – ${show(high)}`;
const tags = (row) => row.tags.map((each) => `${each.tag} (${each.users})`).join(", ");
const score = (value) => fmt.estimate("credits", value);

function result(data) {
  const all = data.all;
  const groups = table([column("value", { label: t(`satisfaction_${data.by}`) }), number("score", { label: t("score"), show: (row) => score(row.score) }), column("interval", { label: t("interval95"), value: (row) => interval(row.low, row.high, String), show: (row) => interval(row.low, row.high, score) }), number("unhappy", { label: t("unhappy"), show: (row) => fmt.percent(row.unhappy) }), number("feedback", { label: t("feedback") }), number("users", { label: t("total_uniqueUsers") }), column("tags", { label: t("tags"), value: tags, show: tags })], data.groups, { quiet: true, caption: t("tab_satisfaction"), name: "satisfaction" });
  const correlations = table([column("with", { label: t("correlation_with") }), number("value", { label: t("correlation"), show: (row) => score(row.value) }), column("interval", { label: t("interval95"), value: (row) => interval(row.low, row.high, String), show: (row) => (row.value === null ? "—" : interval(row.low, row.high, score)) }), number("sample", { label: t("evidence_sample") })], data.correlations, { quiet: true, caption: t("correlation"), name: "correlations" });
  return [all && facts([[t("score"), `${score(all.score)} (${interval(all.low, all.high, score)})`], [t("unhappy"), `${fmt.percent(all.unhappy)} (${interval(all.unhappyLow, all.unhappyHigh, fmt.percent)})`], [t("feedback"), fmt.integer(all.feedback)], [t("total_uniqueUsers"), fmt.integer(all.users)]]), named(t("least_first"), "satisfaction", groups), named(t("correlation"), "correlations", correlations)];
}

export function cards() {
  const by = chosen("by", BY);
  return insightCard({ title: t("tab_satisfaction"), about: t("about_satisfaction"), path: "/api/analytics/satisfaction", query: () => ({ by }), controls: () => choice(t("by"), "by", by, BY.map((each) => [each, t(`satisfaction_${each}`)])), show: result });
}

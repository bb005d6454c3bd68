// Cohorts and their retention, and the adoption of features.
import { choice, chosen } from "./choices.js";
import { h } from "./dom.js";
import * as fmt from "./format.js";
import { insightCard, named, none } from "./insight_card.js";
import { column, number } from "./listing.js";
import { link } from "./state.js";
import { table } from "./tables.js";
import { t } from "./texts.js";

const UNITS = ["week", "month"];
const heat = (rate) => h("span", { className: `heat heat${Math.min(5, Math.floor(Number(rate) * 5.999))}` }, fmt.percent(rate));

function cohorts(data) {
  const most = Math.max(0, ...data.cohorts.map((each) => each.retention.length));
  const later = Array.from({ length: most }, (_, at) => ({ key: `p${at}`, label: `${at}`, num: true, value: (row) => row.retention[at] ?? "", show: (row) => (row.retention[at] === undefined ? "" : heat(row.retention[at])) }));
  const made = table([column("period", { label: t("first_use"), show: (row) => fmt.period(row.period, data.unit) }), number("users", { label: t("total_uniqueUsers") }), number("activated", { label: t("activated"), show: (row) => fmt.percent(row.activated) }), ...later], data.cohorts, { caption: t("cohorts_caption", { unit: t(`unit_${data.unit}`) }), name: "cohorts" });
  return data.cohorts.length ? named(t("retention"), "cohorts", made) : none(t("no_usage"), "faregate demo");
}

function adoption(data) {
  const made = table([column("feature", { label: t("filter_feature"), show: (row) => h("a", { href: link("explore", { feature: row.feature, by: "user" }) }, row.feature) }), number("users", { label: t("total_uniqueUsers") }), number("rate", { label: t("adoption_rate"), show: (row) => fmt.percent(row.rate) }), number("rateBefore", { label: t("adoption_before"), show: (row) => fmt.percent(row.rateBefore) }), number("repeated", { label: t("repeated") })], data.features, { quiet: true, caption: t("adoption"), name: "adoption" });
  return [h("p", {}, t("adoption_summary", { users: fmt.integer(data.users), before: fmt.integer(data.usersBefore) })), data.features.length ? made : none(t("no_usage"), "faregate demo")];
}

export function cards() {
  const unit = chosen("unit", UNITS);
  const choose = () => choice(t("unit"), "unit", unit, UNITS.map((each) => [each, t(`unit_${each}`)]));
  return [insightCard({ title: t("tab_cohorts"), about: t("about_cohorts"), path: "/api/analytics/cohorts", query: () => ({ groupBy: unit }), controls: choose, show: cohorts }), insightCard({ title: t("adoption"), about: t("about_adoption"), path: "/api/analytics/adoption", show: adoption })];
}

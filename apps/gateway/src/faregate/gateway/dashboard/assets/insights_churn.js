// Users by the chance that they are gone for good, and why.
import { h } from "./dom.js";
import * as fmt from "./format.js";
import { insightCard, named } from "./insight_card.js";
import { column, long, number } from "./listing.js";
import { link } from "./state.js";
import { table } from "./tables.js";
import { t } from "./texts.js";

export const person = () => column("userId", { label: t("filter_userId"), show: (row) => row.userId && h("a", { href: link(["wallets", row.userId]) }, row.userId) });
export const reasons = () => column("reasons", { label: t("reason"), value: (row) => row.reasons.join("; "), show: long((row) => row.reasons.map((each) => h("div", {}, each))) });

function result(data) {
  const made = table([person(), number("risk", { label: t("risk"), show: (row) => fmt.percent(row.risk) }), reasons(), number("expectedDays", { label: t("expected_days"), show: (row) => fmt.estimate("credits", row.expectedDays) }), number("activeDays", { label: t("active_days") }), column("lastAt", { label: t("last_use") }), number("credits", { label: t("column_credits"), show: (row) => fmt.credits(row.credits) })], data.people, { quiet: true, caption: t("tab_churn"), name: "churn" });
  const check = data.check && h("p", { className: "chart-summary" }, t("churn_check", { users: fmt.integer(data.check.users), expected: fmt.estimate("credits", data.check.expected), came: fmt.integer(data.check.came), ranked: fmt.percent(data.check.ranked) }));
  return [h("p", {}, t("churn_summary", { users: fmt.integer(data.users), gone: fmt.estimate("credits", data.expectedGone) })), check, named(t("risks"), "churn", made)];
}

export const cards = () => insightCard({ title: t("tab_churn"), about: t("about_churn"), path: "/api/analytics/churn", show: result });

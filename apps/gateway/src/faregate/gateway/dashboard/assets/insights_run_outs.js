// When wallets and quotas run out.
import { h } from "./dom.js";
import * as fmt from "./format.js";
import { insightCard, named, none } from "./insight_card.js";
import { column, long, number } from "./listing.js";
import { link } from "./state.js";
import { table } from "./tables.js";
import { t } from "./texts.js";

const between = (row) => (row.earliestAt || row.latestAt ? t("from_to", { from: fmt.day(row.earliestAt), to: row.latestAt ? fmt.day(row.latestAt) : t("later") }) : "—");
const notes = long((row) => row.notes.map((each) => h("div", {}, each)));
const when = () => [column("runsOutAt", { label: t("runs_out"), show: (row) => (row.runsOutAt ? h("strong", {}, fmt.day(row.runsOutAt)) : t("not_in_sight")) }), column("between", { label: t("between"), value: between, show: between }), column("refilledAt", { label: t("refilled"), show: (row) => fmt.day(row.refilledAt) })];
const amount = (key, label) => number(key, { label: t(label), show: (row) => fmt.estimate("credits", row[key]) });

function wallets(rows) {
  return named(t("run_out_wallets"), "run-outs", table([column("userId", { label: t("owner"), show: (row) => row.userId && h("a", { href: link(["wallets", row.userId]) }, row.userId) }), column("plan", { label: t("plan") }), ...when(), amount("balance", "balance"), amount("perWeek", "per_week"),
    column("withoutTopUpsAt", { label: t("without_top_ups"), show: (row) => fmt.day(row.withoutTopUpsAt) }), column("cappedAt", { label: t("capped_at"), show: (row) => fmt.day(row.cappedAt) }), amount("expiring", "expiring"), column("notes", { label: t("field_note"), value: (row) => row.notes.join("; "), show: notes })], rows, { quiet: true, caption: t("run_out_wallets"), name: "run-outs" }));
}

function quotas(rows) {
  return named(t("run_out_quotas"), "quotas", table([column("userId", { label: t("owner"), show: (row) => row.userId || t("everybody") }), column("meter"), column("period", { label: t("period"), show: (row) => t(`period_${row.period}`) }), number("used"), number("limit"), ...when(), column("notes", { label: t("field_note"), value: (row) => row.notes.join("; "), show: notes })], rows, { quiet: true, caption: t("run_out_quotas"), name: "quotas" }));
}

function result(data) {
  const own = data.people.filter((row) => row.about === "quota");
  const found = [...data.quotas, ...own];
  const rest = data.people.filter((row) => row.about !== "quota");
  return [rest.length ? wallets(rest) : none(t("no_run_outs")), found.length ? quotas(found) : null, data.tooShort ? h("p", { className: "chart-summary" }, t("too_short", { count: fmt.integer(data.tooShort) })) : null];
}

export const cards = () => insightCard({ title: t("tab_run-outs"), about: t("about_run_outs"), path: "/api/analytics/run-outs", filtered: false, show: result });

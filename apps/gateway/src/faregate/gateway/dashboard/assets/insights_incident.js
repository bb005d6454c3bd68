// One span of time: what changed in it, whom it hit, what it cost, and the credits to give back.
import { confirmed } from "./confirm.js";
import { facts, h } from "./dom.js";
import * as fmt from "./format.js";
import { insightCard, named, none } from "./insight_card.js";
import { person } from "./insights_churn.js";
import { button, column, filterBar, number } from "./listing.js";
import { params } from "./state.js";
import { table } from "./tables.js";
import { t } from "./texts.js";

const SPANS = ["weekBefore", "before", "during", "after"];
const ROWS = { requests: fmt.integer, errors: fmt.integer, errorRate: fmt.percent, averageLatencyMs: fmt.ms, p95Ms: fmt.ms, users: fmt.integer, tokens: fmt.integer, credits: fmt.credits, costUsd: fmt.usd };

function spans(found) {
  const rows = Object.keys(ROWS).map((key) => ({ key, name: t(`incident_${key}`), ...Object.fromEntries(SPANS.map((span) => [span, found[span]?.[key] ?? null])) }));
  return named(t("spans"), "incident", table([column("name", { label: t("measure") }), ...SPANS.map((span) => number(span, { label: t(`span_${span}`), show: (row) => ROWS[row.key](row[span]) }))], rows, { quiet: true, caption: t("spans"), name: "incident" }));
}

function changes(rows) {
  const of = (span, key) => (row) => row[span]?.[key] ?? null;
  const shown = (span, key) => ({ key: `${span}${key}`, label: `${t(`incident_${key}`)}, ${t(`span_${span}`)}`, num: true, value: of(span, key), show: (row) => ROWS[key](of(span, key)(row)) });
  return rows.length > 0 && named(t("what_changed"), "incident-changes", table([column("dimension", { label: t("dimension") }), column("value", { label: t("value") }), ...["requests", "errorRate", "averageLatencyMs", "credits"].flatMap((key) => [shown("before", key), shown("during", key)])], rows, { quiet: true, caption: t("what_changed"), name: "incident-changes" }));
}

function giveBack(data, load) {
  return confirmed({
    title: t("give_back"), method: "POST", path: `/api/analytics/incidents/${data.id}/refunds`, note: t("give_back_note", { uses: fmt.integer(data.giveBack.uses), credits: fmt.credits(data.giveBack.credits), users: fmt.integer(data.giveBack.users) }), fields: [{ name: "reason", label: t("reason"), required: true, value: t("give_back_reason") }],
    preview: (answer) => facts([[t("uses"), fmt.integer(answer.refunded)], [t("credits"), h("strong", {}, fmt.credits(answer.credits))], [t("skipped"), fmt.integer(answer.skipped)], answer.next && [t("rest_from"), fmt.integer(answer.next)]]),
    said: (answer) => t("said_given_back", { uses: fmt.integer(answer.refunded), credits: fmt.credits(answer.credits) }), done: load,
  });
}

function result(may) {
  return (data, load) => {
    const people = table([person(), number("failed", { label: t("failed_requests") }), number("giveBack", { label: t("to_give_back"), show: (row) => fmt.credits(row.giveBack) }), number("uses", { label: t("uses"), value: (row) => row.uses.length, show: (row) => fmt.integer(row.uses.length) })], data.people, { quiet: true, caption: t("hit"), name: "incident-users" });
    return [h("ul", {}, data.sentences.map((each) => h("li", {}, each))), spans(data.spans), changes(data.changes),
      facts([[t("failed_requests"), fmt.integer(data.cost.failedRequests)], [t("failed_cost"), fmt.usd(data.cost.failedCostUsd)], [t("missing_credits"), data.cost.missingCredits === null ? "—" : fmt.estimate("credits", data.cost.missingCredits)], [t("to_give_back"), t("give_back_sum", { credits: fmt.credits(data.giveBack.credits), uses: fmt.integer(data.giveBack.uses), users: fmt.integer(data.giveBack.users) })]]),
      may("wallets:write") && data.giveBack.uses > 0 && h("div", { className: "actions" }, button(t("give_back"), () => giveBack(data, load))), data.people.length ? named(t("hit"), "incident-users", people) : none(t("nobody_hit"))];
  };
}

export function incident({ may }) {
  const [start, end] = [params().get("i_from"), params().get("i_to")];
  const rule = params().get("i_rule") || "failed";
  const form = filterBar([{ name: "i_from", label: t("from"), moment: true, required: true }, { name: "i_to", label: t("to"), moment: true, required: true }, { name: "i_rule", label: t("to_give_back"), value: rule, options: ["failed", "slow", "all"].map((each) => [each, t(`rule_${each}`)]) }, { name: "i_ms", label: t("threshold_ms"), number: true }], t("compare"));
  if (!start || !end) return h("section", { className: "card" }, h("h2", {}, t("incident")), h("p", { className: "chart-summary" }, t("about_incident")), form);
  const query = () => ({ startDate: start, endDate: end, giveBack: rule, slowerThanMs: rule === "slow" ? params().get("i_ms") : null });
  return [form, insightCard({ title: t("incident"), about: t("about_incident"), path: "/api/analytics/incident", query, show: result(may) })];
}

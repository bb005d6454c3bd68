// Budgets: what was used of them, how fast, and what the whole period is expected to use.
import { exact, get } from "./api.js";
import { confirmed, difference } from "./confirm.js";
import { empty, fill, h, problem, skeleton } from "./dom.js";
import { words } from "./forms.js";
import * as fmt from "./format.js";
import { evidence } from "./insight_card.js";
import { actions, badge, button, column, long, number } from "./listing.js";
import { saveButton, table } from "./tables.js";
import { t } from "./texts.js";

const SCOPES = ["business", "feature", "model", "organization"];
const PERIODS = ["day", "week", "month", "quarter", "year"];
const at = (name) => `/api/budgets/${encodeURIComponent(name)}`;
const guess = (row, value) => fmt.estimate(row.unit === "cost_usd" ? "cost" : "credits", value);
const amount = (row, value) => (row.unit === "cost_usd" ? fmt.usd(value) : fmt.credits(value));
const about = (row) => (row.scope === "business" ? t("budget_business") : `${t(`budget_${row.scope}`)} ${row.value}`);
const declared = (row) => row && Object.fromEntries(["name", "scope", "value", "unit", "amount", "period", "timezone", "thresholds", "emails", "active"].map((key) => [key, row[key]]));

function edit(row, done) {
  return confirmed({
    title: row ? `${t("edit")} ${row.name}` : t("make_budget"), method: "PUT", path: (values) => at(row ? row.name : values.name),
    fields: [...(row ? [] : [{ name: "name", label: t("name"), required: true, placeholder: "chat-month" }]), { name: "scope", label: t("about"), value: row?.scope, options: SCOPES.map((each) => [each, t(`budget_${each}`)]) }, { name: "value", label: t("budget_value"), value: row?.value, hint: t("budget_value_hint") }, { name: "unit", label: t("unit"), value: row?.unit, options: [["credits", t("credits")], ["cost_usd", t("usd_cost")]] },
      { name: "amount", label: t("amount"), number: true, required: true, value: row && String(row.amount) }, { name: "period", label: t("period"), value: row?.period || "month", options: PERIODS.map((each) => [each, t(`period_${each}`)]) }, { name: "timezone", label: t("zone_of_quota"), value: row?.timezone || "UTC" }, { name: "emails", label: t("field_emails"), value: row?.emails.join(", "), hint: t("emails_hint") }],
    body: (values) => ({ scope: values.scope, value: values.value || null, unit: values.unit, amount: exact(values.amount), period: values.period, timezone: values.timezone, emails: words(values.emails), thresholds: row?.thresholds ?? undefined }),
    preview: (answer) => difference(declared(row), declared(answer)), said: (answer) => t("said_saved", { name: answer.name }), done,
  });
}

function used(row) {
  const bar = h("span", { className: "meter" });
  bar.style.width = `${Math.min(100, Number(row.percent || 0))}%`;
  return [h("div", {}, `${amount(row, row.used)} / ${amount(row, row.amount)} `, row.level && badge(row.level === "warning" ? "warn" : "bad", row.level)), bar, h("div", { className: "fresh" }, t("quota_period", { from: fmt.day(row.period_start), to: fmt.day(row.period_end) }))];
}

function outlook(row) {
  if (!row.outlook) return h("div", {}, t("not_enough"), evidence(row));
  const { expected, low, high, runs_out_at: empty_at } = row.outlook;
  return [h("div", {}, t("budget_outlook", { expected: guess(row, expected), low: guess(row, low), high: guess(row, high) })), empty_at && h("div", { className: "down" }, t("quota_runs_out", { time: fmt.time(empty_at) })), evidence(row)];
}

export function cards({ may }) {
  const writes = may("quotas:write");
  const place = h("section", { className: "card" }, skeleton(true));
  const remove = (row) => confirmed({ title: `${t("delete")} ${row.name}`, danger: true, method: "DELETE", path: at(row.name), preview: () => difference(declared(row), null), said: () => t("said_deleted", { name: row.name }), done: load });
  async function load() {
    try {
      const { data } = await get("/api/budgets");
      const made = table([column("name"), column("scope", { label: t("about"), value: about, show: about }), column("used", { show: used }), number("burn", { label: t("burn"), show: (row) => (row.burn === null ? "—" : fmt.estimate("credits", row.burn)) }), column("outlook", { label: t("expected"), value: (row) => row.outlook?.expected, show: long(outlook) }), actions((row) => writes && button(t("edit"), () => edit(row, load)), (row) => writes && button(t("delete"), () => remove(row), "danger"))], data, { quiet: true, caption: t("tab_budgets"), name: "budgets" });
      fill(place, h("div", { className: "head" }, h("h2", {}, t("tab_budgets")), h("span", { className: "fill" }), writes && button(t("make_budget"), () => edit(null, load)), saveButton(made)), h("p", { className: "chart-summary" }, t("about_budgets")), data.length ? made : empty(t("no_budgets"), `curl -X PUT …${at("chat-month")} -d '{"amount": 10000}'`));
    } catch (error) { fill(place, problem(error, load)); }
  }
  load();
  return place;
}

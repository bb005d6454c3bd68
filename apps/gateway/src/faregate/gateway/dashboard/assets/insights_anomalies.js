// Unusual hours, with their reasons, the events behind them, and what people said of them.
import { address, get } from "./api.js";
import { confirmed, outcome } from "./confirm.js";
import { dialog, empty, facts, fill, h, problem, skeleton } from "./dom.js";
import * as fmt from "./format.js";
import { rowsTable } from "./insight_card.js";
import { actions, badge, button, column, filterBar, long, number } from "./listing.js";
import { link, params } from "./state.js";
import { saveButton, table } from "./tables.js";
import { t } from "./texts.js";

const SHOWN = { spend: (value) => fmt.estimate("credits", value), cost: fmt.usd, error_rate: fmt.percent, latency: fmt.ms, tokens_per_request: fmt.integer };
const amount = (key) => number(key, { label: t(`anomaly_${key}`), show: (row) => SHOWN[row.measure](row[key]) });
const about = (row) => (row.scope === "total" ? t("scope_total") : `${t(`scope_${row.scope}`)} ${row.userId ?? row.value ?? ""}`);

function why(row) {
  return dialog(t("reason"), () => h("div", {}, h("p", {}, row.sentence), h("h3", {}, t("factors")), facts(Object.entries(row.factors).map(([name, value]) => [name.replaceAll("_", " "), `× ${fmt.estimate("credits", value)}`])), row.parts.length ? rowsTable("parts", row.parts) : null,
    h("div", { className: "actions" }, h("a", { className: "button", href: behind(row) }, t("open_explore")), h("a", { className: "button", download: true, href: address("/api/analytics/export", { ...row.rows, format: "csv" }) }, t("export_events", { format: "CSV" })))));
}

// The quarter-hours of the hour, and of what it is about.
function behind(row) {
  const { startDate, endDate, timezone, ...own } = row.rows;
  return link("explore", { ...own, tz: timezone, range: "custom", from: startDate ?? row.start, to: endDate ?? row.end, unit: "quarter-hour" }, { keep: false });
}

function judge(row, verdict, done) {
  return confirmed({ title: t(`verdict_${verdict}`), method: "POST", path: `/api/analytics/anomalies/${row.id}/verdict`, body: () => ({ verdict }), note: t(`verdict_note_${verdict}`), preview: ({ sentence, verdict: now }) => outcome({ sentence, verdict: t(`verdict_${now}`) }), said: () => t("said_verdict"), done });
}

const verdict = (row) => (row.verdict ? badge(row.verdict === "confirmed" ? "bad" : "good", t(`verdict_${row.verdict}`)) : badge("warn", t("unjudged")));

function columns(may, load) {
  return [column("start", { label: t("time"), show: (row) => h("a", { href: behind(row) }, fmt.time(row.start)) }), column("scope", { label: t("about"), value: about, show: about }), column("measure", { label: t("measure"), show: (row) => t(`measure_${row.measure}`) }), amount("actual"), amount("expected"), column("sentence", { label: t("reason"), show: long((row) => row.sentence) }),
    column("verdict", { label: t("verdict"), show: verdict }), column("deliveries", { value: (row) => Object.keys(row.deliveries).join(" "), show: (row) => Object.entries(row.deliveries).map(([name, state]) => h("div", {}, `${name}: ${state}`)) }),
    actions((row) => button(t("why"), () => why(row)), (row) => may("quotas:write") && row.verdict !== "not_an_anomaly" && button(t("verdict_not_an_anomaly"), () => judge(row, "not_an_anomaly", load)), (row) => may("quotas:write") && row.verdict !== "confirmed" && button(t("verdict_confirmed"), () => judge(row, "confirmed", load)))];
}

export function cards({ may }) {
  const place = h("section", { className: "card" }, skeleton(true));
  const asked = { scope: params().get("scope"), measure: params().get("measure"), unjudged: params().get("unjudged") };
  const load = async (rows = [], cursor = null) => {
    try {
      const { data, meta } = await get("/api/analytics/anomalies", { ...asked, cursor, limit: 100 });
      const all = [...rows, ...data];
      const made = table(columns(may, () => load()), all, { quiet: true, caption: t("tab_anomalies"), name: "anomalies" });
      fill(place, h("div", { className: "head" }, h("h2", {}, t("tab_anomalies")), h("span", { className: "fill" }), saveButton(made)), h("p", { className: "chart-summary" }, t("about_anomalies")), all.length ? made : empty(t("no_anomalies"), "faregate insights make"), meta.next_cursor && h("button", { onclick: () => load(all, meta.next_cursor) }, t("more")));
    } catch (error) { fill(place, problem(error, () => load(rows, cursor))); }
  };
  load();
  return [filterBar([{ name: "scope", label: t("about"), options: [["", t("any")], ...["total", "model", "feature", "user"].map((each) => [each, t(`scope_${each}`)])] }, { name: "measure", label: t("measure"), options: [["", t("any")], ...Object.keys(SHOWN).map((each) => [each, t(`measure_${each}`)])] }, { name: "unjudged", label: t("verdict"), options: [["", t("any")], ["true", t("unjudged")]] }]), place];
}

// Service-level objectives: the error budget, how fast it burns, alerts.
import { exact, get } from "./api.js";
import { confirmed, difference } from "./confirm.js";
import { empty, fill, h, problem, skeleton } from "./dom.js";
import * as fmt from "./format.js";
import { evidence } from "./insight_card.js";
import { actions, badge, button, column, long, number } from "./listing.js";
import { saveButton, table } from "./tables.js";
import { t } from "./texts.js";

const SCOPES = ["total", "service", "feature", "model"];
const at = (name) => `/api/objectives/${encodeURIComponent(name)}`;
const about = (row) => (row.scope === "total" ? t("scope_total") : `${t(`scope_${row.scope}`)} ${row.value}`);
const aim = (row) => (row.indicator === "latency" ? t("aim_latency", { percent: fmt.exactly(row.targetPercent), ms: fmt.ms(row.thresholdMs), days: fmt.integer(row.windowDays) }) : t("aim_availability", { percent: fmt.exactly(row.targetPercent), days: fmt.integer(row.windowDays) }));
const declared = (row) => row && Object.fromEntries(["name", "indicator", "targetPercent", "scope", "value", "thresholdMs", "windowDays", "active"].map((key) => [key, row[key]]));
const rate = (value) => fmt.estimate("credits", value);

function edit(row, done) {
  return confirmed({
    title: row ? `${t("edit")} ${row.name}` : t("make_objective"), method: "PUT", path: (values) => at(row ? row.name : values.name),
    fields: [...(row ? [] : [{ name: "name", label: t("name"), required: true, placeholder: "chat-works" }]), { name: "indicator", label: t("measure"), value: row?.indicator, options: ["availability", "latency"].map((each) => [each, t(`indicator_${each}`)]) }, { name: "targetPercent", label: t("target_percent"), number: true, required: true, value: row ? String(row.targetPercent) : "99.9" },
      { name: "scope", label: t("about"), value: row?.scope, options: SCOPES.map((each) => [each, t(`scope_${each}`)]) }, { name: "value", label: t("budget_value"), value: row?.value, hint: t("objective_value_hint") }, { name: "thresholdMs", label: t("threshold_ms"), number: true, value: row?.thresholdMs ? String(row.thresholdMs) : "", hint: t("threshold_ms_hint") }, { name: "windowDays", label: t("window_days"), number: true, value: row ? String(row.windowDays) : "30" }],
    body: (values) => ({ indicator: values.indicator, targetPercent: exact(values.targetPercent), scope: values.scope, value: values.value || null, thresholdMs: values.thresholdMs ? exact(values.thresholdMs) : null, windowDays: values.windowDays ? exact(values.windowDays) : undefined }),
    preview: (answer) => difference(declared(row), declared(answer)), said: (answer) => t("said_saved", { name: answer.name }), done,
  });
}

function left(row) {
  if (!row.enough) return [h("div", {}, t("not_enough")), evidence(row)];
  const bar = h("span", { className: "meter" });
  bar.style.width = `${Math.min(100, 100 * Number(row.used))}%`;
  return [h("div", {}, t("budget_used", { used: fmt.percent(row.used), bad: fmt.integer(row.bad), allowed: rate(row.allowed) }), " ", Number(row.used) > 1 && badge("bad", t("missed"))), bar, row.lastsDays !== null && h("div", { className: "down" }, t("lasts_days", { days: rate(row.lastsDays) })), evidence(row)];
}

const burns = (row) => row.burns.map((each) => h("div", {}, `${each.rule}: ${rate(each.rate)} / ${rate(each.threshold)} `, each.fires && badge("bad", each.level)));
const alerts = (row) => row.alerts.slice(0, 3).map((each) => h("div", {}, badge(each.endedAt ? "" : "bad", each.level), ` ${fmt.time(each.firedAt)} – ${each.endedAt ? fmt.time(each.endedAt) : t("still")}`));

export function objectives({ may }) {
  const writes = may("quotas:write");
  const place = h("section", { className: "card" }, skeleton(true));
  const remove = (row) => confirmed({ title: `${t("delete")} ${row.name}`, danger: true, method: "DELETE", path: at(row.name), preview: () => difference(declared(row), null), said: () => t("said_deleted", { name: row.name }), done: load });
  async function load() {
    try {
      const { data } = await get("/api/objectives");
      const made = table([column("name"), column("about", { label: t("about"), value: about, show: about }), column("aim", { label: t("aim"), value: aim, show: (row) => h("div", { className: "aim" }, aim(row)) }), number("goodPercent", { label: t("good_percent") }), column("used", { label: t("error_budget"), value: (row) => row.used, show: long(left) }), column("burns", { label: t("burn_rates"), value: (row) => row.burns.map((each) => `${each.rule} ${each.rate}`).join("; "), show: burns }), column("alerts", { label: t("page_alerts"), value: (row) => row.alerts.length, show: alerts }), actions((row) => writes && button(t("edit"), () => edit(row, load)), (row) => writes && button(t("delete"), () => remove(row), "danger"))], data, { quiet: true, caption: t("objectives"), name: "objectives" });
      fill(place, h("div", { className: "head" }, h("h2", {}, t("objectives")), h("span", { className: "fill" }), writes && button(t("make_objective"), () => edit(null, load)), saveButton(made)), h("p", { className: "chart-summary" }, t("about_objectives")), data.length ? made : empty(t("no_objectives"), `curl -X PUT …${at("chat-works")} -d '{"indicator": "availability", "targetPercent": 99.9}'`));
    } catch (error) { fill(place, h("h2", {}, t("objectives")), problem(error, load)); }
  }
  load();
  return place;
}

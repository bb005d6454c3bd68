// Segments by recency, frequency and money, and segments that are declared.
import { exact, get } from "./api.js";
import { confirmed, difference } from "./confirm.js";
import { empty, fill, h, problem, skeleton } from "./dom.js";
import * as fmt from "./format.js";
import { insightCard, named } from "./insight_card.js";
import { person } from "./insights_churn.js";
import { actions, button, column, number } from "./listing.js";
import { table } from "./tables.js";
import { t } from "./texts.js";

const FIELDS = ["credits", "charged", "cost_usd", "requests", "tokens", "active_days", "days_since_last", "days_since_first", "error_rate", "recent_credits", "recent_requests", "recent_error_rate"];
const SIGNS = [">=", ">", "<=", "<", "="];
const credits = () => number("credits", { label: t("column_credits"), show: (row) => fmt.credits(row.credits) });
const users = () => number("users", { label: t("total_uniqueUsers") });

function result(data) {
  const segments = table([column("segment", { label: t("segment") }), users(), credits()], data.segments, { quiet: true, caption: t("tab_segments"), name: "segments" });
  const people = table([person(), column("segment", { label: t("segment") }), number("recency", { label: t("recency") }), number("frequency", { label: t("frequency") }), number("money", { label: t("money") }), credits(), column("lastAt", { label: t("last_use") }), column("declared", { label: t("declared") })], data.people, { quiet: true, caption: t("people"), name: "people" });
  const declared = data.declared.length > 0 && named(t("declared"), "declared", table([column("name"), users()], data.declared, { quiet: true, caption: t("declared"), name: "declared" }));
  return [named(t("tab_segments"), "segments", segments), declared, named(t("people"), "people", people)];
}

const condition = (each) => `${each.field} ${each.op} ${each.value}`;

function declare(known, done) {
  return confirmed({
    title: t("declare_segment"), method: "PUT", path: (values) => `/api/analytics/segments/rules/${encodeURIComponent(values.name)}`, note: t("segment_note"),
    fields: [{ name: "name", label: t("name"), required: true, placeholder: "vip" }, { name: "conditions", label: t("conditions"), rows: 3, required: true, value: "credits >= 100\ndays_since_last <= 14", hint: t("conditions_hint", { fields: FIELDS.join(", ") }) }],
    body: (values) => ({ conditions: values.conditions.split("\n").filter((line) => line.trim()).map(parsed) }), preview: (answer) => difference(known.find((rule) => rule.name === answer.name), answer), said: (answer) => t("said_saved", { name: answer.name }), done,
  });
}

function parsed(line) {
  const [, field, op, value] = /^\s*(\w+)\s*(>=|<=|>|<|=)\s*(\d+(?:\.\d+)?)\s*$/.exec(line) || [];
  if (!field) throw new Error(t("not_a_condition", { line: line.trim(), signs: SIGNS.join(" ") }));
  return { field, op, value: exact(value) };
}

function rules({ may }) {
  const writes = may("quotas:write");
  const place = h("section", { className: "card" }, skeleton());
  const load = async () => {
    try {
      const { data } = await get("/api/analytics/segments/rules");
      const remove = (row) => confirmed({ title: `${t("delete")} ${row.name}`, danger: true, method: "DELETE", path: `/api/analytics/segments/rules/${encodeURIComponent(row.name)}`, preview: () => difference(row, null), said: () => t("said_deleted", { name: row.name }), done: load });
      const made = table([column("name"), column("conditions", { label: t("conditions"), value: (row) => row.conditions.map(condition).join("; "), show: (row) => row.conditions.map((each) => h("div", {}, h("code", {}, condition(each)))) }), actions((row) => writes && button(t("delete"), () => remove(row), "danger"))], data, { quiet: true, caption: t("declared"), name: "rules" });
      fill(place, h("div", { className: "head" }, h("h2", {}, t("declared_segments")), h("span", { className: "fill" }), writes && button(t("declare_segment"), () => declare(data, load))), data.length ? made : empty(t("no_segments"), "faregate insights segment set vip 'credits>=100' 'days_since_last<=14'"));
    } catch (error) { fill(place, problem(error, load)); }
  };
  load();
  return place;
}

export const cards = (context) => [insightCard({ title: t("tab_segments"), about: t("about_segments"), path: "/api/analytics/segments", show: result }), rules(context)];

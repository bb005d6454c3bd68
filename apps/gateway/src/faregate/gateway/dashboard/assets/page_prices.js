// Prices: overrides with dates, the price in force of a model, and what the past would have cost at another price.
import { call, exact, get } from "./api.js";
import { empty, facts, fill, h, problem, skeleton } from "./dom.js";
import { confirmed, difference } from "./confirm.js";
import * as fmt from "./format.js";
import { bar, question } from "./question.js";
import { change, params } from "./state.js";
import { saveButton, table } from "./tables.js";
import { t } from "./texts.js";

export async function render(main, { may }) {
  const model = params().get("priced") || "";
  const [overrides, inForce, whatIf] = [0, 1, 2].map(() => h("section", { className: "card" }, skeleton()));
  const name = h("input", { value: model, placeholder: "gpt-4o" });
  const load = async () => {
    try {
      const { data } = await get("/api/prices");
      const keys = [...new Set(data.flatMap((row) => Object.keys(row)))].filter((key) => data.some((row) => row[key] !== null && typeof row[key] !== "object"));
      const made = table(keys.map((key) => ({ key, label: key.replaceAll("_", " "), show: (row) => (/_at$|from$|until$/.test(key) ? fmt.time(row[key]) : String(row[key] ?? "—")) })), data, { quiet: true, caption: t("overrides"), name: "prices" });
      fill(overrides, h("div", { className: "head" }, h("h2", {}, t("overrides")), h("span", { className: "fill" }), saveButton(made)), data.length ? made : empty(t("no_overrides"), "faregate prices set my-model --input-mtok 1 --output-mtok 2"));
    } catch (error) { fill(overrides, problem(error, load)); }
  };
  const showModel = async () => {
    if (!model) return void fill(inForce, empty(t("choose_model")));
    try {
      const { data } = await get(`/api/prices/${model.split("/").map(encodeURIComponent).join("/")}`);
      fill(inForce, h("div", { className: "head" }, h("h2", {}, t("in_force", { model })), h("span", { className: "fill" }), may("prices:write") && h("button", { onclick: () => override(data) }, t("override"))), h("pre", { tabindex: "0" }, JSON.stringify(data, null, 2).replace(/"(-?\d+\.\d+)"/g, "$1")));
    } catch (error) { fill(inForce, h("h2", {}, t("in_force", { model })), problem(error, showModel), may("prices:write") && h("button", { onclick: () => override(null) }, t("override"))); }
  };
  const override = (before) => confirmed({ title: `${t("override")} ${model}`, method: "PUT", path: `/api/prices/${model.split("/").map(encodeURIComponent).join("/")}`, fields: [{ name: "document", label: "JSON", rows: 10, required: true, value: JSON.stringify({ prices: { input_mtok: 1, output_mtok: 2 }, note: "" }, null, 2) }], body: (values) => { JSON.parse(values.document); return values.document; }, preview: (answer) => difference(before, answer), done: () => { load(); showModel(); } });
  // Last month's tokens of the model, at the price in force now, beside what they cost then.
  const compare = async () => {
    if (!model) return void fill(whatIf, empty(t("choose_model")));
    try {
      const { data } = await get("/api/analytics/explore", { ...question(), model, by: "model", groupBy: "month", top: 1 });
      const used = data.slices.find((each) => each.value);
      if (!used) return void fill(whatIf, h("h2", {}, t("what_if")), empty(t("no_usage")));
      const { data: now } = await call("POST", "/api/prices/quote", { body: { ai_model: model, input_tokens: exact(Math.min(used.inputTokens, 1e9)), output_tokens: exact(Math.min(used.outputTokens, 1e9)) } });
      fill(whatIf, h("h2", {}, t("what_if")), h("p", { className: "chart-summary" }, t("what_if_note", { from: fmt.time(data.range.start), to: fmt.time(data.range.end) })),
        facts([[t("column_inputTokens"), fmt.integer(used.inputTokens)], [t("column_outputTokens"), fmt.integer(used.outputTokens)], [t("then_cost"), `${fmt.usd(used.providerCostUsd)} · ${fmt.credits(used.credits)} ${t("credits")}`], [t("now_cost"), `${fmt.usd(now.provider_cost_usd)} · ${fmt.credits(now.credits)} ${t("credits")}`], [t("price_version"), now.price_version]]));
    } catch (error) { fill(whatIf, h("h2", {}, t("what_if")), problem(error, compare)); }
  };
  fill(main, h("div", { className: "head" }, h("h1", {}, t("page_prices"))), h("form", { className: "bar", role: "search", onsubmit: (event) => { event.preventDefault(); change({ priced: name.value.trim() }); } }, h("label", {}, t("by_model"), name), h("button", {}, t("show"))), inForce, bar(), whatIf, overrides);
  await Promise.all([load(), showModel(), compare()]);
}

// Prices: the price in force of a model, overrides with dates, and what the past would have cost.
import { exact, get } from "./api.js";
import { confirmed, difference, readable } from "./confirm.js";
import { empty, facts, fill, h, problem, skeleton } from "./dom.js";
import { jsonText, numberOrNull, orNothing } from "./forms.js";
import * as fmt from "./format.js";
import { badge, column, fieldLabel, filterBar, number } from "./listing.js";
import { priceWhatIf } from "./price_what_if.js";
import { bar } from "./question.js";
import { change, link, params } from "./state.js";
import { saveButton, table } from "./tables.js";
import { t } from "./texts.js";

const at = (model) => `/api/prices/${model.split("/").map(encodeURIComponent).join("/")}`;
const priceText = (value) => (typeof value === "object" ? [fmt.usd(value.base), ...value.tiers.map((tier) => t("price_tier", { start: fmt.integer(tier.start), price: fmt.usd(tier.price) }))].join(", ") : fmt.usd(value));
const pricesOf = (prices) => Object.entries(prices || {}).map(([name, value]) => h("div", {}, `${fieldLabel(name)}: ${priceText(value)}`));

function state(row) {
  const now = new Date();
  if (row.withdrawn_at) return "withdrawn";
  if (new Date(row.effective_from) > now) return "later";
  return row.effective_to && new Date(row.effective_to) <= now ? "over" : "in_force";
}

const OVERRIDES = () => [number("number", { label: t("version") }), column("model", { show: (row) => h("a", { href: link("prices", { priced: row.model }) }, row.model) }), column("provider"), column("service_tier"), column("state", { value: state, show: (row) => badge({ in_force: "good", later: "warn" }[state(row)] || "", t(`price_${state(row)}`)) }),
  column("prices", { show: (row) => pricesOf(row.prices) }), column("effective_from", { label: t("effective_at") }), column("effective_to", { label: t("until") }), column("note"), column("actor", { label: t("field_created_by") })];

function override(model, before, done) {
  return confirmed({
    title: `${t("override")} ${model}`, method: "PUT", path: at(model),
    fields: [{ name: "prices", label: t("prices_json"), rows: 7, required: true, value: before ? readable(before.prices) : '{\n  "input_mtok": 1,\n  "output_mtok": 2\n}', hint: t("prices_hint") }, { name: "effective_from", label: t("effective_at"), moment: true, hint: t("now_hint") }, { name: "effective_to", label: t("until"), moment: true },
      { name: "provider", label: t("filter_provider"), value: before?.provider || "" }, { name: "service_tier", label: t("field_service_tier") }, { name: "margin_percent", label: t("margin_percent"), number: true, hint: t("margin_hint") }, { name: "note", label: t("field_note") }],
    body: (values) => ({ prices: exact(jsonText(values.prices)), effective_from: orNothing(values.effective_from), effective_to: orNothing(values.effective_to), provider: orNothing(values.provider), service_tier: orNothing(values.service_tier), margin_percent: values.margin_percent === "" ? undefined : numberOrNull(values.margin_percent), note: orNothing(values.note) }),
    preview: (answer) => difference(before, answer), said: () => t("said_price", { model }), done,
  });
}

export async function render(main, { may }) {
  const model = params().get("priced") || "";
  const [inForce, whatIf, overrides] = [0, 1, 2].map(() => h("section", { className: "card" }, skeleton(true)));
  const asks = may("analytics:read");
  const load = async () => {
    try {
      const { data } = await get("/api/prices", { limit: 1000 });
      const made = table(OVERRIDES(), data, { quiet: true, caption: t("overrides"), name: "prices" });
      fill(overrides, h("div", { className: "head" }, h("h2", {}, t("overrides")), h("span", { className: "fill" }), saveButton(made)), data.length ? made : empty(t("no_overrides"), "faregate prices set my-model --input-mtok 1 --output-mtok 2"));
    } catch (error) { fill(overrides, h("h2", {}, t("overrides")), problem(error, load)); }
  };
  const again = () => Promise.all([load(), showModel()]);
  const head = (before) => h("div", { className: "head" }, h("h2", {}, t("in_force", { model })), h("span", { className: "fill" }), may("prices:write") && h("button", { onclick: () => override(model, before, again) }, t("override")));
  const showModel = async () => {
    try {
      const { data } = await get(at(model));
      fill(inForce, head(data), facts([[t("filter_provider"), data.provider], ...Object.entries(data.prices).map(([name, value]) => [fieldLabel(name), priceText(value)]), [t("margin_percent"), fmt.exactly(data.margin_percent)], [t("price_version"), h("code", {}, data.price_version)]]));
      if (asks) priceWhatIf(whatIf, data);
    } catch (error) {
      fill(inForce, head(null), error.status === 404 ? empty(error.message, `faregate prices set ${model} --input-mtok 1 --output-mtok 2`) : problem(error, showModel));
      whatIf.hidden = true;
    }
  };
  const lastMonth = h("button", { className: "small", onclick: () => change({ range: "last-month", from: null, to: null }) }, t("range_last-month"));
  fill(main, h("div", { className: "head" }, h("h1", {}, t("page_prices"))), filterBar([{ name: "priced", label: t("filter_model"), placeholder: "gpt-4o" }]), model ? [inForce, asks && [bar(lastMonth), whatIf]] : h("section", { className: "card" }, empty(t("choose_model"))), overrides);
  await (model ? again() : load());
}

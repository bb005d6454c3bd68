// What the uses of a range would have cost at prices of one model that are entered here.
import { exact } from "./api.js";
import { fill, h } from "./dom.js";
import { fieldLabel, filterBar } from "./listing.js";
import { params } from "./state.js";
import { t } from "./texts.js";
import { ask } from "./what_if.js";

const name = (key) => `p_${key}`;

// `price` is the price in force, with which the form begins; prices by tiers stay as they are.
export function priceWhatIf(place, price) {
  const simple = Object.entries(price.prices).filter(([, value]) => typeof value !== "object");
  const entered = (key, otherwise) => params().get(name(key)) || String(otherwise);
  const prices = Object.fromEntries(simple.map(([key, value]) => [key, exact(entered(key, value))]));
  const margin = params().get(name("margin"));
  const fields = [...simple.map(([key, value]) => ({ name: name(key), label: fieldLabel(key), number: true, value: entered(key, value) })), { name: name("margin"), label: t("margin_percent"), number: true, placeholder: String(price.margin_percent) }];
  const answer = h("div", {});
  fill(place, h("h2", {}, t("what_if")), h("p", { className: "chart-summary" }, t("what_if_price")), filterBar(fields, t("calculate")), answer);
  ask(answer, { prices: [{ model: price.model, prices }], margins: margin ? [{ marginPercent: exact(margin), model: price.model }] : undefined }, { model: price.model });
}

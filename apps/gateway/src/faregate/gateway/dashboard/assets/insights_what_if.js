// The past at other margins, prices, grants or another price of a credit.
import { h } from "./dom.js";
import { filterBar } from "./listing.js";
import { bar } from "./question.js";
import { t } from "./texts.js";
import { FIELDS, ask, proposal } from "./what_if.js";

export function cards() {
  const place = h("div", {});
  ask(place, proposal());
  return [bar(), filterBar(FIELDS.map(({ text, ...field }) => ({ ...field, label: t(text) })), t("calculate")), h("section", { className: "card" }, h("h2", {}, t("what_if")), h("p", { className: "chart-summary" }, t("about_what_if")), place)];
}

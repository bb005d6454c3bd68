// Insights: estimates, each with its method, sample, period, uncertainty and limits.
import { fill, h, skeleton } from "./dom.js";
import { addFilter, chips } from "./question.js";
import { link, path } from "./state.js";
import { t } from "./texts.js";

// Tab → module, which exports `cards(context)`: elements to be shown. Another tab is another line.
const TABS = {
  forecast: () => import("./insights_forecast.js"),
  "run-outs": () => import("./insights_run_outs.js"),
  budgets: () => import("./insights_budgets.js"),
  anomalies: () => import("./insights_anomalies.js"),
  costs: () => import("./insights_costs.js"),
  "what-if": () => import("./insights_what_if.js"),
  cohorts: () => import("./insights_cohorts.js"),
  churn: () => import("./insights_churn.js"),
  segments: () => import("./insights_segments.js"),
  upsell: () => import("./insights_upsell.js"),
  satisfaction: () => import("./insights_satisfaction.js"),
  operations: () => import("./insights_operations.js"),
};
const UNFILTERED = ["run-outs", "budgets", "anomalies"];

export async function render(main, context) {
  const tab = path()[1] in TABS ? path()[1] : "forecast";
  const place = h("div", {}, skeleton(true));
  const filtered = !UNFILTERED.includes(tab);
  fill(main, h("div", { className: "head" }, h("h1", {}, t("page_insights")), h("span", { className: "fill" }), h("button", { onclick: () => addFilter({}), disabled: !filtered, title: filtered ? null : t("filters_do_not_apply") }, `+ ${t("add_filter")}`)),
    h("nav", { className: "tabs", "aria-label": t("page_insights") }, Object.keys(TABS).map((name) => h("a", { className: "button", href: link(["insights", name]), "aria-current": name === tab ? "page" : null }, t(`tab_${name}`)))),
    filtered ? chips() : null, place);
  const { cards } = await TABS[tab]();
  fill(place, cards(context));
}

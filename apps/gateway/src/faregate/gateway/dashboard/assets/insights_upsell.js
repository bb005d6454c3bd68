// Users that may want another plan, with the cost on each plan.
import { h } from "./dom.js";
import * as fmt from "./format.js";
import { insightCard, named, none } from "./insight_card.js";
import { person, reasons } from "./insights_churn.js";
import { column, long, number } from "./listing.js";
import { table } from "./tables.js";
import { t } from "./texts.js";

const cost = (each) => t("plan_cost", { plan: each.plan ?? t("no_plan"), included: fmt.estimate("credits", each.included), beyond: fmt.estimate("credits", each.beyond), usd: fmt.estimate("cost", each.beyondUsd) });

function result(data) {
  const made = table([person(), column("plan", { label: t("plan"), show: (row) => row.plan ?? t("no_plan") }), column("best", { label: t("best_plan"), show: (row) => row.best ?? "—" }), reasons(), number("growth", { label: t("growth"), show: (row) => fmt.percent(row.growth) }), number("credits", { label: t("column_credits"), show: (row) => fmt.credits(row.credits) }),
    column("costs", { label: t("cost_on_plans"), value: (row) => row.costs.map(cost).join("; "), show: long((row) => row.costs.map((each) => h("div", {}, cost(each)))) })], data.people, { quiet: true, caption: t("tab_upsell"), name: "upsell" });
  return data.people.length ? named(t("people"), "upsell", made) : none(data.plans.length ? t("no_upsell") : t("no_plans"), data.plans.length ? null : "faregate plans set basic --name Basic");
}

export const cards = () => insightCard({ title: t("tab_upsell"), about: t("about_upsell"), path: "/api/analytics/upsell", show: result });

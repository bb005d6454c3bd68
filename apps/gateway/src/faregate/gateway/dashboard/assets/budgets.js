// Budgets as bars: a limit or a quota beside what is used of it, naming its own period.
import * as fmt from "./format.js";
import { h } from "./dom.js";
import { t } from "./texts.js";

const amount = (budget, value) => (budget.kind === "limit" ? fmt.credits(value) : fmt.exactly(value));

function share(budget, value) {
  const whole = Number(budget.limit ?? budget.soft);
  return whole > 0 ? Math.min(100, (Number(value) / whole) * 100) : Number(value) > 0 ? 100 : 0;
}

function level(budget) {
  const used = Number(budget.used) + Number(budget.held);
  if (budget.limit !== null && used >= Number(budget.limit)) return "bad";
  if (budget.soft !== null && used >= Number(budget.soft)) return "warn";
  return share(budget, used) >= 80 ? "warn" : "good";
}

// SVG, as styles within a page are forbidden: used, and held behind it.
function drawn(budget) {
  const svg = (tag, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const picture = svg("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none", class: `budget ${level(budget)}`, "aria-hidden": "true" });
  const all = share(budget, Number(budget.used) + Number(budget.held));
  picture.append(svg("rect", { class: "whole", width: 100, height: 6 }), svg("rect", { class: "held", width: all, height: 6 }), svg("rect", { class: "used", width: share(budget, budget.used), height: 6 }));
  if (budget.limit !== null && budget.soft !== null && Number(budget.limit) > 0) picture.append(svg("rect", { class: "soft", x: Math.min(99.5, (Number(budget.soft) / Number(budget.limit)) * 100), width: 0.5, height: 6 }));
  return picture;
}

// `name(budget)`: whose it is, as text or link.
export function budgetBars(budgets, name) {
  return h("ul", { className: "budgets" }, budgets.map((budget) => {
    const whole = budget.limit ?? budget.soft;
    const used = Number(budget.held) ? t("used_and_held", { used: amount(budget, budget.used), held: amount(budget, budget.held), whole: amount(budget, whole) }) : t("used_of", { used: amount(budget, budget.used), whole: amount(budget, whole) });
    const sort = [budget.kind === "quota" ? budget.meter : t("credits"), t(`per_${budget.period}`), budget.limit === null ? t("only_warns") : null].filter(Boolean).join(" · ");
    return h("li", {}, h("div", { className: "head" }, h("span", {}, name(budget)), h("span", { className: "fill" }), h("span", { className: `badge ${level(budget)}` }, t(`budget_${level(budget)}`))),
      drawn(budget), h("div", { className: "fresh" }, `${used} · ${sort}`, budget.until && ` · ${t("begins_again", { time: fmt.time(budget.until) })}`));
  }));
}

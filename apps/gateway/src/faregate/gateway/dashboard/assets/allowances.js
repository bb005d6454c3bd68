// Limits and quotas as bars: a limit or a quota beside what is used of it, naming its own period.
import * as fmt from "./format.js";
import { h } from "./dom.js";
import { t } from "./texts.js";

const amount = (allowance, value) => (allowance.kind === "limit" ? fmt.credits(value) : fmt.exactly(value));

function share(allowance, value) {
  const whole = Number(allowance.limit ?? allowance.soft);
  return whole > 0 ? Math.min(100, (Number(value) / whole) * 100) : Number(value) > 0 ? 100 : 0;
}

function level(allowance) {
  const used = Number(allowance.used) + Number(allowance.held);
  if (allowance.limit !== null && used >= Number(allowance.limit)) return "bad";
  if (allowance.soft !== null && used >= Number(allowance.soft)) return "warn";
  return share(allowance, used) >= 80 ? "warn" : "good";
}

// Used, and held behind it; where a limit only warns from a bound on, a mark.
function drawn(allowance) {
  const part = (name, percent) => { const element = h("span", { className: name }); element.style.width = `${percent}%`; return element; };
  const all = share(allowance, Number(allowance.used) + Number(allowance.held));
  const bar = h("span", { className: `allowance ${level(allowance)}`, "aria-hidden": "true" }, part("held", all), part("used", share(allowance, allowance.used)));
  if (allowance.limit !== null && allowance.soft !== null && Number(allowance.limit) > 0) {
    const mark = h("span", { className: "soft" });
    mark.style.left = `${Math.min(99.5, (Number(allowance.soft) / Number(allowance.limit)) * 100)}%`;
    bar.append(mark);
  }
  return bar;
}

// `name(allowance)`: whose it is, as text or link.
export function allowanceBars(allowances, name) {
  return h("ul", { className: "allowances" }, allowances.map((allowance) => {
    const whole = allowance.limit ?? allowance.soft;
    const used = Number(allowance.held) ? t("used_and_held", { used: amount(allowance, allowance.used), held: amount(allowance, allowance.held), whole: amount(allowance, whole) }) : t("used_of", { used: amount(allowance, allowance.used), whole: amount(allowance, whole) });
    const sort = [allowance.kind === "quota" ? allowance.meter : t("credits"), t(`per_${allowance.period}`), allowance.limit === null ? t("only_warns") : null].filter(Boolean).join(" · ");
    return h("li", {}, h("div", { className: "head" }, h("span", {}, name(allowance)), h("span", { className: "fill" }), h("span", { className: `badge ${level(allowance)}` }, t(`allowance_${level(allowance)}`))),
      drawn(allowance), h("div", { className: "fresh" }, `${used} · ${sort}`, allowance.until && ` · ${t("begins_again", { time: fmt.time(allowance.until) })}`));
  }));
}

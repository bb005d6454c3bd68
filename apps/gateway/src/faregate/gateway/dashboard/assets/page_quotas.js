// Quotas: what may be used in a period, how much is used, whom it is told.
import { exact, get } from "./api.js";
import { confirmed, difference } from "./confirm.js";
import { fill, h, problem, skeleton } from "./dom.js";
import { words } from "./forms.js";
import * as fmt from "./format.js";
import { actions, badge, button, column, details, listing, number, walletLink } from "./listing.js";
import { t } from "./texts.js";

const PERIODS = ["hour", "day", "week", "month", "quarter", "year"];
const THRESHOLDS = ["warning", "critical", "exceeded"];
const everybody = (row) => row.owner_id === "*";

function edit(row, done) {
  return confirmed({
    title: row ? `${t("edit")} ${row.meter}` : t("define_quota"), method: "PUT", path: "/api/quotas",
    fields: [...(row ? [] : [{ name: "owner_id", label: t("owner"), required: true, placeholder: "ada", hint: t("owner_hint") }, { name: "meter", label: t("field_meter"), required: true, value: "requests", hint: t("meter_hint") }, { name: "period", label: t("period"), value: "month", options: PERIODS.map((each) => [each, t(`period_${each}`)]) }]),
      { name: "limit", label: t("field_limit"), number: true, required: true, value: row && String(row.limit) }, { name: "hard", label: t("field_hard"), value: row?.hard ? "yes" : "no", options: [["no", t("no")], ["yes", t("yes")]], hint: t("hard_hint") }, { name: "timezone", label: t("zone_of_quota"), value: row?.timezone || "UTC", required: true },
      ...THRESHOLDS.map((name) => ({ name, label: t(`threshold_${name}`), number: true, value: row?.thresholds ? String(row.thresholds[name]) : "" })), { name: "emails", label: t("field_emails"), value: row?.emails.join(", "), hint: t("emails_hint") }, { name: "active", label: t("active"), value: row && !row.active ? "no" : "yes", options: [["yes", t("yes")], ["no", t("no")]] }],
    body: (values) => quota(row, values), preview: (answer) => difference(row, answer), said: (answer) => t("said_quota", { meter: answer.meter, owner: everybody(answer) ? t("everybody") : answer.owner_id }), done,
  });
}

function quota(row, values) {
  const { owner_id, meter, period } = row || values;
  const levels = Object.fromEntries(THRESHOLDS.filter((name) => values[name]).map((name) => [name, exact(values[name])]));
  return { owner_id, meter, period, limit: exact(values.limit), hard: values.hard === "yes", timezone: values.timezone, thresholds: Object.keys(levels).length ? levels : null, emails: words(values.emails), active: values.active === "yes" };
}

// How much of a quota is used: a bar that names its period, and when it runs out.
function used(row) {
  const place = h("span", {}, skeleton());
  const load = async () => {
    try {
      const { data } = await get(`/api/quotas/${row.id}/status`);
      const bar = h("span", { className: "meter" });
      bar.style.width = `${Math.min(100, Number(data.percent || 0))}%`;
      fill(place, h("div", {}, `${fmt.exactly(data.used)} / ${fmt.exactly(row.limit)}`, data.percent === null ? "" : ` (${fmt.exactly(data.percent)} %) `, data.level && badge(data.level === "warning" ? "warn" : "bad", data.level)), bar,
        h("div", { className: "fresh" }, t("quota_period", { from: fmt.day(data.period_start), to: fmt.day(data.period_end) })), data.prediction?.runs_out_at && h("div", { className: "fresh" }, t("quota_runs_out", { time: fmt.time(data.prediction.runs_out_at) })));
    } catch (error) { fill(place, problem(error, load)); }
  };
  load();
  return place;
}

export function render(main, { may }) {
  const writes = may("quotas:write");
  return listing(main, {
    name: "quotas", title: t("page_quotas"), address: "/api/quotas", command: "faregate quotas set --user ada --meter requests --limit 1000 --period day", empty: "no_quotas", make: writes && ((done) => edit(null, done)), label: t("define_quota"),
    filters: [{ name: "owner", query: "owner_id", label: t("owner"), placeholder: "ada" }, { name: "meter", label: t("field_meter"), placeholder: "requests" }],
    columns: (load) => [column("owner_id", { show: (row) => (everybody(row) ? t("everybody") : walletLink("owner_id").show(row)) }), column("meter"), column("period", { show: (row) => t(`period_${row.period}`) }), number("limit"), column("hard"), column("used", { value: () => "", show: used }), column("emails"), column("active", { show: (row) => badge(row.active ? "good" : "warn", t(row.active ? "yes" : "no")) }),
      actions((row) => writes && button(t("edit"), () => edit(row, load)), (row) => writes && button(t("delete"), () => confirmed({ title: `${t("delete")} ${row.meter}`, danger: true, method: "DELETE", path: `/api/quotas/${row.id}`, preview: () => difference(row, null), said: () => t("said_deleted", { name: `${row.owner_id} ${row.meter}` }), done: load }), "danger"), details)],
  });
}

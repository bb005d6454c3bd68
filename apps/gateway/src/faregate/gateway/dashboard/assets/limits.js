// Spending limits of a user, or of the members of a pool, by period.
import { get } from "./api.js";
import { confirmed, difference } from "./confirm.js";
import { empty, fill, h, problem } from "./dom.js";
import { numberOrNull } from "./forms.js";
import * as fmt from "./format.js";
import { actions, button, column, number, walletLink } from "./listing.js";
import { saveButton, table } from "./tables.js";
import { t } from "./texts.js";

const PERIODS = ["day", "week", "month", "total"];

function edit(address, row, members, before, done) {
  return confirmed({
    title: t("change_limits"), method: "PUT", path: address, note: t("limits_note"),
    fields: [...(members ? [{ name: "member", label: t("member"), value: row?.member || "", options: [["", t("every_member")], ...members] }] : []), { name: "period", label: t("limit_period"), value: row?.period || "month", options: PERIODS.map((each) => [each, t(`period_${each}`)]) },
      { name: "soft", label: t("limit_soft"), number: true, value: row && row.soft !== null ? String(row.soft) : "", hint: t("soft_hint") }, { name: "hard", label: t("limit_hard"), number: true, value: row && row.hard !== null ? String(row.hard) : "", hint: t("hard_limit_hint") }],
    body: (values) => ({ ...(members && values.member ? { member: values.member } : {}), limits: [{ period: values.period, soft: numberOrNull(values.soft), hard: numberOrNull(values.hard) }] }),
    preview: (answer) => difference(before, answer), said: () => t("said_limits"), done,
  });
}

// Fills `place` with the limits at `address`; `members`: ids of the members of a pool.
export async function showLimits(place, address, { writes, members = null }) {
  const load = () => showLimits(place, address, { writes, members });
  try {
    const { data } = await get(address);
    const amount = (key) => number(key, { label: t(`limit_${key}`), show: (row) => fmt.credits(row[key]) });
    const who = members ? [column("member", { label: t("member"), show: (row) => (row.member ? walletLink("member").show(row) : t("every_member")) })] : [];
    const made = table([...who, column("period", { label: t("limit_period"), show: (row) => t(`period_${row.period}`) }), amount("soft"), amount("hard"), amount("spent"), amount("held"), column("since", { label: t("since") }), actions((row) => writes && button(t("edit"), () => edit(address, row, members, data, load)))], data, { quiet: true, caption: t("limits"), name: "limits" });
    fill(place, h("div", { className: "head" }, h("h2", {}, t("limits")), h("span", { className: "fill" }), writes && button(t("change_limits"), () => edit(address, null, members, data, load)), saveButton(made)), data.length ? made : empty(t("no_limits")));
  } catch (error) { fill(place, h("h2", {}, t("limits")), problem(error, load)); }
}

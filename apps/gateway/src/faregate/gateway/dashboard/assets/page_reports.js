// Reports by mail: who gets which, how the mail looks, what was sent.
import { address, fetchFile, get } from "./api.js";
import { confirmed, difference } from "./confirm.js";
import { dialog, download, empty, facts, fill, h, problem, skeleton } from "./dom.js";
import { words } from "./forms.js";
import * as fmt from "./format.js";
import { actions, badge, button, column, filterBar, listing } from "./listing.js";
import { link, params, path } from "./state.js";
import { saveButton, table } from "./tables.js";
import { bring, t } from "./texts.js";
import { texts } from "./texts_reports.en.js";

bring(texts);

const KINDS = ["daily", "weekly", "monthly"];
const SCOPES = ["business", "organization", "user"];
const FILTERS = ["service", "model", "provider", "feature"];
const FILES = ["xlsx", "csv", "pdf"];
const STATES = { active: "good", suspended: "bad", unsubscribed: "warn" };
const STATUSES = { sent: "good", bounced: "bad", failed: "bad" };
const at = (name) => `/api/reports/${encodeURIComponent(name)}`;
const pairs = (names, prefix) => names.map((name) => [name, t(`${prefix}_${name}`)]);
const numbers = (from, to, show = String) => Array.from({ length: to - from + 1 }, (_, place) => [String(from + place), show(from + place)]);
const weekday = (day) => new Intl.DateTimeFormat(navigator.languages?.[0] || "en", { weekday: "long", timeZone: "UTC" }).format(new Date(Date.UTC(2024, 0, day)));
const given = (row) => Object.entries(row.filters).filter(([, value]) => value).map(([name, value]) => `${name} ${value}`);
const about = (row) => [row.scope === "business" ? t("report_business") : `${t(`report_${row.scope}`)} ${row.owner}`, ...given(row)].join(", ");
const declared = (row) => row && { ...Object.fromEntries(["name", "kind", "scope", "owner", "timezone", "hour", "weekday", "month_day", "files", "active"].map((key) => [key, row[key]])), filters: given(row).join(", "), recipients: row.recipients.map((each) => each.address) };
const recipients = (row) => row.recipients.map((each) => h("div", {}, `${each.address} `, each.state !== "active" && badge(STATES[each.state], t(`recipient_${each.state}`))));

function fields(row) {
  return [
    ...(row ? [] : [{ name: "name", label: t("name"), required: true, placeholder: "team-weekly" }]),
    { name: "kind", label: t("report_kind"), value: row?.kind || "weekly", options: pairs(KINDS, "report") },
    { name: "recipients", label: t("field_emails"), required: true, value: row?.recipients.map((each) => each.address).join(", "), hint: t("emails_hint") },
    { name: "scope", label: t("report_scope"), value: row?.scope, options: pairs(SCOPES, "report") },
    { name: "owner", label: t("report_owner"), value: row?.owner, hint: t("report_owner_hint") },
    ...FILTERS.map((name) => ({ name, label: t(`filter_${name}`), value: row?.filters[name], hint: t("report_filter_hint") })),
    { name: "timezone", label: t("zone_of_report"), value: row?.timezone || Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC", required: true },
    { name: "hour", label: t("report_hour"), value: String(row?.hour ?? 7), options: numbers(0, 23, (hour) => `${String(hour).padStart(2, "0")}:00`) },
    { name: "weekday", label: t("weekday_of_report"), value: String(row?.weekday ?? 1), options: numbers(1, 7, weekday) },
    { name: "month_day", label: t("month_day"), value: String(row?.month_day ?? 1), options: numbers(1, 28) },
    { name: "files", label: t("report_files"), checks: FILES, value: row?.files || [] },
    { name: "active", label: t("active"), value: row && !row.active ? "no" : "yes", options: [["yes", t("yes")], ["no", t("no")]] },
  ];
}

function body(row, values) {
  const filters = Object.fromEntries(Object.entries(row?.filters || {}).filter(([name]) => !FILTERS.includes(name)));
  return {
    kind: values.kind, scope: values.scope, owner: values.owner || null, filters: { ...filters, ...Object.fromEntries(FILTERS.map((name) => [name, values[name] || null])) }, timezone: values.timezone, hour: Number(values.hour), weekday: Number(values.weekday),
    month_day: Number(values.month_day), recipients: words(values.recipients), files: values.files, active: values.active === "yes",
  };
}

const edit = (row, done) => confirmed({ title: row ? `${t("edit")} ${row.name}` : t("make_report"), method: "PUT", path: (values) => at(row ? row.name : values.name), fields: fields(row), body: (values) => body(row, values), preview: (answer) => difference(declared(row), declared(answer)), said: (answer) => t("said_saved", { name: answer.name }), done });
const test = (row, done) => confirmed({ title: `${t("send_test")}: ${row.name}`, method: "POST", path: `${at(row.name)}/test`, fields: [{ name: "address", label: t("test_to"), type: "email", required: true }], preview: (answer) => facts([[t("test_to"), answer.address]]), said: (answer) => t("said_test", { name: row.name, to: answer.address }), done });
const resume = (row, done) => confirmed({ title: `${t("resume")} ${row.name}`, method: "POST", path: `${at(row.name)}/resume`, body: () => ({}), preview: (answer) => facts([[t("field_emails"), recipients(answer)]]), said: () => t("said_resumed", { name: row.name }), done });
const remove = (row, done) => confirmed({ title: `${t("delete")} ${row.name}`, danger: true, method: "DELETE", path: at(row.name), preview: () => difference(declared(row), null), said: () => t("said_deleted", { name: row.name }), done });

export function render(main, { may }) {
  const name = path()[1];
  const writes = may("reports:write");
  if (name) return report(main, name, writes);
  return listing(main, {
    name: "reports", title: t("page_reports"), address: "/api/reports", empty: "no_reports", command: "faregate reports set team weekly --to ops@example.com", make: writes && ((done) => edit(null, done)), label: t("make_report"),
    columns: (load) => [
      column("name", { show: (row) => h("a", { href: link(["reports", row.name]) }, row.name) }), column("kind", { label: t("report_kind"), show: (row) => t(`report_${row.kind}`) }), column("scope", { label: t("report_about"), value: about, show: about }),
      column("recipients", { label: t("field_emails"), value: (row) => row.recipients.map((each) => each.address).join(", "), show: recipients }), column("next_at", { label: t("report_next"), show: (row) => (row.next_at ? fmt.time(row.next_at) : badge("warn", t("no"))) }),
      actions((row) => writes && button(t("send_test"), () => test(row, load)), (row) => writes && button(t("edit"), () => edit(row, load)), (row) => writes && row.recipients.some((each) => each.state === "suspended") && button(t("resume"), () => resume(row, load)), (row) => writes && button(t("delete"), () => remove(row, load), "danger")),
    ],
  });
}

// One report: the mail of a period, its files, and what was sent.
async function report(main, name, writes) {
  const shown = h("section", { className: "card" }, skeleton(true));
  const sent = h("section", { className: "card" }, skeleton(true));
  const day = params().get("day") || "";
  const again = () => Promise.all([mail(shown, name, day), mails(sent, name)]);
  fill(main, h("div", { className: "head" }, h("h1", {}, name), h("span", { className: "fill" }), writes && h("button", { className: "primary", onclick: () => test({ name }, () => mails(sent, name)) }, t("send_test")), h("button", { onclick: again }, t("refresh")), h("a", { className: "button", href: link("reports") }, `← ${t("page_reports")}`)),
    filterBar([{ name: "day", label: t("day_of_report"), type: "date", value: day }], t("show")), shown, sent);
  await again();
}

async function mail(place, name, day) {
  try {
    const { data } = await get(`${at(name)}/preview`, { day });
    const frame = h("iframe", { src: address(`${at(name)}/page`, { day }), title: t("mail_shown"), width: "100%", height: "900", sandbox: "", frameborder: "0" });
    const drawn = new Promise((resolve) => frame.addEventListener("load", resolve));
    const files = FILES.map((format) => button(format.toUpperCase(), () => file(name, day, format)));
    fill(place, facts([[t("subject_of_mail"), data.subject], [t("report_files"), data.files.map((each) => each.name).join(", ") || "—"]]),
      h("div", { className: "actions" }, files, button(t("mail_as_text"), () => dialog(t("mail_as_text"), () => h("pre", { tabindex: "0" }, data.text)))),
      frame);
    await drawn;
  } catch (error) { fill(place, problem(error, () => mail(place, name, day))); }
}

async function file(name, day, format) {
  try {
    const made = await fetchFile(`${at(name)}/file`, { query: { day, format } });
    download(made.name, made.blob, made.blob.type);
  } catch (error) { await dialog(t("failed"), () => problem(error)); }
}

async function mails(place, name, rows = [], cursor = null) {
  try {
    const { data, meta } = await get(`${at(name)}/deliveries`, { cursor, limit: 50 });
    const all = [...rows, ...data];
    const made = table([column("due_at"), column("address"), column("period_start", { show: (row) => fmt.day(row.period_start) }), column("status", { show: (row) => [badge(STATUSES[row.status] || "warn", t(`delivery_${row.status}`)), row.test && ` ${t("send_test")}`] }), column("attempts", { num: true }), column("finished_at"), column("last_error")], all, { quiet: true, caption: t("delivered_mails"), name: "mails" });
    fill(place, h("div", { className: "head" }, h("h2", {}, t("delivered_mails")), h("span", { className: "fill" }), saveButton(made)), all.length ? made : empty(t("no_mails")), meta.next_cursor && h("button", { onclick: () => mails(place, name, all, meta.next_cursor) }, t("more")));
  } catch (error) { fill(place, problem(error, () => mails(place, name, rows, cursor))); }
}

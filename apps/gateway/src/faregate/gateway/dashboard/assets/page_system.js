// The deployment: workers and gateways, queues and their lag, scheduled jobs.
import { get } from "./api.js";
import { empty, fill, h, problem, skeleton } from "./dom.js";
import * as fmt from "./format.js";
import { badge, code, column } from "./listing.js";
import { link } from "./state.js";
import { saveButton, table } from "./tables.js";
import { t } from "./texts.js";

const SILENT_SECONDS = 60;
const LATE_SECONDS = 300;
const age = (moment) => (Date.now() - new Date(moment)) / 1000;

function part(name, columns, rows, command) {
  const made = table(columns, rows, { quiet: true, caption: t(name), name });
  return h("section", { className: "card" }, h("div", { className: "head" }, h("h2", {}, t(name)), h("span", { className: "fill" }), saveButton(made)), rows.length ? made : empty(t("nothing_here"), command));
}

const reporting = (row) => (age(row.reported_at) > SILENT_SECONDS ? "silent" : "reporting");
const PROCESSES = () => [column("role"), code("instance"), column("state", { value: reporting, show: (row) => badge(reporting(row) === "silent" ? "bad" : "good", t(`process_${reporting(row)}`)) }), column("reported_at"), column("settled_until")];

function jobState(row) {
  if (row.last_error) return "failed";
  if (row.leased_until && age(row.leased_until) < 0) return "running";
  return age(row.next_at) > LATE_SECONDS ? "late" : "waiting";
}
const JOBS = () => [code("name"), column("state", { value: jobState, show: (row) => badge({ failed: "bad", late: "warn", running: "good", waiting: "" }[jobState(row)], t(`job_${jobState(row)}`)) }), column("next_at"), column("last_started_at"), column("last_finished_at"), column("last_error")];

const labels = (row) => Object.entries(row.labels).map(([name, value]) => `${name} ${value}`).join(", ");
const measured = (row) => (row.value === null ? "—" : /_seconds$/.test(row.name) ? t("seconds", { count: fmt.short(row.value) }) : fmt.exactly(row.value));
const GAUGES = () => [column("meaning"), column("labels", { label: t("queue"), value: labels, show: labels }), column("value", { num: true, show: measured }), code("name")];

// What an operator looks at first: workers, what waits, what is dead.
function tiles(data) {
  const total = (pattern, combine) => {
    const found = data.gauges.filter((each) => pattern.test(each.name) && each.value !== null).map((each) => Number(each.value));
    return found.length ? combine(found) : null;
  };
  const add = (values) => values.reduce((all, each) => all + each, 0);
  const seconds = total(/_oldest_seconds$|_lag_seconds$/, (values) => Math.max(...values));
  const workers = total(/^faregate_workers$/, add) ?? data.processes.filter((row) => row.role === "worker" && reporting(row) === "reporting").length;
  const made = [["tile_workers", fmt.integer(workers), workers ? null : t("no_workers")], ["tile_waiting", fmt.integer(total(/_messages$/, add))], ["tile_lag", seconds === null ? "—" : t("seconds", { count: fmt.short(seconds) })], ["tile_dead", fmt.integer(total(/_dead_letters$/, add)), null, link("dead-letters")], ["tile_failed_jobs", fmt.integer(data.jobs.filter((row) => row.last_error).length)]];
  return h("ul", { className: "tiles" }, made.map(([name, value, note, href]) => h("li", {}, h(href ? "a" : "div", { className: "tile", href }, h("span", { className: "label" }, t(name)), h("span", { className: "value" }, value), note && h("span", { className: "note down" }, note)))));
}

export async function render(main) {
  const place = h("div", {}, skeleton(true));
  const load = async () => {
    try {
      const { data, meta } = await get("/api/system");
      fill(place, tiles(data), part("processes", PROCESSES(), data.processes, "faregate worker"), part("queues", GAUGES(), data.gauges), part("jobs", JOBS(), data.jobs, "faregate worker"), h("p", { className: "fresh" }, t("as_of", { time: fmt.time(meta.at || new Date()) })));
    } catch (error) { fill(place, problem(error, load)); }
  };
  fill(main, h("div", { className: "head" }, h("h1", {}, t("page_system")), h("span", { className: "fill" }), h("button", { onclick: load }, t("refresh"))), place);
  await load();
}

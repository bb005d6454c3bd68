// Objectives, incidents and capacity.
import { choice, chosen } from "./choices.js";
import { facts } from "./dom.js";
import * as fmt from "./format.js";
import { insightCard, named } from "./insight_card.js";
import { incident } from "./insights_incident.js";
import { objectives } from "./insights_objectives.js";
import { column, number } from "./listing.js";
import { table } from "./tables.js";
import { t } from "./texts.js";

const LIMITS = ["", "10", "50", "100", "500", "1000", "5000"];
const bytes = (value) => (value === null || value === undefined ? "—" : t("megabytes", { count: fmt.estimate("credits", Number(value) / 1e6) }));
const rough = (value) => fmt.estimate("credits", value);

function capacity(data) {
  const tables = table([column("name"), number("bytes", { label: t("size"), show: (row) => bytes(row.bytes) }), number("rows", { label: t("rows") })], data.tables, { quiet: true, caption: t("tables"), name: "tables" });
  const { full } = data;
  return [facts([[t("database_size"), bytes(data.bytes)], [t("own_size"), bytes(data.ownBytes)], [t("requests_a_day"), rough(data.pace)], [t("bytes_per_request"), rough(data.bytesPerRequest)], [t("rows_per_request"), rough(data.rowsPerRequest)], [t("ms_per_request"), fmt.ms(data.activeMsPerRequest)], full && [t("full_at"), full.expectedAt ? t("full_between", { at: fmt.day(full.expectedAt), from: fmt.day(full.earliestAt), to: fmt.day(full.latestAt) }) : t("not_in_sight")]]), named(t("tables"), "tables", tables)];
}

export function cards(context) {
  const limit = chosen("gb", LIMITS);
  const query = () => ({ limitBytes: limit ? `${limit}000000000` : null });
  return [objectives(context), incident(context), insightCard({ title: t("capacity"), about: t("about_capacity"), path: "/api/analytics/capacity", filtered: false, query, controls: () => choice(t("disk"), "gb", limit, LIMITS.map((each) => [each, each ? t("gigabytes", { count: fmt.integer(each) }) : t("no_cap")])), show: capacity })];
}

// Bills of providers: the imports, their lines, and how they differ from the ledger.
import { get } from "./api.js";
import { confirmed } from "./confirm.js";
import { facts, fill, h, problem, skeleton } from "./dom.js";
import * as fmt from "./format.js";
import { actions, badge, button, code, column, details, filterBar, listing, number } from "./listing.js";
import { link, params, path } from "./state.js";
import { saveButton, table } from "./tables.js";
import { t } from "./texts.js";

const day = (value) => (value ? value.slice(0, 10) : "—");
const part = (text, count, shown) => [text, count > shown && ` ${t("bills_more", { count: count - shown })}`];

function remove(row, done) {
  return confirmed({
    title: `${t("bills_remove")} ${row.file_name || row.import_id}`, danger: true, method: "DELETE", path: `/api/bills/${row.import_id}`,
    preview: () => facts([[t("bills_provider"), row.provider], [t("lines"), fmt.integer(row.current)]]), said: () => t("bills_removed"), done,
  });
}

const IMPORTS = (may) => (load) => [column("imported_at"), column("source"), column("provider", { label: t("bills_provider"), show: (row) => h("a", { href: link("bills", { provider: row.provider }) }, row.provider) }), column("file_name", { show: (row) => h("a", { href: link(["bills", row.import_id]) }, row.file_name || row.import_id.slice(0, 8)) }),
  column("start", { label: t("from"), show: (row) => day(row.start) }), column("end", { label: t("to"), show: (row) => day(row.end) }), number("lines", { label: t("lines") }), number("known"), number("replaced"), number("cost_usd", { label: t("bills_billed") }), actions((row) => may("ops:write") && button(t("bills_remove"), () => remove(row, load), "danger"), details)];

const LINES = () => () => [number("number"), column("start", { label: t("from") }), column("model", { label: t("filter_model") }), column("token_type", { label: t("bills_type") }), column("tokens", { value: (row) => Object.values(row.tokens).reduce((sum, each) => sum + Number(each), 0), num: true, show: (row) => Object.entries(row.tokens).map(([name, count]) => h("div", {}, `${name}: ${fmt.integer(count)}`)) }), number("cost_usd", { label: t("bills_billed") }), code("request_id"), actions(details)];

const DIFFERENCES = () => [
  column("kind", { label: t("kind"), value: (row) => row.kind, show: (row) => [badge(row.kind === "late" ? "warn" : "bad", t(`difference_${row.kind}`)), row.side && ` ${t(`side_${row.side}`)}`] }),
  column("day", { label: t("bills_day"), value: (row) => row.day, show: (row) => (row.other_day ? `${row.day} (${row.other_day})` : row.day) }), column("model", { label: t("filter_model") }), column("token_type", { label: t("bills_type") }), code("request_id"),
  number("billed_usd", { label: t("bills_billed") }), number("ledger_usd", { label: t("bills_ledger") }),
  column("bill_rows", { label: t("bills_rows"), value: (row) => row.bill_rows.map((each) => `${each.import_id}:${each.number}`).join(" "), show: (row) => part(row.bill_rows.slice(0, 5).map((each) => h("div", {}, h("a", { href: link(["bills", each.import_id]) }, `${each.import_id.slice(-6)}:${each.number}`))), row.bill_row_count, 5) }),
  column("lines", { label: t("uses"), value: (row) => row.lines.map((each) => `${each.usage_key}/${each.line_no}`).join(" "), show: (row) => part(row.lines.slice(0, 5).map((each) => h("div", {}, h("a", { className: "mono", href: link(["uses", each.usage_key]) }, `${each.usage_key}/${each.line_no}`))), row.line_count, 5) }),
  actions(details),
];

async function comparison(place, provider) {
  const load = () => comparison(place, provider);
  const asked = params();
  fill(place, skeleton(true));
  try {
    const { data } = await get("/api/bills/comparison", { provider, from: asked.get("since"), to: asked.get("until"), tolerance_usd: asked.get("tolerance") });
    const made = table(DIFFERENCES(), data.differences, { quiet: true, caption: t("bills_differences"), name: `bill-${provider}` });
    fill(place, h("div", { className: "head" }, h("h2", {}, t("bills_differences")), h("span", { className: "fill" }), saveButton(made)),
      h("p", {}, t("bills_compared", { provider, from: day(data.start), to: day(data.end), bill: fmt.integer(data.bill_lines), billed: fmt.exactly(data.billed_usd), lines: fmt.integer(data.ledger_lines), ledger: fmt.exactly(data.ledger_usd) })),
      data.differences.length ? made : h("p", {}, t("bills_agree")));
  } catch (error) { fill(place, h("h2", {}, t("bills_differences")), problem(error, load)); }
}

export async function render(main, { may }) {
  const chosen = path()[1];
  const provider = params().get("provider");
  if (chosen) return listing(main, { name: "bill-lines", title: `${t("page_bills")}: ${t("lines")}`, address: `/api/bills/${encodeURIComponent(chosen)}/lines`, columns: LINES() });
  if (!provider) return listing(main, { name: "bills", title: t("page_bills"), address: "/api/bills", command: "faregate bills import openai costs.json", empty: "no_bills", columns: IMPORTS(may) });
  const place = h("section", { className: "card" }, skeleton(true));
  const fields = [{ name: "provider", label: t("bills_provider"), placeholder: "openai" }, { name: "since", label: t("from"), moment: true }, { name: "until", label: t("to"), moment: true }, { name: "tolerance", label: t("bills_tolerance"), number: true }];
  fill(main, h("div", { className: "head" }, h("h1", {}, h("a", { href: link("bills") }, t("page_bills")))), filterBar(fields, t("bills_compare")), place);
  return comparison(place, provider);
}

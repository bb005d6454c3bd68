// A series with a forecast: what was, what is expected, and the interval around it.
import { announce, h } from "./dom.js";
import { amount, estimate, period, short, tick } from "./format.js";
import { t } from "./texts.js";

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const numbers = (rows, key) => rows.map((row) => (row[key] === null || row[key] === undefined ? null : Number(row[key])));

function said(row, of, unit) {
  const when = period(row.period, unit);
  if (row.expected === undefined) return t("was", { when, amount: amount(of, row.was) });
  return t("will_be", { when, amount: estimate(of, row.expected), low: estimate(of, row.low80), high: estimate(of, row.high80) });
}

function options(rows, { of, unit }, width, read) {
  const x = rows.map((row) => new Date(row.period).getTime() / 1000);
  const step = Math.max(1, Math.ceil(rows.length / Math.max(2, width / 80)));
  const line = (label, stroke, dash) => ({ label, stroke, width: 2, dash, points: { show: false } });
  const edge = { width: 0, points: { show: false }, stroke: "transparent" };
  return [{
    width, height: 300, legend: { show: false }, cursor: { y: false, drag: { x: false, y: false } },
    scales: { x: { time: false }, y: { range: (_, low, high) => [Math.min(0, low), high > 0 ? high * 1.05 : 1] } },
    axes: [{ stroke: css("--soft"), grid: { show: false }, ticks: { show: false }, splits: () => x.filter((_, at) => at % step === 0), values: (_, at) => at.map((each) => tick(new Date(each * 1000), unit)) }, { stroke: css("--soft"), grid: { stroke: css("--line"), width: 1 }, ticks: { show: false }, size: 64, values: (_, at) => at.map(short) }],
    series: [{}, edge, edge, line(t("expected"), css("--s1"), [6, 4]), line(t("past"), css("--s0"))],
    bands: [{ series: [1, 2], fill: css("--band") }], hooks: { setCursor: [(self) => read(self.cursor.idx)] },
  }, [x, numbers(rows, "high80"), numbers(rows, "low80"), numbers(rows, "expected"), numbers(rows, "was")]];
}

// `rows`: [{period, was}] and then [{period, expected, low80, high80}], in the order of time.
export function intervalChart(rows, asked) {
  const box = h("div", { className: "chart", tabindex: "0", role: "application", "aria-roledescription": t("chart"), "aria-label": t("interval_label") });
  const reading = h("div", { className: "reading", "aria-hidden": "true" });
  let [place, plot, drawn] = [rows.length - 1, null, 0];
  const read = (at, spoken = false) => {
    if (at === null || at === undefined || !rows[at]) return;
    place = at;
    reading.textContent = said(rows[at], asked.of, asked.unit);
    if (spoken) announce(reading.textContent);
  };
  box.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -rows.length, End: rows.length };
    if (!(event.key in moves)) return;
    event.preventDefault();
    read(Math.min(rows.length - 1, Math.max(0, place + moves[event.key])), true);
    plot?.setCursor({ left: plot.valToPos(plot.data[0][place], "x"), top: 10 });
  });
  const resized = new ResizeObserver(() => {
    if (!box.isConnected) return resized.disconnect();
    if (!box.clientWidth || box.clientWidth === drawn) return;
    drawn = box.clientWidth;
    plot?.destroy();
    plot = new uPlot(...options(rows, asked, Math.max(240, drawn), read), box);
  });
  resized.observe(box);
  read(rows.length - 1);
  const legend = [["c0", "past"], ["c1", "expected"], ["band", "interval80"]].map(([kind, name]) => h("li", {}, h("span", { className: `swatch ${kind}`, "aria-hidden": "true" }), t(name)));
  return h("div", {}, box, reading, h("ul", { className: "legend" }, legend));
}

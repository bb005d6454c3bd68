// Series as stacked bars or lines, each with a summary, a reading, a keyboard cursor and a table twin.
import { announce, h } from "./dom.js";
import { amount, period, short, tick } from "./format.js";
import { t } from "./texts.js";

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
export const colour = (place) => `--s${place % 9}`;

function stacked(series) {
  const tops = [];
  let below = null;
  for (const each of series) {
    below = each.values.map((value, place) => Number(value) + (below ? below[place] : 0));
    tops.push(below);
  }
  return tops;
}

// `series`: [{label, values (texts), isRest}]. `before`: totals of the period before, drawn as a line. `onOpen(place)` opens one period.
export function seriesChart({ periods, unit, of, series, totals, before = null, onOpen, cumulative = false, lines = false }) {
  const box = h("div", { className: "chart", tabindex: "0", role: "application", "aria-roledescription": t("chart"), "aria-label": t("chart_label") });
  const reading = h("div", { className: "reading", "aria-hidden": "true" });
  const wrapper = h("div", {}, box, reading);
  const shown = cumulative ? series.map((each) => ({ ...each, values: running(each.values) })) : series;
  const earlier = before && (cumulative ? running(before) : before);
  let place = Math.max(0, periods.length - 1);
  let plot = null;

  const describe = (at) => {
    const total = cumulative ? running(totals)[at] : totals[at];
    const parts = shown.map((each) => [each.label, each.values[at]]).filter(([, value]) => Number(value) !== 0);
    const than = earlier && earlier[at] !== undefined ? ` (${t("before", { value: amount(of, earlier[at]) })})` : "";
    return `${period(periods[at], unit)}: ${amount(of, total)}${than}${parts.length > 1 || (parts[0] && parts[0][0] !== t("total")) ? ` — ${parts.map(([label, value]) => `${label} ${amount(of, value)}`).join(", ")}` : ""}`;
  };
  const read = (at, spoken = false) => {
    if (at === null || at === undefined || at < 0 || at >= periods.length) return;
    place = at;
    reading.textContent = describe(at);
    if (spoken) announce(reading.textContent);
  };
  box.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };
    if (event.key in moves) {
      event.preventDefault();
      read(Math.min(periods.length - 1, Math.max(0, place + moves[event.key])), true);
      plot?.setCursor({ left: plot.valToPos(x[place], "x"), top: 10 });
    } else if (event.key === "Enter" && onOpen) {
      event.preventDefault();
      onOpen(place);
    }
  });
  const x = periods.map((each) => new Date(each).getTime() / 1000);

  const draw = () => {
    plot?.destroy();
    const width = Math.max(240, box.clientWidth);
    const tops = lines ? shown.map((each) => each.values.map(Number)) : stacked(shown);
    const order = [...shown.keys()].reverse();
    const gap = x.length > 1 ? x[1] - x[0] : 3600;
    plot = new uPlot({
      width, height: 300, legend: { show: false }, cursor: { y: false, drag: { x: false, y: false }, points: { show: lines } },
      scales: { x: { time: false, range: () => [x[0] - (lines ? 0 : gap / 2), x[x.length - 1] + (lines ? 0 : gap / 2)] }, y: { range: (_, low, high) => [Math.min(0, low), high > 0 ? high * 1.05 : 1] } },
      axes: [
        { stroke: css("--soft"), grid: { show: false }, ticks: { show: false }, space: 70, splits: (_, __, low, high) => spread(x.filter((each) => each >= low && each <= high), width / 80), values: (_, at) => at.map((each) => tick(new Date(each * 1000), unit)) },
        { stroke: css("--soft"), grid: { stroke: css("--line"), width: 1 }, ticks: { show: false }, size: 64, values: (_, at) => at.map((each) => short(each)) },
      ],
      series: [{}, ...order.map((each) => ({
        label: shown[each].label, stroke: css(colour(shown[each].isRest ? 8 : each)), width: lines ? 2 : 0, points: { show: false },
        fill: lines ? undefined : css(colour(shown[each].isRest ? 8 : each)), paths: lines ? undefined : uPlot.paths.bars({ size: [0.85, 60], align: 0 }),
      })), ...(earlier ? [{ label: t("period_before"), stroke: css("--ink"), width: 2, dash: [6, 4], points: { show: false } }] : [])],
      hooks: { setCursor: [(self) => read(self.cursor.idx)] },
    }, [x, ...order.map((each) => tops[each]), ...(earlier ? [x.map((_, at) => (earlier[at] === undefined ? null : Number(earlier[at])))] : [])], box);
  };
  let asked = 0;
  const resized = new ResizeObserver(() => {
    if (box.clientWidth && box.clientWidth !== asked) { asked = box.clientWidth; draw(); }
    if (!box.isConnected) resized.disconnect();
  });
  if (periods.length) resized.observe(box);
  if (onOpen) {
    box.style.cursor = "pointer";
    box.addEventListener("click", () => { if (plot?.cursor.idx !== null && plot?.cursor.idx !== undefined) onOpen(plot.cursor.idx); });
  }
  read(place);
  return wrapper;
}

function spread(values, most) {
  const step = Math.max(1, Math.ceil(values.length / Math.max(2, most)));
  return values.filter((_, place) => place % step === 0);
}

// Adds texts of decimals exactly, as integers of the finest digit.
export function sum(values) {
  const digits = Math.max(0, ...values.map((value) => (String(value).split(".")[1] || "").length));
  const total = values.reduce((all, value) => {
    const [whole, rest = ""] = String(value).split(".");
    return all + BigInt(whole + rest.padEnd(digits, "0"));
  }, 0n);
  if (!digits) return String(total);
  const text = String(total < 0n ? -total : total).padStart(digits + 1, "0");
  return `${total < 0n ? "-" : ""}${text.slice(0, -digits)}.${text.slice(-digits)}`;
}

export function running(values) {
  const found = [];
  let before = "0";
  for (const value of values) { before = sum([before, value]); found.push(before); }
  return found;
}

export function legend(series, before = null) {
  return h("ol", { className: "legend" }, series.map((each, place) =>
    h("li", {}, h("span", { className: `swatch c${each.isRest ? 8 : place % 9}`, "aria-hidden": "true" }, String(place + 1)), each.label)),
  before && h("li", {}, h("span", { className: "swatch dashed", "aria-hidden": "true" }), t("period_before")));
}

export function summary({ periods, totals, unit, of }) {
  if (!periods.length) return t("no_usage");
  const values = totals.map(Number);
  const most = values.indexOf(Math.max(...values));
  return t("summary", { periods: String(periods.length), unit: t(`unit_${unit}`), total: amount(of, sum(totals)), most: amount(of, totals[most]), when: period(periods[most], unit) });
}

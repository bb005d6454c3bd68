// Numbers and times in the reader's locale. Amounts are texts and keep every digit.
import { zone } from "./state.js";

const locale = navigator.languages?.[0] || "en";
const cache = new Map();

function number(options) {
  const key = JSON.stringify(options);
  if (!cache.has(key)) cache.set(key, new Intl.NumberFormat(locale, options));
  return cache.get(key);
}

const shown = (value, options) => value === null || value === undefined ? "—" : number(options).format(value);

export const integer = (value) => shown(value, { maximumFractionDigits: 0 });
export const credits = (value) => shown(value, { maximumFractionDigits: 6 });
export const exactly = (value) => shown(value, { maximumFractionDigits: 12 });
const dollars = (text) => text.startsWith("-") ? `-$${text.slice(1)}` : `$${text}`;
export const usd = (value) => value === null || value === undefined ? "—" : dollars(shown(value, { maximumFractionDigits: 12 }));
export const percent = (value) => shown(value, { style: "percent", maximumFractionDigits: 2 });
export const ms = (value) => value === null || value === undefined ? "—" : `${shown(value, { maximumFractionDigits: 1 })} ms`;
export const short = (value) => shown(value, { notation: "compact", maximumFractionDigits: 2 });

export function amount(of, value) {
  return of === "cost" ? usd(value) : of === "credits" || of === "charged" ? credits(value) : integer(value);
}

// An estimate: digits beyond these would look as if they were known.
export function estimate(of, value) {
  if (value === null || value === undefined) return "—";
  const text = shown(value, { maximumFractionDigits: of === "cost" ? 4 : of === "credits" || of === "charged" ? 2 : 0 });
  return of === "cost" ? dollars(text) : text;
}

function clock(options) {
  const key = JSON.stringify([options, zone()]);
  if (!cache.has(key)) cache.set(key, new Intl.DateTimeFormat(locale, { timeZone: zone(), ...options }));
  return cache.get(key);
}

const at = (value) => value instanceof Date ? value : new Date(value);
export const time = (value) => value ? clock({ dateStyle: "medium", timeStyle: "medium" }).format(at(value)) : "—";
export const day = (value) => value ? clock({ dateStyle: "medium" }).format(at(value)) : "—";

const PERIOD = {
  "quarter-hour": { dateStyle: "medium", timeStyle: "short" }, hour: { dateStyle: "medium", timeStyle: "short" },
  day: { weekday: "short", day: "numeric", month: "short", year: "numeric" }, week: { day: "numeric", month: "short", year: "numeric" }, month: { month: "long", year: "numeric" },
};
export const period = (value, unit) => clock(PERIOD[unit] || PERIOD.day).format(at(value));

const TICK = { "quarter-hour": { hour: "2-digit", minute: "2-digit" }, hour: { day: "numeric", hour: "2-digit", minute: "2-digit" }, day: { day: "numeric", month: "short" }, week: { day: "numeric", month: "short" }, month: { month: "short", year: "2-digit" } };
export const tick = (value, unit) => clock(TICK[unit] || TICK.day).format(at(value));

// The change against the period before; "—" without a base.
export function change(now, before) {
  const base = before === null || before === undefined ? 0 : Number(before);
  if (!base || now === null || now === undefined) return null;
  return (Number(now) - base) / Math.abs(base);
}

export function today() {
  return new Intl.DateTimeFormat("en-CA", { timeZone: zone() }).format(new Date());
}

export function addDays(date, days) {
  const moved = new Date(`${date}T00:00:00Z`);
  moved.setUTCDate(moved.getUTCDate() + days);
  return moved.toISOString().slice(0, 10);
}

// Moments as the wall clock of the page's zone shows them, and back.
import { zone } from "./state.js";

function parts(at) {
  const found = new Intl.DateTimeFormat("en-CA", { timeZone: zone(), hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" }).formatToParts(at);
  return Object.fromEntries(found.map(({ type, value }) => [type, value]));
}

// The wall clock at a moment, as a field of type datetime-local has it.
export function local(moment) {
  const { year, month, day, hour, minute, second } = parts(new Date(moment));
  return `${year}-${month}-${day}T${hour}:${minute}:${second}`;
}

// The moment at which the wall clock shows `text`; of two such moments the first.
export function utc(text) {
  const wall = Date.parse(`${text}Z`);
  const behind = (at) => Date.parse(`${local(at)}Z`) - at;
  const found = [wall - 86_400_000, wall + 86_400_000].map((near) => wall - behind(near)).sort((a, b) => a - b);
  const exact = found.find((at) => at + behind(at) === wall) ?? found[0];
  return new Date(exact).toISOString().replace(".000Z", "Z");
}

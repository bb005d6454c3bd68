// Differences of two objects, line by line of their JSON.
import { h } from "./dom.js";
import { t } from "./texts.js";

// Numbers with a point are texts here, so that no digit is lost; they are written as numbers.
export const readable = (value) => JSON.stringify(value, null, 2).replace(/"(-?\d+\.\d+)"/g, "$1");

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value && typeof value === "object") return Object.fromEntries(Object.keys(value).sort().map((name) => [name, sorted(value[name])]));
  return value;
}

const lines = (value) => (value ? readable(sorted(value)).split("\n") : []);

// The longest common lines, by the table of the lengths of all ends.
function steps(old, now) {
  const length = Array.from({ length: old.length + 1 }, () => new Array(now.length + 1).fill(0));
  for (let i = old.length - 1; i >= 0; i--) for (let j = now.length - 1; j >= 0; j--) {
    length[i][j] = old[i] === now[j] ? length[i + 1][j + 1] + 1 : Math.max(length[i + 1][j], length[i][j + 1]);
  }
  const found = [];
  let [i, j] = [0, 0];
  while (i < old.length || j < now.length) {
    if (i < old.length && j < now.length && old[i] === now[j]) { found.push([" ", old[i]]); i++; j++; }
    else if (j >= now.length || (i < old.length && length[i + 1][j] >= length[i][j + 1])) found.push(["−", old[i++]]);
    else found.push(["+", now[j++]]);
  }
  return found;
}

// What goes and what comes, with two lines around each change.
export function difference(before, after) {
  const found = steps(lines(before), lines(after));
  const changed = found.flatMap(([sign], at) => (sign === " " ? [] : [at]));
  if (!changed.length) return h("p", {}, t("no_difference"));
  const near = found.map((_, at) => changed.some((place) => Math.abs(place - at) <= 2));
  return h("pre", { className: "diff", tabindex: "0" }, found.map(([sign, line], at) => {
    if (!near[at]) return near[at - 1] ? "  ⋯\n" : null;
    return sign === " " ? `  ${line}\n` : h(sign === "−" ? "del" : "ins", {}, `${sign} ${line}\n`);
  }));
}

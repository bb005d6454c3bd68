// Fields of forms: texts, numbers, choices, moments of the zone, documents.
import { exact } from "./api.js";
import { h } from "./dom.js";
import { local, utc } from "./moments.js";
import { zone } from "./state.js";
import { t } from "./texts.js";

// A field: {name, label, value, required, hint, and one of: number, options, checks, moment, rows, type}.
export function control(field) {
  const hint = field.hint && h("small", { id: `hint-${field.name}` }, field.hint);
  if (field.checks) {
    const boxes = field.checks.map((value) => h("input", { type: "checkbox", value, checked: (field.value || []).includes(value) }));
    return { boxes, element: h("fieldset", {}, h("legend", {}, field.label), hint, h("div", { className: "checks" }, boxes.map((box) => h("label", {}, box, ` ${box.value}`)))) };
  }
  const input = single(field);
  if (hint) input.setAttribute("aria-describedby", hint.id);
  return { input, element: h("div", {}, h("label", {}, field.moment ? `${field.label} (${zone()})` : field.label, input), hint) };
}

function single(field) {
  if (field.options) return h("select", {}, field.options.map((each) => (Array.isArray(each) ? each : [each, each])).map(([value, text]) => h("option", { value, selected: value === field.value }, text)));
  if (field.rows) return h("textarea", { rows: String(field.rows), required: field.required, className: "mono", spellcheck: "false", value: field.value ?? "" });
  if (field.moment) return h("input", { type: "datetime-local", step: "1", required: field.required, value: field.value ? local(field.value) : "" });
  return h("input", { value: field.value ?? "", required: field.required, type: field.type || "text", inputmode: field.number ? "decimal" : null, pattern: field.number ? "-?[0-9]+(\\.[0-9]+)?" : null, placeholder: field.placeholder, spellcheck: "false", autocomplete: "off" });
}

// The value of a field: a text, or a list of those that are checked.
export function given(field, { input, boxes }) {
  if (boxes) return boxes.filter((box) => box.checked).map((box) => box.value);
  if (field.moment) return input.value ? utc(input.value) : "";
  return input.value.trim();
}

export const words = (text) => text.split(/[\s,]+/).filter(Boolean);
export const numberOrNull = (text) => (text === "" ? null : exact(text));
export const orNothing = (text) => (text === "" ? undefined : text);

// The document is sent as it was typed: its numbers keep their digits.
export function jsonText(text) {
  try { JSON.parse(text); } catch (error) { throw new Error(`${t("not_json")}: ${error.message}`); }
  return text;
}

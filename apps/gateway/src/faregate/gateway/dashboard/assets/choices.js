// Choices whose value stands in the address.
import { h } from "./dom.js";
import { change, params } from "./state.js";

export const chosen = (name, known, otherwise = known[0]) => (known.includes(params().get(name)) ? params().get(name) : otherwise);

export function choice(label, name, value, options) {
  return h("label", { className: "inline" }, `${label} `, h("select", { className: "small", onchange: (event) => change({ [name]: event.target.value }) },
    options.map(([key, text]) => h("option", { value: key, selected: key === value }, text))));
}

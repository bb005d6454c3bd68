// The catalogue of the chosen language. A second language is another file like texts.en.js.
import { texts } from "./texts.en.js";

export const has = (key) => key in texts;

export function t(key, values = {}) {
  const text = texts[key];
  if (text === undefined) throw new Error(`no text for ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

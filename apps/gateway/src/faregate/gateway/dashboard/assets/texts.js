// The catalogue of the chosen language. A second language is another file like texts.en.js.
import { texts } from "./texts.en.js";

export const has = (key) => key in texts;

// Adds the texts of a part that is loaded later.
export const addTexts = (more) => Object.assign(texts, more);

export function t(key, values = {}) {
  const text = texts[key];
  if (text === undefined) throw new Error(`no text for ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

// Completion: which fields, arguments or values fit at a place of a query.

const TOKEN = /#[^\n]*|"""[\s\S]*?"""|"(?:[^"\\\n]|\\.)*"|\.\.\.|[{}()[\]:!=$@|,]|[_A-Za-z][_0-9A-Za-z]*|-?[0-9.eE+-]+/g;

export function completionsAt(schema, text, place) {
  const word = /[_A-Za-z][_0-9A-Za-z]*$/.exec(text.slice(0, place))?.[0] ?? "";
  const start = place - word.length;
  const names = namesAt(schema, text.slice(0, start)).filter((each) => each.name.startsWith(word));
  return { start, names };
}

// Reads the query up to the place, and keeps the types whose braces are open.
function namesAt(schema, before) {
  const open = [];
  let field = null, pending = null, inside = 0;
  for (const [token] of before.matchAll(TOKEN)) {
    if (token[0] === "#" || token[0] === '"') continue;
    if (inside) {
      inside += token === "(" ? 1 : token === ")" ? -1 : 0;
    } else if (token === "(") {
      inside = 1;
    } else if (token === "{") {
      open.push(pending ?? field?.type ?? (open.length ? null : schema.root));
      field = pending = null;
    } else if (token === "}") {
      open.pop();
      field = null;
    } else if (/^[_A-Za-z]/.test(token)) {
      if (schema.types[token]) pending = token;
      field = schema.types[open.at(-1)]?.fields.find((each) => each.name === token) ?? null;
    }
  }
  if (inside) return (field?.args ?? []).map((each) => ({ name: each.name, kind: each.shown }));
  return (schema.types[open.at(-1)]?.fields ?? []).map((each) => ({ name: each.name, kind: each.shown }));
}

// JSON with places: where in a text a field stands, and where a text stops being JSON.

/** What was read, or where and why not. */
export type Read = { ok: true; value: unknown; places: Map<string, [number, number]> } | { ok: false; at: number; why: string };

/** Reads a text; places are named as the API names them: `/container/portMappings(0)/hostPort`. */
export function read(text: string): Read {
  const places = new Map<string, [number, number]>();
  let at = 0;
  const fail = (why: string): never => {
    throw { at, why };
  };
  const blank = (): void => {
    while (/[ \t\r\n]/.test(text[at] ?? "")) at++;
  };
  const literal = (pattern: RegExp, what: string): string => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found === undefined) return fail(`${what} is expected${text[at] === undefined ? ", but the text ends" : `, not “${text[at]}”`}`);
    at += found.length;
    return found;
  };
  const string = (): string => {
    const begin = at;
    const raw = literal(/"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y, "a text in quotes that ends on its line");
    return text.slice(begin, at) === raw ? (JSON.parse(raw) as string) : "";
  };
  const value = (path: string): unknown => {
    blank();
    const begin = at;
    let read: unknown;
    if (text[at] === "{") {
      const object: Record<string, unknown> = {};
      at++;
      blank();
      while (text[at] !== "}") {
        const named = at;
        const name = string();
        if (Object.hasOwn(object, name)) {
          at = named;
          fail(`“${name}” stands here twice`);
        }
        blank();
        literal(/:/y, "a colon");
        object[name] = value(`${path}/${name}`);
        blank();
        if (text[at] === "}") break;
        literal(/,/y, "a comma or }");
        blank();
        if (text[at] === "}") fail("another field is expected behind the comma");
      }
      at++;
      read = object;
    } else if (text[at] === "[") {
      const list: unknown[] = [];
      at++;
      blank();
      while (text[at] !== "]") {
        list.push(value(`${path}(${list.length})`));
        blank();
        if (text[at] === "]") break;
        literal(/,/y, "a comma or ]");
        blank();
        if (text[at] === "]") fail("another value is expected behind the comma");
      }
      at++;
      read = list;
    } else if (text[at] === '"') {
      read = string();
    } else {
      read = JSON.parse(literal(/true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y, "a value"));
    }
    places.set(path || "/", [begin, at]);
    return read;
  };
  try {
    const found = value("");
    blank();
    if (at < text.length) fail("nothing more is expected");
    return { ok: true, value: found, places };
  } catch (error) {
    if (error instanceof Error) throw error;
    return { ok: false, ...(error as { at: number; why: string }) };
  }
}

/** Where a path stands, or the nearest thing around it. */
export function place(places: Map<string, [number, number]>, path: string): [number, number] {
  for (let it = path; it.length > 1; it = it.replace(/(?:\/[^/()]*|\(\d+\))$/, "")) {
    const found = places.get(it);
    if (found) return found;
    if (!/[/(]/.test(it)) break;
  }
  return places.get("/") ?? [0, 0];
}

/** Line and column, from 1. */
export function position(text: string, at: number): { line: number; column: number } {
  const before = text.slice(0, at).split("\n");
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

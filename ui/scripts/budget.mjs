// The first load stays small: what the page names and what that imports at once, compressed as it is served.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const BYTES_MAX = 60_000;

const dist = new URL("../dist/", import.meta.url);
const read = (name) => readFileSync(new URL(name, dist));
const page = read("index.html").toString();
const open = [...page.matchAll(/(?:src|href)="\/ui\/([^"]+)"/g)].map((it) => it[1]);
const seen = new Map([["index.html", gzipSync(page, { level: 9 }).length]]);
while (open.length > 0) {
  const name = open.pop();
  if (seen.has(name)) continue;
  const text = read(name);
  seen.set(name, gzipSync(text, { level: 9 }).length);
  if (!name.endsWith(".js")) continue;
  // Static imports; what is loaded when needed stands in a call.
  for (const [, other] of text.toString().matchAll(/(?:from|import)\s*"\.\/([^"]+)"/g)) open.push(`assets/${other}`);
}
const bytes = [...seen.values()].reduce((sum, it) => sum + it, 0);
console.log(`first load: ${bytes} bytes in ${seen.size} files, at most ${BYTES_MAX}`);
if (bytes > BYTES_MAX) {
  for (const [name, size] of seen) console.error(`  ${size}  ${name}`);
  console.error("ui: the first load is too large; load parts of it when they are needed");
  process.exit(1);
}

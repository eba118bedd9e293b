// What tests/units.mjs looks at.
export { Parser } from "../src/api/sse.ts";
export { cli, word } from "../src/lib/cli.ts";
export { services } from "../src/lib/consul.ts";
export { definition, differences } from "../src/lib/diff.ts";
export { convert } from "../src/lib/docker.ts";
export { passes, toggleStatus } from "../src/lib/filter.ts";
export { sentence, short, span } from "../src/lib/format.ts";
export { place, position, read } from "../src/lib/json.ts";
export { status } from "../src/status.ts";
export { marked, plain } from "../src/lib/lines.ts";

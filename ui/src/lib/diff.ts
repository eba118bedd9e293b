// How two definitions differ, field by field.

/** A JSON value. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** One field that differs; a side that is absent has it not. */
export interface Difference {
  path: string;
  before?: Json;
  after?: Json;
}

/** What the server writes by itself, and what stands beside a definition. */
const OURS = new Set([
  "version", "versionInfo", "tasksStaged", "tasksRunning", "tasksHealthy", "tasksUnhealthy", "deployments", "tasks",
  "lastTaskFailure", "readinessCheckResults", "taskStats",
]);

/** A definition as a user writes it. */
export function definition(printed: object): Record<string, Json> {
  const entries = Object.entries(structuredClone(printed) as Record<string, Json>);
  return Object.fromEntries(entries.filter(([name]) => !OURS.has(name)));
}

const isObject = (it: Json | undefined): it is { [name: string]: Json } =>
  typeof it === "object" && it !== null && !Array.isArray(it);

/** The fields that differ, in the order of the second one. */
export function differences(before: Json | undefined, after: Json | undefined, path = ""): Difference[] {
  if (isObject(before) && isObject(after)) {
    const names = [...Object.keys(after), ...Object.keys(before).filter((it) => !(it in after))];
    return names.flatMap((name) => differences(before[name], after[name], path ? `${path}.${name}` : name));
  }
  if (Array.isArray(before) && Array.isArray(after) && (before.some(isObject) || after.some(isObject))) {
    const n = Math.max(before.length, after.length);
    return Array.from({ length: n }, (_, at) => differences(before[at], after[at], `${path}[${at}]`)).flat();
  }
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  return [{ path, ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) }];
}

/** A value on one line. */
export const brief = (it: Json): string => (typeof it === "string" ? it : JSON.stringify(it));

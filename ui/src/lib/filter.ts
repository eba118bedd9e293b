// The filter of the list of apps: `status:waiting label:team=pay image:web pay`.
import type { App } from "../api/store.ts";
import type { Word } from "../status.ts";

/** Whether an app passes. Words of one kind are alternatives, kinds are conditions; bare words are parts of the id. */
export function passes(app: App, word: Word, filter: string): boolean {
  const kinds = new Map<string, string[]>();
  for (const term of filter.toLowerCase().split(/\s+/).filter(Boolean)) {
    const [, kind = "", value = ""] = /^(?:(status|label|image|group):)?(.*)$/.exec(term) ?? [];
    kinds.set(kind, [...(kinds.get(kind) ?? []), value]);
  }
  for (const [kind, values] of kinds) {
    const isOne = (test: (value: string) => boolean): boolean => values.some(test);
    const fits =
      kind === "status" ? isOne((it) => word.toLowerCase().startsWith(it))
      : kind === "label" ? isOne((it) => hasLabel(app, it))
      : kind === "image" ? isOne((it) => (app.container?.docker?.image ?? "").toLowerCase().includes(it))
      : kind === "group" ? isOne((it) => app.id.startsWith(`${it.replace(/\/*$/, "")}/`))
      : values.every((it) => app.id.toLowerCase().includes(it));
    if (!fits) return false;
  }
  return true;
}

function hasLabel(app: App, term: string): boolean {
  const [name = "", value] = term.split("=");
  return Object.entries(app.labels).some(([key, it]) => key.toLowerCase() === name && (value === undefined || it.toLowerCase() === value));
}

/** A filter with this status, or without it where it had it. */
export function toggleStatus(filter: string, word: Word): string {
  const terms = filter.split(/\s+/).filter(Boolean);
  const term = `status:${word.toLowerCase()}`;
  return (terms.includes(term) ? terms.filter((it) => it !== term) : [...terms, term]).join(" ");
}

// Where the reader is. Every page, tab, filter and search is an address.
import { computed, signal } from "@preact/signals";

const BASE = "/ui";

/** The address. */
export const url = signal(new URL(location.href));
/** The page's part of it: `/apps`, `/app/pay/api`. */
export const path = computed(() => {
  const { pathname } = url.value;
  return pathname.startsWith(BASE) ? pathname.slice(BASE.length).replace(/\/+$/, "") || "/" : "/";
});

/** The address of a page; parameters without a value are left out. */
export function href(page: string, parameters: Record<string, string | undefined> = {}): string {
  const given = Object.entries(parameters).filter((it): it is [string, string] => !!it[1]);
  return `${BASE}${page}${given.length > 0 ? `?${new URLSearchParams(given)}` : ""}`;
}

export const appHref = (id: string, tab?: string): string =>
  href(`/app${id.split("/").map(encodeURIComponent).join("/")}`, { tab });

/** Goes to a page. */
export function go(to: string): void {
  history.pushState(null, "", to);
  arrive();
  scrollTo(0, 0);
  // Who reads with ears hears where he is; the keyboard goes on from there.
  requestAnimationFrame(() => document.querySelector<HTMLElement>("main h1")?.focus());
}

/** A parameter of the address; empty where it is not there. */
export const parameter = (name: string): string => url.value.searchParams.get(name) ?? "";

/** Changes parameters without leaving the page; an empty one goes. */
export function setParameters(parameters: Record<string, string>, keep = false): void {
  const next = new URL(url.peek());
  for (const [name, value] of Object.entries(parameters)) {
    if (value) next.searchParams.set(name, value);
    else next.searchParams.delete(name);
  }
  if (next.href === url.peek().href) return;
  if (keep) history.pushState(null, "", next);
  else history.replaceState(null, "", next);
  url.value = next;
}

function arrive(): void {
  url.value = new URL(location.href);
}

/** Follows links of the UI without loading anything. */
export function start(): void {
  if (!location.pathname.startsWith(BASE)) history.replaceState(null, "", `${BASE}/apps`);
  arrive();
  addEventListener("popstate", arrive);
  document.addEventListener("click", (event) => {
    const link = (event.target as Element).closest?.("a");
    const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (!link || !isPlain || event.defaultPrevented || link.target || link.hasAttribute("download")) return;
    if (link.origin !== location.origin || !link.pathname.startsWith(`${BASE}/`)) return;
    event.preventDefault();
    go(link.href);
  });
}

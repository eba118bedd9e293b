// The frame around every page: where to go, how the server is, what was done.
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { heardAt } from "../api/client.ts";
import { link, tryNow } from "../api/live.ts";
import { active, refresh, trouble } from "../api/store.ts";
import { clock, now, span } from "../lib/format.ts";
import { deeds, dialog, dismiss, outcome } from "../parts/actions.tsx";
import { Chip, Heading, Icon, showCurrent } from "../parts/parts.tsx";
import { AboutPage } from "../pages/about/about.tsx";
import { AppPage } from "../pages/app/app.tsx";
import { AppsPage } from "../pages/apps/apps.tsx";
import { CreatePage } from "../pages/create/create.tsx";
import { DeploymentPage } from "../pages/deployments/deployment.tsx";
import { DeploymentsPage } from "../pages/deployments/deployments.tsx";
import { EventsPage } from "../pages/events/events.tsx";
import { NodePage } from "../pages/nodes/node.tsx";
import { NodesPage } from "../pages/nodes/nodes.tsx";
import { WaitingPage } from "../pages/waiting/waiting.tsx";
import { Palette, isPaletteOpen } from "./palette.tsx";
import { PLACES, waiting } from "./places.ts";
import { go, href, path } from "./router.ts";
import { areKeysOn, Help, isHelpOpen } from "./keys.tsx";
import { theme } from "./theme.ts";

export function Shell() {
  useKeys();
  theme.value;
  return (
    <>
      <a class="skip" href="#main">Skip to content</a>
      <div class="frame">
        <header>
          <a class="brand" href={href("/apps")}>Ekiden</a>
          <span class="end" />
          <button type="button" class="find" aria-keyshortcuts="Control+K" aria-haspopup="dialog" onClick={() => (isPaletteOpen.value = true)}>
            <Icon name="search" /> <span class="wide-only">Search or run… </span><kbd>Ctrl K</kbd>
          </button>
          <LinkChip />
        </header>
        <Navigation />
        <main id="main" tabIndex={-1}>
          <Banner />
          <Page />
        </main>
      </div>
      <Deeds />
      {dialog.value?.()}
      {isPaletteOpen.value && <Palette />}
      {isHelpOpen.value && <Help />}
    </>
  );
}

function Navigation() {
  const here = path.value;
  const counts: Record<string, number> = { Waiting: waiting().length, Deployments: active.value.size };
  const strip = useRef<HTMLElement>(null);
  // A number beside a name makes it wider.
  const counted = Object.values(counts).filter((n) => n > 0).length;
  useEffect(() => showCurrent(strip.current), [here, counted]);
  return (
    <nav aria-label="Main" ref={strip}>
      <ul>
        {PLACES.map((it) => {
          const isHere = it.of.some((part) => here === part || (part.length > 1 && part.endsWith("/") && here.startsWith(part)));
          const n = counts[it.name] ?? 0;
          return (
            <li key={it.name}>
              <a href={href(it.page)} aria-current={isHere ? "page" : undefined}>
                {it.name}
                {n > 0 && <span class="badge">{n}</span>}
              </a>
            </li>
          );
        })}
      </ul>
    </nav>
  );
}

function Page() {
  const here = path.value;
  if (here === "/" || here === "/apps") return <AppsPage />;
  if (here === "/new") return <CreatePage />;
  if (here.startsWith("/app/")) return <AppPage id={decodeURIComponent(here.slice(4))} key={here} />;
  if (here === "/deployments") return <DeploymentsPage />;
  if (here.startsWith("/deployment/")) return <DeploymentPage id={here.slice("/deployment/".length)} />;
  if (here === "/waiting") return <WaitingPage />;
  if (here === "/nodes") return <NodesPage />;
  if (here.startsWith("/node/")) return <NodePage name={decodeURIComponent(here.slice("/node/".length))} key={here} />;
  if (here === "/events") return <EventsPage />;
  if (here === "/about") return <AboutPage />;
  return (
    <>
      <Heading title="There is no such page" />
      <p>Nothing stands at <code>{here}</code>. <a href={href("/apps")}>All apps</a> are one click away.</p>
    </>
  );
}

function LinkChip() {
  const { how } = link.value;
  const names = { live: "Live", connecting: "Connecting", lost: "Reconnecting" };
  const tones = { live: "ok", connecting: "info", lost: "warn" } as const;
  return <span role="status"><Chip tone={tones[how]}>{names[how]}</Chip></span>;
}

/** It is asked every three seconds; after so long without an answer it is away, milliseconds. */
const SILENCE = 4000;

/** Says that the server is away, and how old is what is shown. */
function Banner() {
  const { how, since } = link.value;
  // A moment's interruption is not worth a word.
  const isLost = how === "lost" && now.value - since > 1500;
  const isAway = isLost && now.value - heardAt.value > SILENCE;
  if (isLost && !isAway && trouble.value === "") {
    return <div class="notice warn" role="alert"><Icon name="warn" /><p>No events have come since {clock(since)}: everything is asked for every few seconds instead.</p></div>;
  }
  if (!isAway && trouble.value === "") return null;
  const age = heardAt.value === 0 ? "Nothing was read yet." : `What you see is ${span(now.value - heardAt.value)} old.`;
  return (
    <div class="notice warn" role="alert">
      <Icon name="warn" />
      <p>
        <strong>{isAway ? `The server has not answered since ${clock(since)}.` : trouble.value}</strong> {age} It is asked again every few seconds.
      </p>
      <button type="button" class="small" onClick={() => (tryNow(), refresh())}>Try now</button>
    </div>
  );
}

const ENDS: Record<string, { tone: "ok" | "bad" | "warn" | "info"; word: string }> = {
  running: { tone: "info", word: "under way" },
  succeeded: { tone: "ok", word: "succeeded" },
  failed: { tone: "bad", word: "failed" },
  rolledBack: { tone: "warn", word: "rolled back" },
  superseded: { tone: "warn", word: "superseded" },
  cancelled: { tone: "warn", word: "cancelled" },
};

/** What was done, and how it goes on. */
function Deeds() {
  return (
    <section class="deeds" aria-label="What was done" aria-live="polite">
      {deeds.value.map((deed) => {
        const found = outcome(deed);
        const end = deed.said !== undefined ? { tone: "info" as const, word: deed.said } : (ENDS[found?.status ?? "running"] ?? ENDS.running!);
        return (
          <div class={`deed ${end.tone}`} key={deed.key}>
            <Icon name={end.tone} />
            <p>
              {deed.deployment ? <a href={href(`/deployment/${deed.deployment}`)}>{deed.what}</a> : deed.what}: {end.word}
              {found?.status === "running" && found.waiting[0] && <span class="muted"> – {found.waiting[0]}</span>}
            </p>
            <button type="button" class="small" aria-label={`Dismiss: ${deed.what}`} onClick={() => dismiss(deed.key)}><Icon name="bad" /></button>
          </div>
        );
      })}
    </section>
  );
}

const beganWithG = signal(0);

/** Keys of every page. Single letters can be turned off: about. */
function useKeys(): void {
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        isPaletteOpen.value = !isPaletteOpen.value;
        return;
      }
      const target = event.target as HTMLElement;
      const types = /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || target.isContentEditable;
      if (!areKeysOn.value || types || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
      if (Date.now() - beganWithG.value < 1500) {
        beganWithG.value = 0;
        const place = PLACES.find((it) => it.key === event.key);
        if (place) {
          event.preventDefault();
          go(href(place.page));
        }
        return;
      }
      const filter = document.querySelector<HTMLElement>("[data-filter]");
      if (event.key === "g") beganWithG.value = Date.now();
      else if (event.key === "?") isHelpOpen.value = true;
      else if (event.key === "c") go(href("/new"));
      else if (event.key === "/" && filter) filter.focus();
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}

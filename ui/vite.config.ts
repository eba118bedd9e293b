// How the web UI is built: files with hashed names below /ui/assets/, nothing inline, so that a strict policy holds.
import { defineConfig } from "vite";

// `EKIDEN_URL=http://127.0.0.1:8080 npm run dev` shows the pages as they are edited, beside that server's API.
const server = process.env.EKIDEN_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  base: "/ui/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target: "es2022",
    // scripts/clean.mjs empties it, but for the file that keeps it in the repository.
    emptyOutDir: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: {
    proxy: Object.fromEntries(
      ["/v2", "/v3", "/ping", "/help", "/metrics"].map((path) => [path, { target: server, changeOrigin: true }]),
    ),
  },
});

// Light, dark, or as the system has it.
import { signal } from "@preact/signals";

const NAME = "ekiden-theme";

/** `system`, `light` or `dark`. */
export const theme = signal(localStorage.getItem(NAME) ?? "system");

theme.subscribe((it) => {
  if (it === "light" || it === "dark") {
    document.documentElement.dataset.theme = it;
    localStorage.setItem(NAME, it);
  } else {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem(NAME);
  }
});

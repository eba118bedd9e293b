// Empties `dist`, but for the file that keeps the folder in the repository.
import { existsSync, readdirSync, rmSync } from "node:fs";

const dist = new URL("../dist/", import.meta.url);
for (const name of existsSync(dist) ? readdirSync(dist) : []) {
  if (name !== ".gitignore") rmSync(new URL(name, dist), { recursive: true });
}

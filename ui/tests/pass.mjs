// Two connections as one.

/** Passes everything on, both ways; when one ends or breaks, so does the other. */
export function pass(one, other) {
  one.on("error", () => other.destroy());
  other.on("error", () => one.destroy());
  one.on("close", () => other.destroy());
  other.on("close", () => one.destroy());
  one.pipe(other).pipe(one);
}

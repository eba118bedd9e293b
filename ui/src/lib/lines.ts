// Lines that programs wrote for terminals, as a page shows them.

/** A part of a line. */
export interface Piece {
  text: string;
  /** It is what was looked for. */
  isFound: boolean;
}

/** A line is shown up to here; the whole is in the download. */
const LENGTH_MAX = 4000;
/** So many places are marked in one line. */
const MARKS_MAX = 50;

/** A line without what colours it or moves a terminal's cursor. */
export function plain(text: string): string {
  // ECMA-48: control sequences, commands for the terminal, and other control characters.
  const bare = text.replace(/\u001b\[[0-?]*[ -/]*[@-~]|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[\u0000-\u0008\u000b-\u001f\u007f]/g, "");
  return bare.length > LENGTH_MAX ? `${bare.slice(0, LENGTH_MAX)} … ${bare.length - LENGTH_MAX} more characters` : bare;
}

/** A line in parts: what was looked for, and the rest. */
export function marked(text: string, search: RegExp | undefined): Piece[] {
  if (!search) return [{ text, isFound: false }];
  const pieces: Piece[] = [];
  let end = 0;
  for (const found of text.matchAll(search)) {
    if (pieces.length >= MARKS_MAX * 2) break;
    if (found[0] === "") continue;
    if (found.index > end) pieces.push({ text: text.slice(end, found.index), isFound: false });
    pieces.push({ text: found[0], isFound: true });
    end = found.index + found[0].length;
  }
  if (end < text.length || pieces.length === 0) pieces.push({ text: text.slice(end), isFound: false });
  return pieces;
}

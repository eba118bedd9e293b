// Requests to the API, and what a failure says.
import { signal } from "@preact/signals";
import type { ErrorBody, ErrorDetail, LockingDeployment } from "./types.ts";

/** An answer takes no longer, or the server is taken for gone, milliseconds. */
const PATIENCE = 20_000;

/** When the server was last heard of, in milliseconds of this machine's clock; 0: never. */
export const heardAt = signal(0);

/** An answer that says no, or none. */
export class ApiError extends Error {
  /** The HTTP status; 0 where no answer came. */
  readonly status: number;
  /** What is wrong at which place of the body. */
  readonly details: ErrorDetail[];
  /** The deployments that hold what is to be changed. */
  readonly deployments: LockingDeployment[];

  constructor(status: number, message: string, body?: Partial<ErrorBody>) {
    super(message);
    this.status = status;
    this.details = Array.isArray(body?.details) ? body.details : [];
    this.deployments = body?.deployments ?? [];
  }

  /** Whether nobody can say whether the change was made. */
  get isUnclear(): boolean {
    return this.status === 0;
  }
}

/** Asks for JSON. `body` goes as JSON where it is given. */
export async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response: Response;
  let text: string;
  try {
    const given = body === undefined ? null : typeof body === "string" ? body : JSON.stringify(body);
    response = await fetch(path, { method, headers, body: given, signal: AbortSignal.timeout(PATIENCE) });
    text = await response.text();
  } catch (error) {
    const late = error instanceof DOMException && error.name === "TimeoutError";
    throw new ApiError(0, late ? `The server did not answer within ${PATIENCE / 1000} s.` : "The server does not answer.");
  }
  heardAt.value = Date.now();
  if (response.ok) return (text === "" ? undefined : JSON.parse(text)) as T;
  let told: Partial<ErrorBody> = {};
  try {
    told = JSON.parse(text) as ErrorBody;
  } catch {
    // Not of the API: something between.
  }
  const detail = typeof told.details === "string" ? `: ${told.details}` : "";
  throw new ApiError(response.status, `${told.message || `The server answered ${response.status}`}${detail}`, told);
}

/** The path of an app's resource. */
export const appPath = (id: string): string => `/v2/apps${encodeId(id)}`;

/** An id's segments as a URL has them. */
export const encodeId = (id: string): string => id.split("/").map(encodeURIComponent).join("/");

// Asking again and again for what no event tells, while somebody looks.
import { useEffect, useState } from "preact/hooks";
import { ApiError } from "../api/client.ts";

/** So often, milliseconds. */
const LOOK = 2000;

/** What `ask` answers, and again every two seconds while `again` holds; by `key` it begins anew. */
export function usePolled<T>(key: string, ask: () => Promise<T>, again: boolean): { value: T | undefined; error: ApiError | undefined } {
  const [state, set] = useState<{ key: string; value?: T; error?: ApiError }>({ key });
  useEffect(() => {
    let isOver = false;
    let timer: number | undefined;
    const look = async (): Promise<void> => {
      try {
        if (!document.hidden) {
          const value = await ask();
          if (!isOver) set({ key, value });
        }
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        // What was read stays where the server is only away.
        if (!isOver) set((before) => (error.isUnclear && before.key === key && before.value !== undefined ? before : { key, error }));
      }
      if (!isOver && again) timer = setTimeout(() => void look(), LOOK);
    };
    void look();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [key, again]);
  return state.key === key ? { value: state.value, error: state.error } : { value: undefined, error: undefined };
}

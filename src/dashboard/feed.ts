/** What the server tells, once a second; when it falls silent the last that it told stays, and is asked for again. */
import { useEffect, useState } from "preact/hooks";
import type { DashboardView } from "../telemetry/history/view.ts";

export interface Told {
  readonly view: DashboardView | undefined;
  readonly link: "connecting" | "live" | "lost";
}

const AGAIN_MS = 3_000;

export function useFeed(): Told {
  const [told, setTold] = useState<Told>({ view: undefined, link: "connecting" });
  useEffect(() => {
    let source: EventSource | undefined;
    let again: ReturnType<typeof setTimeout> | undefined;
    const open = (): void => {
      source = new EventSource("dashboard/feed");
      source.onmessage = ({ data }) => setTold({ view: JSON.parse(data), link: "live" });
      source.onerror = () => {
        setTold(({ view }) => ({ view, link: "lost" }));
        // A refusal is final to the browser; it may have been a restart's.
        if (source?.readyState !== EventSource.CLOSED) return;
        clearTimeout(again);
        again = setTimeout(open, AGAIN_MS);
      };
    };
    const close = (): void => {
      source?.close();
      clearTimeout(again);
    };
    // A browser allows six connections to one place: tabs in the background must not use them up.
    const onVisibility = (): void => {
      close();
      if (!document.hidden) open();
    };
    document.addEventListener("visibilitychange", onVisibility);
    open();
    return () => {
      document.removeEventListener("visibilitychange", onVisibility);
      close();
    };
  }, []);
  return told;
}

/** What a stream of the benchmark is to be like. It travels as the prompt, which every gateway passes on. */

/** Broken on purpose: cut off in the middle, a 500, or a 200 without an event. */
export type Fault = "cut" | "500" | "empty";

export interface Ask {
  /** Events with content; the first comes at once. */
  readonly events: number;
  /** Between two events, in milliseconds; 0 for as fast as they are taken. */
  readonly everyMs: number;
  /** After the last event it is silent until the upstream is told to finish. */
  readonly isHeld?: boolean;
  readonly fault?: Fault | undefined;
}

/** How events written at full speed are put together, as fast models send them. */
export const EVENTS_PER_WRITE = 8;

export function toPrompt({ events, everyMs, isHeld = false, fault = undefined }: Ask): string {
  return `bench events=${events} every=${everyMs} held=${isHeld ? 1 : 0} fault=${fault ?? "none"}.`;
}

/** @returns undefined for a body that holds no such prompt */
export function readAsk(body: string): Ask | undefined {
  const found = /bench events=(\d+) every=(\d+) held=([01]) fault=(\w+)/.exec(body);
  if (found === null) return undefined;
  const [, events, every, held, fault] = found;
  return {
    events: Number(events),
    everyMs: Number(every),
    isHeld: held === "1",
    fault: fault === "none" ? undefined : (fault as Fault),
  };
}

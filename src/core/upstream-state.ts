/** How things stand with an upstream now: what of it is not asked, why, and until when. For those who watch; nothing goes by it. */
import type { FailureCode } from "./failure.ts";

/** All times in milliseconds. */
export interface UpstreamState {
  /** Attempts that run. */
  readonly open: number;
  /** What of it is not asked now, the whole of it first; only so many. */
  readonly rests: readonly Rest[];
  /** How many there are in all, by why. */
  readonly counts: Readonly<Record<Rest["why"], number>>;
  /** Keys of ours, in the order of the configuration. */
  readonly keys: readonly KeyState[];
  /** Undefined where it is not asked for its health, and before it was for the first time. */
  readonly health: HealthState | undefined;
}

export interface Rest {
  /** A model, or a path without its query; undefined for all of the upstream. Clients name them. */
  readonly part: string | undefined;
  /** It turned requests away at no cost, and has not answered since; or it failed too often (`breaker`). */
  readonly why: "outage" | "breaker";
  readonly failure: FailureCode;
  /** What it answered, where that was an HTTP error. */
  readonly status: number | undefined;
  readonly lastedMs: number;
  /** Until it may be asked again; 0 where the next request asks. */
  readonly waitMs: number;
  /** One request asks at this moment whether it is back. */
  readonly isAsked: boolean;
  /** Requests that wait for that. */
  readonly waiting: number;
}

export interface KeyState {
  /** Its place in the configuration, from 1: of the key itself nothing is told. */
  readonly number: number;
  /** Undefined while it is used. */
  readonly rest: KeyRest | undefined;
}

export interface KeyRest {
  readonly why: "refused" | "limited";
  /** With which the upstream refused it. */
  readonly status: number;
  readonly waitMs: number;
  /** The models that it is limited for; undefined where it is refused for all. */
  readonly parts: number | undefined;
}

export interface HealthState {
  readonly isUp: boolean;
  /** Since it was asked last. */
  readonly agoMs: number;
}

/** For one name of the configuration. */
export interface NamedUpstreamState extends UpstreamState {
  readonly name: string;
}

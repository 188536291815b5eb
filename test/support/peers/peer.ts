/** What other gateways have in common, as conformance and benchmarks start them: pinned, with a recipe, on a free port of loopback. */

/** How long a gateway shall wait, in milliseconds. */
export interface Patience {
  /** For a first byte, and between two. */
  readonly silenceMs: number;
  /** For all of an answer, where the gateway has no shorter one. */
  readonly totalMs: number;
}

export interface RunningPeer {
  /** Base URL for clients, with `/v1`. */
  readonly url: string;
  /** What each request needs, such as the gateway's configuration. */
  readonly headers: Readonly<Record<string, string>>;
  /** Of the gateway's own process; undefined where it is in this one. */
  readonly pid: number | undefined;
  /** Ends it, and removes its files. @returns what went wrong inside it; empty when nothing did. */
  stop(): Promise<string>;
}

export interface Peer {
  readonly name: string;
  /** The pinned version; for what is taken as the system has it, the version found, or undefined without one. */
  version(): string | undefined;
  /** Downloads it into .cache, once. @throws {Unavailable} */
  install(report: (line: string) => void): void;
  /**
   * @param upstream the base URL of the model server, with `/v1`
   * @param second another one, to be asked where the first fails; nginx alone has a recipe for it
   */
  start(upstream: string, patience: Patience, second?: string): Promise<RunningPeer>;
  /**
   * One failed request takes its upstreams out for everybody, for longer than a case lasts: then it is started anew for each case,
   * so that each is judged for itself.
   */
  readonly isStartedForEach?: true;
}

/** Why a gateway cannot be had here. */
export class Unavailable extends Error {}

/** What a fault is: a name, an optional argument, and the script of the reply it makes of a request. */
import type { DialectName, DialectScript } from "./dialect-script.ts";
import type { FaultArg } from "./fault-arg.ts";
import type { Step } from "./script.ts";

/** One request as the faults see it. Everything in it is fixed before the script runs, so that a script can run twice. */
export interface Ask {
  readonly id: string;
  /** Unix time in seconds. */
  readonly created: number;
  readonly model: string;
  /** How many choices were asked for (`n`). */
  readonly choices: number;
  readonly includeUsage: boolean;
  /** The tool that `tools` calls: the first one the client offers. */
  readonly toolName: string;
  readonly promptTokens: number;
  /** The beginning of the answer, where the request asks for the rest. */
  readonly beginning?: string | undefined;
  /** How the endpoint says it in events. @defaultValue as chat completions are said */
  readonly dialect?: DialectScript | undefined;
  /** The faultless JSON answer of the endpoint that was asked. */
  readonly answer: () => unknown;
  readonly timing: FaultTiming;
}

export interface FaultTiming {
  /** Time between two comments of a stream that only pings. */
  readonly commentMs: number;
  /** How long a stalled reply is kept open. */
  readonly stallMs: number;
}

export interface Fault {
  /** As it is written in `x-chaos` and in `chaos/…`: lower case, digits and dashes. */
  readonly name: string;
  /** One line for `perennial chaos --list`. */
  readonly summary: string;
  readonly arg?: FaultArg;
  /** May be drawn by a server that breaks requests at random (`rate`). */
  readonly random?: true;
  /** Where it makes sense; another endpoint answers as for `ok`. @defaultValue everywhere */
  readonly dialects?: readonly DialectName[];
  /** The reply to `stream: true`. `arg` is the fault's argument or its default, 0 for a fault without one. */
  stream(ask: Ask, arg: number): Iterable<Step>;
  /** The nearest reply to a request that is not streamed. */
  answer(ask: Ask, arg: number): Iterable<Step>;
}

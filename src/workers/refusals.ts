/** Errors on their way between processes: why a worker does not listen, or takes no new configuration. */
import { ConfigError } from "../config/config-error.ts";
import type { Refusal } from "./calls.ts";

export function refusalOf(error: unknown): Refusal {
  if (error instanceof ConfigError) return { problems: error.problems };
  const { message, stack, code, syscall } = error as NodeJS.ErrnoException;
  return { error: { message, stack, ...(code !== undefined && { code }), ...(syscall !== undefined && { syscall }) } };
}

/** The error as it was, as far as it is told to a user. */
export function errorOf({ problems, error }: Refusal): Error {
  if (problems !== undefined) return new ConfigError(problems);
  const { stack, ...fields } = error ?? { message: "a worker has refused", stack: undefined };
  return Object.assign(new Error(fields.message), fields, stack === undefined ? {} : { stack });
}

/** A configuration from settings that a program hands over, in the words of the configuration file. */
import type { z } from "zod";
import { ConfigError } from "./config-error.ts";
import { explainIssues } from "./explain-issues.ts";
import { findPemProblems } from "./pem-files.ts";
import { applyProfile } from "./profiles.ts";
import { type Config, configSchema } from "./schema.ts";

/** As in perennial.yaml: everything has a default. */
export type Settings = z.input<typeof configSchema>;

/** @throws ConfigError with every problem that was found */
export function configFrom(settings: Settings): Config {
  const parsed = configSchema.safeParse(applyProfile(settings), { error: () => "" });
  const problems = parsed.success ? findPemProblems(parsed.data) : explainIssues(parsed.error.issues, settings);
  if (parsed.success && problems.length === 0) return parsed.data;
  throw new ConfigError(problems.map(({ path, message }) => (path.length === 0 ? message : `${path.join(".")}: ${message}`)));
}

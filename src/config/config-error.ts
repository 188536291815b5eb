/** Everything that is wrong with the configuration, in one error, so that it can be mended in one go. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  /** One line each, such as `perennial.yaml:7:3: timeouts.idle: expected a duration …`. They never hold a secret. */
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.problems = problems;
  }
}

/** `${VAR}` and `${VAR:-default}` in the values of the configuration file. */
import type { Env } from "./env.ts";

// biome-ignore lint/suspicious/noTemplateCurlyInString: it shows the file's syntax, not ours
const SYNTAX_EXPECTED = "expected ${NAME} or ${NAME:-default}; a plain ${ is written $${";

/**
 * Replaces the variables in `text`; `$${` stands for a plain `${`. As in a shell, `:-` also replaces an empty variable.
 * @throws RangeError that names the missing variable, or says what was expected
 */
export function expandVariables(text: string, env: Env): string {
  return text.replace(/\$\$\{|\$\{(?:([A-Za-z_]\w*)(?::-([^}]*))?\})?/g, (match, name?: string, fallback?: string) => {
    if (match === "$${") return "${";
    if (name === undefined) throw new RangeError(SYNTAX_EXPECTED);
    const value = env[name];
    if (fallback !== undefined) return value === undefined || value === "" ? fallback : value;
    if (value === undefined)
      throw new RangeError(`the environment variable ${name} is not set (\${${name}:-default} gives it a default)`);
    return value;
  });
}

/** `${VAR}` and `${VAR:-default}` in the values of the configuration file. */
import type { Env } from "./env.ts";

// biome-ignore lint/suspicious/noTemplateCurlyInString: it shows the file's syntax, not ours
const SYNTAX_EXPECTED = "expected ${NAME} or ${NAME:-default}; a plain ${ is written $${";

/**
 * Replaces the variables in `text`; `$${` stands for a plain `${`. As in a shell, `:-` also replaces an empty variable.
 * A default is plain text.
 * @throws RangeError that names the missing variable, or says what was expected
 */
export function expandVariables(text: string, env: Env): string {
  return text.replace(/\$\$\{|\$\{(?:([A-Za-z_]\w*)(?::-([^}]*))?\})?/g, (match, name?: string, fallback?: string) => {
    if (match === "$${") return "${";
    if (name === undefined) throw new RangeError(SYNTAX_EXPECTED);
    // It would end at the first }, and what is left of it would be sent upstream as a key.
    if (fallback?.includes("${")) throw new RangeError(`the default of ${name} cannot hold another \${; expected plain text`);
    const value = env[name];
    if (fallback !== undefined) return value === undefined || value === "" ? fallback : value;
    if (value === undefined)
      throw new RangeError(`the environment variable ${name} is not set (\${${name}:-default} gives it a default)`);
    return value;
  });
}

/** Settings as YAML, as they may be pasted into a file. */
import { stringify } from "yaml";

export function printSettings(settings: Readonly<Record<string, unknown>>): string {
  return stringify(settings, { lineWidth: 0 });
}

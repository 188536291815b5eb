/** Every check, in the order of the list. Each is pure: the same facts get the same verdict. */
import { PROFILES } from "../config/profiles.ts";
import { checkAnswers } from "./checks/answers.ts";
import { checkBaseUrl } from "./checks/base-url.ts";
import { checkClock } from "./checks/clock.ts";
import { checkContinuation } from "./checks/continuation.ts";
import { checkEnding } from "./checks/ending.ts";
import { checkKey } from "./checks/key.ts";
import { checkMachine } from "./checks/machine.ts";
import { checkModels } from "./checks/models.ts";
import { checkRoute } from "./checks/route.ts";
import { checkTls } from "./checks/tls.ts";
import type { Facts } from "./facts.ts";
import { type Finding, note, ok, type Settings } from "./finding.ts";
import { identify } from "./identify.ts";

const CHECKS: readonly ((facts: Facts) => Finding[])[] = [
  checkMachine,
  checkRoute,
  checkTls,
  checkClock,
  checkBaseUrl,
  checkKey,
  checkModels,
  checkServer,
  checkAnswers,
  checkEnding,
  checkContinuation,
];

// biome-ignore lint/suspicious/noTemplateCurlyInString: it is the configuration that expands it
const KEY_FROM_ENVIRONMENT = "${PERENNIAL_API_KEY}";

export function judge(facts: Facts): Finding[] {
  return CHECKS.flatMap((check) => check(facts));
}

function checkServer(facts: Facts): Finding[] {
  const { profile } = facts.upstream;
  const found = identify(facts);
  if (found === undefined || found === "openai") return [];
  if (found === profile) return [ok("profile", `it is ${PROFILES[found].summary}, as the profile says`)];
  return [
    note("profile", `it looks like ${PROFILES[found].summary}`, `profile: ${found} presets what fits it`, { profile: found }),
  ];
}

/** The upstream as it should be configured: its address, and what the findings propose. */
export function propose({ upstream }: Facts, findings: readonly Finding[]): Settings {
  const proposed = findings.flatMap(({ settings }) => settings ?? []);
  const whole: Settings = Object.assign({}, ...proposed);
  const profile = String(whole.profile ?? upstream.profile);
  const { baseUrl = upstream.baseUrl, profile: _, ...settings } = whole;
  // A setting that the profile presets need not be said again.
  const presets = new Map(
    (PROFILES as Record<string, { presets: readonly { key: string; value: unknown }[] }>)[profile]?.presets.map(
      ({ key, value }) => [key, value],
    ),
  );
  const own = Object.entries(settings).filter(([key, value]) => presets.get(key) !== value);
  return {
    ...(upstream.name === "main" ? {} : { name: upstream.name }),
    baseUrl,
    ...(upstream.hasKey ? { apiKey: KEY_FROM_ENVIRONMENT } : {}),
    ...(profile === "openai" ? {} : { profile }),
    ...Object.fromEntries(own),
  };
}

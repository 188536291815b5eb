/** Whether baseUrl names the API: a redirect says where it is, and a 404 may lack the /v1. */
import type { Facts } from "../facts.ts";
import { type Finding, fault } from "../finding.ts";
import { modelsOf } from "../identify.ts";

export function checkBaseUrl(facts: Facts): Finding[] {
  const { upstream, models, modelsUnderV1, streamed } = facts;
  const moved = movedTo(facts);
  if (moved !== undefined) {
    return [fault("redirect", `the server redirects to ${moved}`, "write that address in baseUrl", { baseUrl: moved })];
  }
  const isThere = streamed !== undefined && streamed.recording.status !== 404;
  if (!isThere && models?.status === 404 && modelsOf(modelsUnderV1).length > 0) {
    const baseUrl = `${upstream.baseUrl.replace(/\/$/, "")}/v1`;
    return [fault("baseUrl", "there is no API under baseUrl, but under its /v1", "add /v1 to baseUrl", { baseUrl })];
  }
  return [];
}

/** Where the base URL should lead, without the path that was asked under it. */
function movedTo({ upstream, models, streamed }: Facts): string | undefined {
  for (const { path, status, headers } of [models, streamed && { path: streamed.path, ...streamed.recording }].flatMap(
    (each) => each ?? [],
  )) {
    const { location } = headers;
    if (status === undefined || status < 300 || status > 399 || typeof location !== "string") continue;
    const base = upstream.baseUrl.replace(/\/$/, "");
    if (!URL.canParse(location, base + path)) continue;
    const { origin, pathname } = new URL(location, base + path);
    const [asked, moved] = [path.split("?", 1)[0] ?? "", pathname.replace(/\/$/, "")];
    // A page for people, such as a login, is no API.
    if (moved.endsWith(asked)) return origin + moved.slice(0, moved.length - asked.length);
  }
  return undefined;
}

/** The way to the upstream: a proxy, its name, a connection. */
import type { Failure } from "../../core/failure.ts";
import type { Facts } from "../facts.ts";
import { type Finding, fault, note, ok } from "../finding.ts";

export function checkRoute(facts: Facts): Finding[] {
  return [...checkProxy(facts), ...checkAddress(facts), ...checkConnection(facts)];
}

function checkProxy({ proxy }: Facts): Finding[] {
  if (proxy.kind === "none") return [ok("proxy", "no proxy is used")];
  if (proxy.kind === "unusable") return [fault("proxy", proxy.problem, "correct the variable, or unset it")];
  const { host, variable } = proxy;
  return [note("proxy", `reached through the proxy ${host} (${variable})`, "if that is not meant, add the host to NO_PROXY")];
}

function checkAddress({ address, upstream }: Facts): Finding[] {
  if (address === undefined) return [];
  const { hostname } = new URL(upstream.baseUrl);
  if (address.kind === "unknown") {
    return [
      fault("resolves", `the name ${hostname} is not known (${address.code})`, "check the spelling of baseUrl, and the DNS"),
    ];
  }
  const { addresses } = address;
  return [ok("resolves", addresses[0] === hostname ? `${hostname} is an address` : `${hostname} is ${addresses.join(", ")}`)];
}

function checkConnection(facts: Facts): Finding[] {
  const { address, upstream } = facts;
  const failure = connectionFailure(facts);
  if (failure === undefined) {
    if (facts.models?.status === undefined && facts.streamed === undefined) return [];
    const ms = address?.kind === "found" ? address.connectMs : undefined;
    return [ok("connects", ms === undefined ? "connected" : `connected within ${ms} ms`)];
  }
  return [fault("connects", failure.message, adviceFor(failure, new URL(upstream.baseUrl)))];
}

/** Why nothing at all could be asked; undefined where something was answered. */
export function connectionFailure({ address, models, streamed }: Facts): Failure | undefined {
  if (address?.kind === "unknown") return undefined;
  const isAnswered = models?.status !== undefined || streamed?.recording.status !== undefined;
  return isAnswered ? undefined : models?.failure?.outage === "connection" ? models.failure : undefined;
}

function adviceFor({ message }: Failure, { protocol, hostname, port }: URL): string {
  if (/EPROTO|SSL|wrong version/i.test(message) && protocol === "https:")
    return "it speaks no TLS there: write http:// in baseUrl";
  if (/certificate|CERT|issuer|altname/i.test(message)) return "see tls below";
  if (/refused/i.test(message)) {
    const isLocal = hostname === "localhost" || hostname.startsWith("127.");
    const place = isLocal ? "; in a container, 127.0.0.1 is the container itself: host.docker.internal is its host" : "";
    return `nothing listens at port ${port || (protocol === "https:" ? 443 : 80)}: start the server, or correct baseUrl${place}`;
  }
  return "check baseUrl, a firewall, and whether the server runs";
}

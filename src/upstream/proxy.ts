/** The proxy through which an upstream is reached, as HTTPS_PROXY, HTTP_PROXY and NO_PROXY say. */
import { BlockList, connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { type buildConnector, errors } from "undici";
import { isOutOfDescriptors } from "./descriptors.ts";

export interface UpstreamProxy {
  readonly url: URL;
  /** The variable that names it, for messages. */
  readonly variable: string;
  /** For `proxy-authorization`; undefined when its URL holds no user. */
  readonly authorization: string | undefined;
}

/** The proxy failed, and not the upstream. The message says which one, and holds no secret. */
export class ProxyError extends Error {
  override readonly name = "ProxyError";
  /** It will say the same next time: it wants a user and a password, or others than it got. */
  readonly isFinal: boolean;

  constructor(message: string, isFinal = false) {
    super(message);
    this.isFinal = isFinal;
  }
}

/** A proxy's answer to CONNECT is one small head. */
const MAX_HEAD_BYTES = 16_384;

/**
 * As most programs do: `https_proxy` for https, `http_proxy` for http, in small or capital letters; never for this machine itself, which a
 * proxy could not reach.
 * @throws RangeError that names the variable, when it holds no URL of a proxy, or a user name or password that cannot be decoded.
 */
export function chooseProxy(baseUrl: string, env: Readonly<Record<string, string | undefined>>): UpstreamProxy | undefined {
  const target = new URL(baseUrl);
  const name = target.protocol === "https:" ? "https_proxy" : "http_proxy";
  const variable = env[name] ? name : name.toUpperCase();
  const value = env[variable];
  if (value === undefined || value === "" || isExempt(target, env.no_proxy || env.NO_PROXY || "")) return undefined;
  const whole = value.includes("://") ? value : `http://${value}`;
  const url = URL.canParse(whole) ? new URL(whole) : undefined;
  // The value may hold a password, and is not quoted.
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new RangeError(`${variable}: expected the URL of an HTTP proxy, such as http://proxy.example:3128`);
  }
  const user = userOf(url);
  if (user === undefined) {
    throw new RangeError(`${variable}: expected its user name and password percent-encoded, with %25 for a plain %`);
  }
  return { url, variable, authorization: user === ":" ? undefined : `Basic ${Buffer.from(user).toString("base64")}` };
}

/** `name:password` in plain text; undefined when a % stands for nothing. */
function userOf({ username, password }: URL): string | undefined {
  try {
    return `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  } catch {
    return undefined;
  }
}

function isExempt({ hostname, port, protocol }: URL, noProxy: string): boolean {
  const host = hostname.replace(/^\[|\]$|\.$/g, "").toLowerCase();
  const family = isIP(host) === 6 ? "ipv6" : "ipv4";
  const isIn = (network: string, bits: number): boolean => {
    if (isIP(host) === 0 || isIP(host) !== isIP(network)) return false;
    const list = new BlockList();
    list.addSubnet(network, bits, family);
    return list.check(host, family);
  };
  if (host === "localhost" || host.endsWith(".localhost") || host === "::1" || isIn("127.0.0.0", 8)) return true;
  const targetPort = port || (protocol === "https:" ? "443" : "80");
  return noProxy
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== "")
    .some((entry) => {
      const [, network = "", bits] = /^(.+)\/(\d{1,3})$/.exec(entry) ?? [];
      if (bits !== undefined)
        return isIP(network) !== 0 && Number(bits) <= (isIP(network) === 4 ? 32 : 128) && isIn(network, Number(bits));
      const [, name = entry, onlyPort] = /^(\[.+\]|[^:]+):(\d+)$/.exec(entry) ?? [];
      if (onlyPort !== undefined && onlyPort !== targetPort) return false;
      const exempt = name.replace(/^\[|\]$/g, "").replace(/^\*?\.|\.$/g, "");
      return exempt === "*" || host === exempt || host.endsWith(`.${exempt}`);
    });
}

/**
 * Connects to https upstreams through a tunnel that the proxy opens (RFC 9110 §9.3.6). undici's ProxyAgent does so too, but it brings pools and
 * timeouts of its own, and hides which connection an error came from, which the retry of a stale one needs to know.
 * @param secure makes the TLS connection inside the tunnel.
 * @param timeoutMs for all of it together.
 */
export function createTunnelConnector(
  proxy: UpstreamProxy,
  secure: buildConnector.connector,
  timeoutMs: number,
): buildConnector.connector {
  return (options, callback) => {
    const { hostname } = options;
    const authority = `${isIP(hostname) === 6 ? `[${hostname}]` : hostname}:${options.port || 443}`;
    const socket = openSocket(proxy.url);
    let over = false;
    const settle: buildConnector.Callback = (...result) => {
      const [error, secured] = result;
      if (over) {
        secured?.destroy();
        return;
      }
      over = true;
      clearTimeout(timer);
      if (error !== null) socket.destroy();
      callback(...result);
    };
    const fail = (message: string, isFinal = false): void =>
      settle(new ProxyError(`the proxy (${proxy.variable}) ${message}`, isFinal), null);
    const timer = setTimeout(
      () => settle(new errors.ConnectTimeoutError("no tunnel through the proxy in time"), null),
      timeoutMs,
    );

    let head = "";
    const onData = (chunk: Buffer): void => {
      head += chunk.toString("latin1");
      const end = head.indexOf("\r\n\r\n");
      if (end === -1 && head.length <= MAX_HEAD_BYTES) return;
      socket.off("data", onData);
      socket.pause();
      const status = /^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1];
      if (status === undefined || end === -1) fail("did not answer in HTTP");
      else if (!status.startsWith("2")) fail(`did not open a tunnel: it answered ${status}`, status === "407");
      // In TLS it is the client that speaks first: these bytes would be somebody else's.
      else if (head.length > end + 4) fail("sent more than its answer");
      else secure({ ...options, httpSocket: socket }, settle);
    };
    socket.on("data", onData);
    socket.once("error", (error: NodeJS.ErrnoException) => {
      if (isOutOfDescriptors(error.code)) settle(error, null);
      else fail(`could not be reached${error.code ? ` (${error.code})` : ""}`);
    });
    socket.once("close", () => fail("closed the connection"));
    const authorization = proxy.authorization === undefined ? "" : `proxy-authorization: ${proxy.authorization}\r\n`;
    socket.write(`CONNECT ${authority} HTTP/1.1\r\nhost: ${authority}\r\n${authorization}\r\n`);
  };
}

function openSocket({ protocol, hostname, port }: URL): Socket {
  const host = hostname.replace(/^\[|\]$/g, "");
  const socket =
    protocol === "https:"
      ? connectTls({
          host,
          port: Number(port || 443),
          rejectUnauthorized: true,
          ALPNProtocols: ["http/1.1"],
          ...(isIP(host) === 0 ? { servername: host } : {}),
        })
      : connectTcp({ host, port: Number(port || 80) });
  return socket.setNoDelay(true);
}

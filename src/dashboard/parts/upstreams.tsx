/** Who is asked, how things stand with each, and how it has gone lately. */
import type { JSX } from "preact";
import type { RateSnapshot } from "../../balance/rate/rate-policy.ts";
import type { KeyState } from "../../core/upstream-state.ts";
import type { DashboardView, UpstreamView } from "../../telemetry/history/view.ts";
import { formatMs } from "../format.ts";
import type { Texts } from "../texts/en.ts";
import { useTexts } from "../texts.ts";
import { conditionOf } from "../verdict.ts";
import { describeLimits, describeWait } from "./rates.ts";
import { alike, describeRests, hiddenOf } from "./rests.ts";

/** Nobody reads more at a glance; those in trouble are among them. */
const MAX_ROWS = 12;

export function Upstreams({ view }: { view: DashboardView }): JSX.Element {
  const { upstreams: words } = useTexts();
  const { upstreams, upstreamCount, tallies, queues, retries, rates } = view;
  const isInTrouble = ({ rests, keys }: UpstreamView): boolean => rests.length > 0 || keys.some(({ rest }) => rest !== undefined);
  const rows = upstreams.length <= MAX_ROWS ? upstreams : [...upstreams].sort((a, b) => +isInTrouble(b) - +isInTrouble(a));
  const hidden = upstreamCount - Math.min(rows.length, MAX_ROWS);
  return (
    <section class="card part-upstreams" aria-labelledby="upstreams-title">
      <h2 id="upstreams-title">{words.title}</h2>
      {retries.made >= retries.allowed && <p class="warn">{words.noRetries(retries.made)}</p>}
      <ul class="upstreams">
        {rows.slice(0, MAX_ROWS).map((upstream) => (
          <Upstream
            key={upstream.name}
            upstream={upstream}
            tally={tallies.find(({ name }) => name === upstream.name)}
            queued={queues[upstream.name] ?? 0}
            rate={rates.find(({ scope, name }) => scope === "upstream" && name === upstream.name)}
          />
        ))}
      </ul>
      {hidden > 0 && <p class="muted">{words.more(hidden)}</p>}
      <KeyLimits rates={rates.filter(({ scope }) => scope === "key")} count={view.limitedKeyCount} />
    </section>
  );
}

/** Those first whose requests wait. */
function KeyLimits({ rates, count }: { rates: readonly RateSnapshot[]; count: number }): JSX.Element | null {
  const { upstreams: words, rates: limitWords } = useTexts();
  if (rates.length === 0) return null;
  const rows = rates.length <= MAX_ROWS ? rates : [...rates].sort((a, b) => b.waiting - a.waiting).slice(0, MAX_ROWS);
  return (
    <>
      <h3>{limitWords.ofKeys}</h3>
      <ul class="upstreams">
        {rows.map((rate) => (
          <li key={rate.name}>
            <p class="upstream-name">
              <b>{rate.name}</b>
            </p>
            <Limits rate={rate} />
          </li>
        ))}
      </ul>
      {count > rows.length && <p class="muted">{words.more(count - rows.length)}</p>}
    </>
  );
}

function Limits({ rate }: { rate: RateSnapshot }): JSX.Element {
  const { rates: words } = useTexts();
  const wait = describeWait(rate, words);
  return (
    <>
      {wait !== "" && <p class="warn">{wait}</p>}
      {rate.limits.length > 0 && <p class="muted">{describeLimits(rate, words)}</p>}
    </>
  );
}

function Upstream({
  upstream,
  tally,
  queued,
  rate,
}: {
  upstream: UpstreamView;
  tally: DashboardView["tallies"][number] | undefined;
  queued: number;
  rate: RateSnapshot | undefined;
}): JSX.Element {
  const texts = useTexts();
  const { upstreams: words } = texts;
  const { name, host, rests, keys, open } = upstream;
  const condition = conditionOf(upstream, tally?.lately.attempts ? tally.lately : tally);
  return (
    <li data-condition={condition}>
      <p class="upstream-name">
        <b>{name}</b>
        <span class={`badge condition-${condition}`}>{words[condition]}</span>
      </p>
      <p class="muted host">{host === "" ? words.sandbox : host}</p>
      {alike(rests).map((group) => (
        <p key={group[0].part ?? ""} class="rest">
          {describeRests(group, texts, hiddenOf(group, upstream))}
        </p>
      ))}
      {keys.map(
        (key) =>
          key.rest && (
            <p key={key.number} class="rest">
              {describeKey(key, words)}
            </p>
          ),
      )}
      {queued > 0 && <p class="warn">{words.queued(queued)}</p>}
      <p>{[open > 0 && words.open(open), tally && words.attempts(tally.failed, tally.attempts)].filter(Boolean).join(" · ")}</p>
      <p class="muted">{limitsOf(upstream, words)}</p>
      {rate && <Limits rate={rate} />}
    </li>
  );
}

function describeKey({ number, rest }: KeyState, words: Texts["upstreams"]): string {
  if (rest === undefined) return "";
  return words.key[rest.why](number, rest.status, formatMs(rest.waitMs), rest.parts ?? 0);
}

function limitsOf({ profile, api, maxConnections, breaker, health, keys }: UpstreamView, words: Texts["upstreams"]): string {
  return [
    profile && `${words.profile} ${profile}`,
    api !== profile && `${words.api} ${api}`,
    keys.length > 1 && words.keys(keys.length),
    maxConnections !== undefined && words.connections(maxConnections),
    breaker !== "off" && words.breaker[breaker],
    health && words.health(health.isUp, formatMs(health.agoMs)),
  ]
    .filter(Boolean)
    .join(" · ");
}

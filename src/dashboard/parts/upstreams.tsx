/** Who is asked, and how that has gone lately. */
import type { JSX } from "preact";
import type { DashboardView, UpstreamView } from "../../telemetry/history/view.ts";
import { useTexts } from "../texts.ts";
import { conditionOf } from "../verdict.ts";

export function Upstreams({ view: { upstreams, tallies, queues } }: { view: DashboardView }): JSX.Element {
  const { upstreams: words } = useTexts();
  return (
    <section class="card" aria-labelledby="upstreams-title">
      <h2 id="upstreams-title">{words.title}</h2>
      <ul class="upstreams">
        {upstreams.map((upstream) => (
          <Upstream
            key={upstream.name}
            upstream={upstream}
            tally={tallies.find(({ name }) => name === upstream.name)}
            queued={queues[upstream.name] ?? 0}
          />
        ))}
      </ul>
    </section>
  );
}

function Upstream({
  upstream,
  tally,
  queued,
}: {
  upstream: UpstreamView;
  tally: DashboardView["tallies"][number] | undefined;
  queued: number;
}): JSX.Element {
  const { upstreams: words } = useTexts();
  const { name, host, profile, api, maxConnections } = upstream;
  const condition = conditionOf(tally?.lately.attempts ? tally.lately : tally);
  return (
    <li>
      <p class="upstream-name">
        <b>{name}</b>
        <span class={`badge condition-${condition}`}>{words[condition]}</span>
      </p>
      <p class="muted host">{host === "" ? words.sandbox : host}</p>
      {tally && <p>{words.attempts(tally.failed, tally.attempts)}</p>}
      {queued > 0 && <p class="warn">{words.queued(queued)}</p>}
      <p class="muted">
        {[
          profile && `${words.profile} ${profile}`,
          `${words.api} ${api}`,
          maxConnections !== undefined && `${maxConnections} ${words.connections}`,
        ]
          .filter(Boolean)
          .join(" · ")}
      </p>
    </li>
  );
}

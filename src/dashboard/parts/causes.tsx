/** What failed in the last hour, by upstream and cause, and whose fault it was. */
import type { JSX } from "preact";
import type { CauseView } from "../../telemetry/history/view.ts";
import { useTexts } from "../texts.ts";

const MAX_ROWS = 8;

export function Causes({ causes }: { causes: readonly CauseView[] }): JSX.Element {
  const { causes: words, code: codes, faultOf } = useTexts();
  const most = causes[0]?.count ?? 1;
  return (
    <section class="card part-causes" aria-labelledby="causes-title">
      <h2 id="causes-title">{words.title}</h2>
      {causes.length === 0 ? (
        <p class="empty">{words.none}</p>
      ) : (
        <ul class="bars">
          {causes.slice(0, MAX_ROWS).map(({ upstream, code, fault, count }) => (
            <li key={`${upstream}${code}${fault}`}>
              <span class="bar-name">
                {codes[code]} <code>{code}</code>
              </span>
              <b>{count}</b>
              <span class={`bar fault-${fault}`} aria-hidden="true">
                <i style={{ width: `${(100 * count) / most}%` }} />
              </span>
              <small class="muted">
                {faultOf[fault]} · {upstream ?? words.nowhere}
              </small>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

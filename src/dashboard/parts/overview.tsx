/** All that happens, at a glance: the four answers first, then what runs, what has ended, and who is asked. */
import type { JSX } from "preact";
import type { DashboardView } from "../../telemetry/history/view.ts";
import { Causes } from "./causes.tsx";
import { FourAnswers } from "./four-answers.tsx";
import { HourChart } from "./hour-chart.tsx";
import { LatestStreams } from "./latest-streams.tsx";
import { OpenStreams } from "./open-streams.tsx";
import { TimingChart } from "./timing-chart.tsx";
import { TryIt } from "./try-it.tsx";
import { Upstreams } from "./upstreams.tsx";

export function Overview({ view }: { view: DashboardView }): JSX.Element {
  return (
    <>
      <FourAnswers view={view} />
      {view.canTry && <TryIt startsByItself={view.total === 0} />}
      <div class="columns overview">
        <div class="column">
          <OpenStreams view={view} />
          <HourChart minutes={view.minutes} />
          <LatestStreams all={view.recent} troubled={view.troubled} />
        </div>
        <div class="column">
          <Upstreams view={view} />
          <Causes causes={view.causes} />
          <TimingChart what="firstToken" timing={view.firstToken} />
          <TimingChart what="longestGap" timing={view.longestGap} />
        </div>
      </div>
    </>
  );
}

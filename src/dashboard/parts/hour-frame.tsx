/** What stands around a picture of the last hour: how high it is, where it begins, and where now is. */
import type { ComponentChildren, JSX } from "preact";
import { useTexts } from "../texts.ts";

/** @param most what its upper edge stands for. */
export function HourFrame({ most, children }: { most: string; children: ComponentChildren }): JSX.Element {
  const { hour } = useTexts();
  return (
    <>
      <p class="axis axis-top" aria-hidden="true">
        <span>{most}</span>
      </p>
      {children}
      <p class="axis" aria-hidden="true">
        <span>{hour.ago}</span>
        <span>{hour.nowLabel}</span>
      </p>
    </>
  );
}

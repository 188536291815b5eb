/** A picture of one column: a bar for each row, as SVG that can be read on light and on dark pages. */

export interface Bar {
  readonly name: string;
  readonly value: number;
  readonly label: string;
}

const WIDTH = 720;
const NAMES = 220;
const LABELS = 110;
const LINE = 26;
const TOP = 34;

/** The longest bar is as wide as there is room, and no scale is bent: what is ten times as much is ten times as long. */
export function barsSvg(title: string, bars: readonly Bar[]): string {
  const most = Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE);
  const room = WIDTH - NAMES - LABELS;
  const lines = bars.map(({ name, value, label }, index) => {
    const y = TOP + index * LINE;
    const width = Math.max((Math.max(value, 0) / most) * room, 1).toFixed(1);
    const own = name.startsWith("Perennial") ? ' class="own"' : "";
    return `<text x="${NAMES - 10}" y="${y + 15}" text-anchor="end">${escapeXml(name)}</text><rect${own} x="${NAMES}" y="${y + 3}" width="${width}" height="16" rx="2"/><text x="${(NAMES + Number(width) + 8).toFixed(1)}" y="${y + 15}">${escapeXml(label)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${TOP + bars.length * LINE + 6}" role="img" aria-label="${escapeXml(title)}">
<style>text{font:13px system-ui,sans-serif;fill:#57606a}rect{fill:#8c959f}.own{fill:#1a7f37}.title{font-weight:600}@media(prefers-color-scheme:dark){text{fill:#9198a1}.own{fill:#3fb950}}</style>
<text class="title" x="8" y="18">${escapeXml(title)}</text>
${lines.join("\n")}
</svg>
`;
}

function escapeXml(text: string): string {
  return text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
}

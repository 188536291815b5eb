/** Where providers tell what an account has left, under their base URLs. Others answer 404, which costs nothing. */

export function balancePath(host: string): string {
  if (/(^|\.)deepseek\.com$/.test(host)) return "/user/balance";
  if (/(^|\.)openrouter\.ai$/.test(host)) return "/credits";
  if (/(^|\.)moonshot\.(cn|ai)$/.test(host)) return "/users/me/balance";
  if (/(^|\.)siliconflow\.(cn|com)$/.test(host)) return "/user/info";
  return "/usage";
}

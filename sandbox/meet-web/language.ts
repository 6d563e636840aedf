/**
 * The language a page is served in. The account's own language (a scenario's `forced`) wins over `?hl=`, which wins
 * over the Accept-Language header; anything but Spanish becomes English.
 */
export function pageLanguage(
  forced: string | null,
  hl: string | null,
  acceptLanguage: string | undefined,
): string {
  const wanted = forced ?? hl ?? acceptLanguage?.split(',')[0] ?? 'en'
  if (/^es-(?!ES)/i.test(wanted)) return 'es-419'
  return wanted.toLowerCase().startsWith('es') ? 'es' : forced !== null || /^en/i.test(wanted) ? wanted : 'en'
}

import { findIana } from 'windows-iana'
import { isTimeZone } from './wall-time.ts'

/**
 * The IANA name of what an ICS file calls a time zone: an IANA name itself, one behind a prefix as Mozilla and
 * Evolution write it (`/mozilla.org/20050126_1/America/Bogota`), or a Windows name (`SA Pacific Standard Time`).
 */
export function timeZoneNamed(tzid: string): string | undefined {
  const name = tzid.trim().replace(/^"(.*)"$/, '$1')
  if (isTimeZone(name)) return name
  const [ianaOfWindows] = findIana(name)
  if (ianaOfWindows !== undefined) return ianaOfWindows
  const parts = name.split('/').filter(part => part !== '')
  // The longest end that is a zone: America/Argentina/Salta before Argentina/Salta.
  for (let length = Math.min(3, parts.length); length >= 2; length--) {
    const end = parts.slice(-length).join('/')
    if (isTimeZone(end)) return end
  }
  return undefined
}

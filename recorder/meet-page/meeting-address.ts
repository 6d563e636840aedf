// A meeting's address as the bot asks for it.
import { MEET_HOST } from './words.ts'

/** An address that is not one of a Meet call. */
export class BadMeetingUrl extends Error {
  readonly code = 'bad_meeting_url'
  constructor(url: string) {
    super(
      `"${url}" is not the address of a Google Meet call; it looks like https://${MEET_HOST}/abc-defg-hij`,
    )
    this.name = 'BadMeetingUrl'
  }
}

/**
 * The meeting's address with the page's language pinned (`hl` beats the account's own language, meet-web-facts.md §2).
 * Throws `BadMeetingUrl`.
 */
export function meetingAddress(url: string, language: string, account = 0): string {
  const address = URL.parse(url)
  const isMeeting =
    address?.protocol === 'https:' && address.hostname === MEET_HOST && address.pathname.length > 1
  if (!isMeeting) throw new BadMeetingUrl(url)
  address.searchParams.set('hl', language)
  if (account > 0) address.searchParams.set('authuser', String(account))
  return address.href
}

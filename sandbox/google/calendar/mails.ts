import type { Mail } from '../state.ts'
import { type Call, textParameter } from '../world.ts'
import type { CalendarEvent } from './event.ts'

/**
 * Notes the mails that a write would have sent: to every guest but the organizer for `sendUpdates=all`, to guests of
 * other domains for `externalOnly`, to nobody otherwise (google-apis.md §1.2). `before` are the guests' addresses
 * before the write: who was not among them gets an invitation, who is gone a cancellation.
 */
export function recordMails(call: Call, event: CalendarEvent, before: string[], kind: Mail['kind']): void {
  const sendUpdates =
    textParameter(call, 'sendUpdates') ?? (call.parameters.sendNotifications ? 'all' : 'none')
  if (sendUpdates === 'none') return
  const { domain } = call.world.identity
  const after = guestAddresses(event)
  for (const to of new Set([...before, ...after])) {
    if (to === event.organizer || (sendUpdates === 'externalOnly' && to.endsWith(`@${domain}`))) continue
    const change = !after.includes(to) ? 'cancellation' : before.includes(to) ? kind : 'invitation'
    call.world.state.mails.push({
      kind: kind === 'cancellation' ? kind : change,
      to,
      about: event.resource.id,
      subject: event.resource.summary ?? '',
    })
  }
}

export function guestAddresses(event: CalendarEvent): string[] {
  return (event.resource.attendees ?? []).map(attendee => attendee.email.toLowerCase())
}

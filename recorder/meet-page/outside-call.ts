// What a screen other than the call means to a bot that was in it: a pure decision.
import type { Ending } from '../../db/endings.ts'
import type { Screen } from './screen.ts'
import type { CallMemory } from './when-to-leave.ts'

export interface OutsideLimits {
  /** How long Meet's own attempts to reconnect are waited for. */
  connectionLostMs: number
  /** How long a screen may stay unknown. */
  unknownScreenMs: number
}

/** A page between two screens may show one for a moment that is not meant; after this it is. */
const SETTLED_MS = 4_000

export type OutsideVerdict = { ending: Ending; why: string } | 'wait'

/** @param forMs how long the screen has been of this kind */
export function whatOutsideMeans(
  screen: Exclude<Screen, { kind: 'in_call' }>,
  memory: CallMemory,
  limits: OutsideLimits & { nobodyCameMs: number },
  forMs: number,
): OutsideVerdict {
  switch (screen.kind) {
    case 'removed':
      return { ending: 'removed_from_call', why: 'Meet says that somebody removed the bot' }
    case 'switched':
      return { ending: 'switched_elsewhere', why: 'the account went on on another device' }
    case 'ended':
      return screen.everyoneLeft
        ? emptied(screen.kind, memory, limits)
        : { ending: 'call_ended_by_host', why: 'Meet says that the call has ended' }
    case 'left':
    case 'home':
      return putOut(screen.kind, memory, limits)
    case 'sign_in':
      return { ending: 'sign_in_required', why: 'Google asks for a sign-in' }
    case 'denied':
      return { ending: 'removed_from_call', why: 'Meet let the bot in and then refused it' }
    case 'cannot_join':
      return { ending: 'cannot_join', why: 'Meet refused the bot after letting it in' }
    case 'full_or_locked':
      return { ending: 'meeting_full_or_locked', why: 'Meet refused the bot after letting it in' }
    case 'connection_lost':
      return forMs >= (screen.gaveUp ? SETTLED_MS : limits.connectionLostMs)
        ? { ending: 'connection_lost', why: screen.gaveUp ? 'Meet gave up' : 'Meet did not come back' }
        : 'wait'
    case 'pre_join':
    case 'waiting_room':
    case 'lobby_timeout':
    case 'no_page':
      return forMs >= SETTLED_MS ? { ending: 'connection_lost', why: `back on ${screen.kind}` } : 'wait'
    case 'not_found':
    case 'loading':
    case 'unknown':
      return forMs >= limits.unknownScreenMs
        ? { ending: 'unknown_screen', why: 'not a screen of a call' }
        : 'wait'
  }
}

/** Out without our doing and without a word why: Meet empties lonely calls after seven minutes (meet-web-facts.md §12). */
function putOut(
  where: string,
  memory: CallMemory,
  { nobodyCameMs }: { nobodyCameMs: number },
): OutsideVerdict {
  const alone = memory.verdict === 'alone' || memory.verdict === 'only_bots'
  if (!alone) return { ending: 'removed_from_call', why: `out of the call without our doing (${where})` }
  return emptied(where, memory, { nobodyCameMs })
}

function emptied(
  where: string,
  memory: CallMemory,
  { nobodyCameMs }: { nobodyCameMs: number },
): OutsideVerdict {
  const why = `Meet emptied the call (${where})`
  const { companyAt, startsAt, lastAt } = memory
  if (companyAt !== null && companyAt >= startsAt) return { ending: 'everyone_left', why }
  // Too early to say that nobody comes (or comes back); being there again is worth it.
  if (lastAt - startsAt < nobodyCameMs) return { ending: 'put_out_of_empty_call', why }
  return { ending: companyAt === null ? 'nobody_came' : 'everyone_left', why }
}

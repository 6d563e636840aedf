// Who else is in the call, as the page shows it, and who came and went.
import { hasAnyPhrase, normalise } from './match-text.ts'
import type { Snapshot } from './snapshot.ts'
import { BOT_NAMES } from './words.ts'

interface PersonSeen {
  /** `spaces/…/devices/…`: one device of one person in one call. */
  personKey: string
  name: string
  /** Named like a recording or note-taking bot, or like ourselves (a seat that an aborted visit left behind). */
  bot: boolean
}

export interface PeopleReading {
  /** Everybody with a tile, ourselves not; null when the page shows no tiles at all. */
  seen: readonly PersonSeen[] | null
  /** How many others the people chip counts, bots included; null without a chip. */
  chipOthers: number | null
}

/** Camera tiles only: a presentation is a second tile of somebody already counted (meet-dom-structures.md §5.3). */
export function readPeople(snapshot: Snapshot, ownName: string | null): PeopleReading {
  const cameras = snapshot.tiles.filter(tile => tile.participantId === tile.mediaId)
  const own =
    cameras.find(tile => tile.own) ??
    cameras.find(tile => ownName !== null && normalise(tile.name) === normalise(ownName))
  const seen = cameras
    .filter(tile => tile.participantId !== own?.participantId && !tile.own)
    .map(tile => ({ personKey: tile.participantId, name: tile.name, bot: isBotName(tile.name, ownName) }))
  const counted = Math.max(snapshot.chipCount ?? 0, snapshot.avatarCount ?? 0)
  const hasChip = snapshot.chipCount !== null || snapshot.avatarCount !== null
  return { seen: cameras.length === 0 ? null : seen, chipOthers: hasChip ? Math.max(0, counted - 1) : null }
}

function isBotName(name: string, ownName: string | null): boolean {
  return (
    hasAnyPhrase(name, BOT_NAMES) ||
    (ownName !== null && name !== '' && normalise(name) === normalise(ownName))
  )
}

export interface PeopleChange extends PersonSeen {
  change: 'joined' | 'left'
  at: Date
}

/** Those present, by key; `missingSince` while a tile is out of sight and it is not sure that its person left. */
export type Presence = ReadonlyMap<string, PersonSeen & { missingSince: number | null }>

const GONE_AFTER_MS = 4_000

/**
 * Compares a reading with who was present. A tile that is gone counts as left only when the tiles in sight are everybody
 * the chip counts (a full stage hides people), and after some seconds (tiles move when the layout changes); the time of
 * leaving is then when it was first missed.
 */
export function trackPeople(
  before: Presence,
  { seen, chipOthers }: PeopleReading,
  now: number,
): { present: Presence; changes: PeopleChange[] } {
  if (seen === null) return { present: before, changes: [] }
  const present = new Map(before)
  const changes: PeopleChange[] = []
  for (const person of seen) {
    // A tile may come before its name.
    if (person.name === '' || person.personKey === '') continue
    if (!present.has(person.personKey)) changes.push({ ...person, change: 'joined', at: new Date(now) })
    present.set(person.personKey, { ...person, missingSince: null })
  }
  const everybodyInSight = chipOthers === null || seen.length >= chipOthers
  for (const [key, person] of before) {
    if (seen.some(({ personKey }) => personKey === key)) continue
    const missingSince = person.missingSince ?? now
    if (everybodyInSight && now - missingSince >= GONE_AFTER_MS) {
      present.delete(key)
      const { name, bot } = person
      changes.push({ personKey: key, name, bot, change: 'left', at: new Date(missingSince) })
    } else present.set(key, { ...person, missingSince })
  }
  return { present, changes }
}

/** The call is over for us: everybody still present leaves with it. */
export function everybodyLeaves(present: Presence, now: number): PeopleChange[] {
  return [...present.values()].map(({ personKey, name, bot, missingSince }) => ({
    personKey,
    name,
    bot,
    change: 'left',
    at: new Date(missingSince ?? now),
  }))
}

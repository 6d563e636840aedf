import { type MeetingSettings, ordinary, type ScenarioName, scenarios } from './scenarios.ts'

/** `participants` may be a number (that many of the usual people), names, or the people themselves. */
export type CreateMeeting = Partial<Omit<MeetingSettings, 'participants'>> & {
  code?: string
  scenario?: ScenarioName
  participants?: number | string[] | MeetingSettings['participants']
}

/** Something asked of the sandbox that it does not know; the message says what there is. */
export class UnknownWishError extends Error {
  readonly code = 'meet_web_unknown_wish'
}

/** The settings of a new meeting: the ordinary ones, the scenario's on top, the wanted ones on top of these. */
export function meetingSettings({ code: _, ...wanted }: CreateMeeting): MeetingSettings {
  const { scenario = 'open', participants, ...overrides } = wanted
  if (!Object.hasOwn(scenarios, scenario)) {
    throw new UnknownWishError(
      `unknown scenario "${scenario}"; there are: ${Object.keys(scenarios).join(', ')}`,
    )
  }
  const unknown = Object.keys(overrides).filter(key => !Object.hasOwn(ordinary, key))
  if (unknown.length > 0) {
    throw new UnknownWishError(
      `unknown settings ${unknown.join(', ')}; there are: ${Object.keys(ordinary).join(', ')}`,
    )
  }
  const base: MeetingSettings = { ...ordinary, ...scenarios[scenario], ...overrides }
  return { ...base, invited: [...base.invited], participants: people(participants, base.participants) }
}

const moreNames = [
  'Carlos Ruiz',
  'Sofía Herrera',
  'Andrés Castro',
  'Valentina Ríos',
  'Diego Mora',
  'Lucía Vargas',
]

/** A number keeps the scenario's timing: in `everyone-leaves` all of them leave. */
function people(wanted: CreateMeeting['participants'], usual: MeetingSettings['participants']) {
  if (wanted === undefined) return usual
  if (typeof wanted !== 'number') return wanted.map(one => (typeof one === 'string' ? { name: one } : one))
  const names = [...ordinary.participants.map(person => person.name), ...moreNames]
  const { name: _, ...timing } = usual[0] ?? { name: '' }
  return Array.from({ length: wanted }, (__, i) => ({ ...timing, name: names[i] ?? `Participant ${i + 1}` }))
}

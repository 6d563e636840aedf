import { ENDINGS, type Ending } from '../../db/endings.ts'
import type { MeetingMailKind } from '../../db/schema.ts'

export type Language = 'es' | 'en'

/** What a mail says: everything in it is text, nothing markup. */
export interface MailContent {
  subject: string
  /** The first sentence. */
  lead: string
  /** Facts, a name and a value each. */
  facts: [name: string, value: string][]
  link?: { label: string; url: string }
  /** What to do, or why there is nothing to do. */
  advice?: string
}

/** What a mail can be about, read when it is sent. */
export interface MailMatter {
  topic: string
  startsAt: Date
  endsAt: Date
  timeZone: string
  joinUrl: string | null
  externalId: string | null
  meetingId: string
  ending: Ending | null
  durationMs: number | null
  coveragePercent: number | null
  thresholdPercent: number | null
  driveLink: string | null
  partial: boolean
}

const NAMES = {
  es: {
    meeting: 'Reunión',
    starts: 'Inicio',
    ends: 'Fin',
    duration: 'Duración de la grabación',
    reason: 'Motivo',
    coverage: 'Parte de la llamada que quedó grabada',
    reference: 'Referencia',
    id: 'Identificador',
  },
  en: {
    meeting: 'Meeting',
    starts: 'Start',
    ends: 'End',
    duration: 'Length of the recording',
    reason: 'Reason',
    coverage: 'Part of the call that is recorded',
    reference: 'Reference',
    id: 'Identifier',
  },
} as const

type Writer = (matter: MailMatter) => Omit<MailContent, 'facts'>

const WRITERS: Record<MeetingMailKind, Record<Language, Writer>> = {
  'recording.available': {
    es: ({ topic, partial, driveLink }) => ({
      subject: partial ? `Grabación disponible con faltantes: ${topic}` : `Grabación disponible: ${topic}`,
      lead: partial
        ? 'La grabación de la reunión está disponible, pero le faltan partes.'
        : 'La grabación de la reunión está disponible.',
      ...(driveLink ? { link: { label: 'Abrir la grabación en Google Drive', url: driveLink } } : {}),
      ...(partial
        ? { advice: 'Las partes que faltan y sus motivos están en los datos de la grabación.' }
        : {}),
    }),
    en: ({ topic, partial, driveLink }) => ({
      subject: partial ? `Recording available, with gaps: ${topic}` : `Recording available: ${topic}`,
      lead: partial
        ? 'The recording of the meeting is available, but parts of it are missing.'
        : 'The recording of the meeting is available.',
      ...(driveLink ? { link: { label: 'Open the recording in Google Drive', url: driveLink } } : {}),
      ...(partial ? { advice: "What is missing, and why, stands in the recording's data." } : {}),
    }),
  },
  'recording.failed': {
    es: ({ topic }) => ({
      subject: `REUNIÓN SIN GRABACIÓN: ${topic}`,
      lead: 'La reunión no tiene grabación.',
      advice: 'Revise el motivo hoy mismo: la siguiente reunión podría fallar por lo mismo.',
    }),
    en: ({ topic }) => ({
      subject: `MEETING NOT RECORDED: ${topic}`,
      lead: 'There is no recording of the meeting.',
      advice: 'Look into the reason today: the next meeting could fail for the same one.',
    }),
  },
  'coverage.alert': {
    es: ({ topic, thresholdPercent }) => ({
      subject: `Grabación incompleta: ${topic}`,
      lead: `La grabación contiene menos del ${percent(thresholdPercent, 'es')} de la llamada.`,
      advice: 'Los intervalos que faltan y sus motivos están en los datos de la grabación.',
    }),
    en: ({ topic, thresholdPercent }) => ({
      subject: `Recording incomplete: ${topic}`,
      lead: `The recording holds less than ${percent(thresholdPercent, 'en')} of the call.`,
      advice: "The stretches that are missing, and why, stand in the recording's data.",
    }),
  },
  'meeting.alarm': {
    es: matter => ({
      subject: `Recordatorio: ${matter.topic}, ${when(matter.startsAt, matter.timeZone, 'es')}`,
      lead: 'Le recordamos su reunión. La llamada se grabará.',
      ...(matter.joinUrl ? { link: { label: 'Unirse a la llamada', url: matter.joinUrl } } : {}),
    }),
    en: matter => ({
      subject: `Reminder: ${matter.topic}, ${when(matter.startsAt, matter.timeZone, 'en')}`,
      lead: 'This is a reminder of your meeting. The call will be recorded.',
      ...(matter.joinUrl ? { link: { label: 'Join the call', url: matter.joinUrl } } : {}),
    }),
  },
}

/** What a mail of this kind says about this matter. */
export function mailContent(kind: MeetingMailKind, language: Language, matter: MailMatter): MailContent {
  const names = NAMES[language]
  const { topic, startsAt, endsAt, timeZone, ending, durationMs, coveragePercent, externalId } = matter
  const tellsOutcome = kind !== 'meeting.alarm'
  const facts: (false | [string, string])[] = [
    [names.meeting, topic],
    [names.starts, when(startsAt, timeZone, language)],
    [names.ends, when(endsAt, timeZone, language)],
    tellsOutcome && durationMs !== null && [names.duration, length(durationMs)],
    tellsOutcome && coveragePercent !== null && [names.coverage, percent(coveragePercent, language)],
    kind === 'recording.failed' && ending !== null && [names.reason, ENDINGS[ending][language]],
    tellsOutcome && externalId !== null && [names.reference, externalId],
    tellsOutcome && [names.id, matter.meetingId],
  ]
  return { ...WRITERS[kind][language](matter), facts: facts.filter(fact => fact !== false) }
}

const LOCALES = { es: 'es-CO', en: 'en-GB' } as const

function when(at: Date, timeZone: string, language: Language): string {
  const time = new Intl.DateTimeFormat(LOCALES[language], { timeZone, dateStyle: 'full', timeStyle: 'short' })
  return `${time.format(at)} (${timeZone})`
}

function percent(value: number | null, language: Language): string {
  const digits = new Intl.NumberFormat(LOCALES[language], { maximumFractionDigits: 1 })
  return `${digits.format(Math.floor((value ?? 0) * 10) / 10)} %`
}

function length(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  const two = (value: number) => String(value).padStart(2, '0')
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
}

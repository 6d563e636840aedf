import { describe, expect, it } from 'vitest'
import { IcsRefused } from './ics-blocks.ts'
import { type IcsMeeting, writeIcs } from './ics-export.ts'
import { readIcs } from './ics-import.ts'
import { occurrencesBetween, parseRecurrence } from './recurrence.ts'
import { writeRule } from './recurrence-rule.ts'

const NOW = new Date('2026-11-20T12:00:00Z')
const START = new Date('2027-01-04T15:00:00Z')
const END = new Date('2027-01-04T16:30:00Z')
const BOGOTA = 'America/Bogota'

function meeting(changes: Partial<IcsMeeting> = {}): IcsMeeting {
  return {
    uid: 'testigo1@google.com',
    sequence: 3,
    topic: 'Comité clínico; caso 17, "urgente"',
    description: 'Primera línea\nSegunda línea, con coma; y \\ barra',
    start: START,
    end: END,
    timeZone: BOGOTA,
    cancelled: false,
    joinUrl: 'https://meet.google.com/abc-mnop-xyz',
    organizer: { email: 'agenda@clinica.example', name: 'Agenda' },
    attendees: [
      { email: 'ana@clinica.example', name: 'Ana "la jefa" Ruiz, Dra.', role: 'host', response: 'accepted' },
      { email: 'luis@otra.example', role: 'participant' },
    ],
    reminders: [
      { channel: 'popup', amount: 10, unit: 'minutes' },
      { channel: 'email', amount: 1, unit: 'days' },
    ],
    createdAt: NOW,
    updatedAt: NOW,
    ...changes,
  }
}

const publish = (...meetings: IcsMeeting[]) => writeIcs(meetings, { method: 'publish', now: NOW })

/** A file of one event with these lines. */
function file(lines: string[], method = 'REQUEST'): string {
  const event = ['BEGIN:VEVENT', 'UID:one@example', 'SUMMARY:Comité', ...lines, 'END:VEVENT']
  return ['BEGIN:VCALENDAR', 'VERSION:2.0', `METHOD:${method}`, ...event, 'END:VCALENDAR', ''].join('\r\n')
}

const TIMES = ['DTSTART:20270104T150000Z', 'DTEND:20270104T160000Z']

describe('what is written', () => {
  it('is read back the same', () => {
    const { wishes, refused } = readIcs(publish(meeting()))
    expect(refused).toEqual([])
    expect(wishes).toEqual([
      {
        uid: 'testigo1@google.com',
        sequence: 3,
        method: 'PUBLISH',
        topic: 'Comité clínico; caso 17, "urgente"',
        description: 'Primera línea\nSegunda línea, con coma; y \\ barra',
        start: START,
        end: END,
        timeZone: BOGOTA,
        organizer: 'agenda@clinica.example',
        participants: [
          { email: 'ana@clinica.example', name: 'Ana "la jefa" Ruiz, Dra.', role: 'host' },
          { email: 'luis@otra.example', name: undefined, role: 'participant' },
        ],
        reminders: [
          { channel: 'popup', amount: 10, unit: 'minutes' },
          { channel: 'email', amount: 1, unit: 'days' },
        ],
        recurrence: undefined,
        changes: [],
      },
    ])
  })

  it('keeps a series with its exceptions, a meeting of it that was moved, and one that was cancelled', () => {
    const recurrence = parseRecurrence(['FREQ=WEEKLY;COUNT=6', 'EXDATE;VALUE=DATE:20270111'], {
      start: START,
      timeZone: 'Europe/Madrid',
    })
    const whole = meeting({ recurrence, timeZone: 'Europe/Madrid' })
    const week = (weeks: number, hours = 0) =>
      new Date(START.getTime() + weeks * 7 * 86_400_000 + hours * 3_600_000)
    const moved = meeting({
      originalStart: week(2),
      start: week(2, 24),
      end: week(2, 25),
      timeZone: 'Europe/Madrid',
      topic: 'Otro tema',
    })
    const cancelled = meeting({ originalStart: week(3), start: week(3), end: week(3, 1), cancelled: true })
    const { wishes, refused, cancellations, changes } = readIcs(publish(whole, moved, cancelled))
    expect([refused, cancellations, changes]).toEqual([[], [], []])
    const [series] = wishes
    expect(series?.recurrence && writeRule(series.recurrence.rule)).toBe('FREQ=WEEKLY;COUNT=6;BYDAY=MO')
    expect(
      series?.recurrence && occurrencesBetween(series.recurrence, START, new Date('2028-01-01T00:00:00Z')),
    ).toEqual([week(0), week(2), week(4), week(5)])
    expect(series?.changes).toMatchObject([
      { originalStart: week(2), start: week(2, 24), topic: 'Otro tema' },
    ])
  })

  it('ends every line with CRLF, folds at 75 bytes, and holds each zone once', () => {
    const text = publish(
      meeting({ topic: 'ñandú '.repeat(80) }),
      meeting({ uid: 'b@x' }),
      meeting({ uid: 'c@x', timeZone: 'Europe/Madrid' }),
    )
    expect(text.endsWith('END:VCALENDAR\r\n')).toBe(true)
    expect(text.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/)
    for (const line of text.split('\r\n')) expect(Buffer.byteLength(line)).toBeLessThanOrEqual(75)
    expect(text.match(/^TZID:.*$/gm)?.map(line => line.trim())).toEqual([
      `TZID:${BOGOTA}`,
      'TZID:Europe/Madrid',
    ])
    expect(readIcs(text).wishes.map(({ topic }) => topic)[0]).toBe('ñandú '.repeat(80).trim())
  })

  it('drops control characters, which are not allowed', () => {
    const text = publish(meeting({ topic: 'a\u0007b\u0000c', description: 'x\r\ny\tz' }))
    const [wish] = readIcs(text).wishes
    expect([wish?.topic, wish?.description]).toEqual(['abc', 'x\ny\tz'])
  })

  it('as a cancellation says which meeting is off', () => {
    const text = writeIcs([meeting({ cancelled: true, sequence: 4 })], { method: 'cancel', now: NOW })
    expect(text).toContain('METHOD:CANCEL')
    expect(text).toContain('STATUS:CANCELLED')
    expect(text).not.toContain('VALARM')
    expect(readIcs(text)).toEqual({
      wishes: [],
      changes: [],
      cancellations: [{ uid: 'testigo1@google.com', sequence: 4, originalStart: undefined }],
      refused: [],
    })
  })

  it('of a meeting without guests has no mail alarm without receivers', () => {
    const text = publish(meeting({ attendees: [] }))
    expect(text).toMatch(/ACTION:EMAIL.*ATTENDEE.*agenda@clinica\.example.*END:VALARM/s)
  })
})

describe('files of other programs', () => {
  it('fold within a character, and use line feeds alone', () => {
    const folded = Buffer.concat([
      Buffer.from(
        'BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:a\nDTSTART:20270104T150000Z\nDTEND:20270104T160000Z\nSUMMARY:Comit',
      ),
      Buffer.from([0xc3]),
      Buffer.from('\n '),
      Buffer.from([0xa9]),
      Buffer.from(' cl\n\tínico\nEND:VEVENT\nEND:VCALENDAR'),
    ])
    expect(readIcs(folded).wishes[0]?.topic).toBe('Comité clínico')
  })

  it.each([
    ['SA Pacific Standard Time', BOGOTA],
    ['"Romance Standard Time"', 'Europe/Paris'],
    ['/freeassociation.sourceforge.net/America/Bogota', BOGOTA],
    ['/mozilla.org/20050126_1/America/Argentina/Salta', 'America/Argentina/Salta'],
    ['America/Bogota', BOGOTA],
  ])('name a zone %s', (tzid, timeZone) => {
    const lines = [`DTSTART;TZID=${tzid}:20270104T100000`, `DTEND;TZID=${tzid}:20270104T110000`]
    const { wishes } = readIcs(
      file([...lines, 'RRULE:FREQ=DAILY;COUNT=3', `EXDATE;TZID=${tzid}:20270105T100000`]),
    )
    expect(wishes[0]?.timeZone).toBe(timeZone)
    expect(wishes[0]?.recurrence?.exceptions).toHaveLength(1)
  })

  it('say how long instead of until when; days are days of the calendar', () => {
    const lines = ['DTSTART;TZID=Europe/Madrid:20270327T230000', 'DURATION:P1DT1H30M']
    expect(readIcs(file(lines)).wishes[0]?.end.toISOString()).toBe('2027-03-28T22:30:00.000Z')
  })

  it('keep exceptions of rules they had before, which are dropped', () => {
    const { wishes } = readIcs(file([...TIMES, 'RRULE:FREQ=DAILY;COUNT=3', 'EXDATE:20261224T150000Z']))
    expect(wishes[0]?.recurrence?.exceptions).toEqual([])
  })

  it('invite rooms and people without an address, who cannot join a call', () => {
    const { wishes } = readIcs(
      file([
        ...TIMES,
        'ATTENDEE;CUTYPE=ROOM;CN=Sala 1:mailto:sala1@clinica.example',
        'ATTENDEE;CN=Nobody:urn:uuid:123',
        'ATTENDEE;CN=Exchange;EMAIL=Luis@Clinica.example:/o=clinica/cn=luis',
        'ATTENDEE;ROLE=CHAIR:MAILTO:Ana@Clinica.example',
      ]),
    )
    expect(wishes[0]?.participants).toEqual([
      { email: 'luis@clinica.example', name: 'Exchange', role: 'participant' },
      { email: 'ana@clinica.example', name: undefined, role: 'host' },
    ])
  })

  it('set alarms that we have, and some that we have not', () => {
    const alarm = (trigger: string, action: string) => [
      'BEGIN:VALARM',
      `ACTION:${action}`,
      trigger,
      'END:VALARM',
    ]
    const { wishes } = readIcs(
      file([
        ...TIMES,
        ...alarm('TRIGGER:-PT90M', 'DISPLAY'),
        ...alarm('TRIGGER:-P2W', 'EMAIL'),
        ...alarm('TRIGGER;RELATED=END:-PT5M', 'DISPLAY'),
        ...alarm('TRIGGER;VALUE=DATE-TIME:20270104T100000Z', 'AUDIO'),
        ...alarm('TRIGGER:PT15M', 'DISPLAY'),
      ]),
    )
    expect(wishes[0]?.reminders).toEqual([
      { channel: 'popup', amount: 90, unit: 'minutes' },
      { channel: 'email', amount: 2, unit: 'weeks' },
    ])
  })

  it('take back one meeting of a series they do not hold, or change it', () => {
    const one = ['RECURRENCE-ID:20270104T150000Z']
    expect(readIcs(file([...one, 'SEQUENCE:2'], 'CANCEL')).cancellations).toEqual([
      { uid: 'one@example', sequence: 2, originalStart: START },
    ])
    const { changes, wishes } = readIcs(file([...TIMES, ...one]))
    expect(wishes).toEqual([])
    expect(changes).toMatchObject([{ uid: 'one@example', originalStart: START }])
  })
})

describe('refused with a reason is', () => {
  it.each([
    ['an all-day event', ['DTSTART;VALUE=DATE:20270104', 'DTEND;VALUE=DATE:20270105'], 'all_day'],
    ['an all-day end', ['DTSTART:20270104T150000Z', 'DTEND;VALUE=DATE:20270105'], 'all_day'],
    ['a floating time', ['DTSTART:20270104T100000', 'DTEND:20270104T110000'], 'floating_time'],
    ['no end', ['DTSTART:20270104T150000Z'], 'no_end'],
    ['no start', ['DTEND:20270104T150000Z'], 'no_start'],
    [
      'an unknown zone',
      ['DTSTART;TZID=Customized Time Zone:20270104T150000', 'DURATION:PT1H'],
      'unknown_time_zone',
    ],
    ['a day that does not exist', ['DTSTART:20270230T150000Z', 'DURATION:PT1H'], 'bad_time'],
    ['words for a time', ['DTSTART:mañana', 'DURATION:PT1H'], 'bad_time'],
    ['a duration that is none', ['DTSTART:20270104T150000Z', 'DURATION:1h'], 'bad_time'],
    ['an end before the start', ['DTSTART:20270104T150000Z', 'DTEND:20270104T140000Z'], 'end_before_start'],
    ['a rule that is none', [...TIMES, 'RRULE:FREQ=FOO'], 'bad_recurrence'],
    ['an hourly rule', [...TIMES, 'RRULE:FREQ=HOURLY'], 'bad_recurrence'],
    ['extra dates', [...TIMES, 'RDATE:20270106T150000Z'], 'bad_recurrence'],
    [
      'this and following',
      [...TIMES, 'RECURRENCE-ID;RANGE=THISANDFUTURE:20270104T150000Z'],
      'bad_recurrence',
    ],
    ['a line that is none', [...TIMES, 'no colon here'], 'bad_event'],
  ])('%s', (_, lines, reason) => {
    const { wishes, refused } = readIcs(file(lines))
    expect(wishes).toEqual([])
    expect(refused).toMatchObject([{ index: 0, uid: 'one@example', reason }])
    expect(refused[0]?.message).toMatch(/^[A-Z].*\.$|:/)
  })

  it('each event for itself, while the others are read', () => {
    const event = (uid: string, ...lines: string[]) =>
      ['BEGIN:VEVENT', ...(uid ? [`UID:${uid}`] : []), ...lines, 'END:VEVENT'].join('\r\n')
    const events = [
      event('good', 'SUMMARY:x', ...TIMES),
      event('broken', 'SUMMARY:x', ...TIMES, 'RRULE:COUNT=x'),
      event('', 'SUMMARY:x', ...TIMES),
      event('good', 'SUMMARY:again', ...TIMES),
      event('silent', ...TIMES),
      event('broken', 'SUMMARY:x', 'RECURRENCE-ID:20270104T150000Z', ...TIMES),
      event('good', 'SUMMARY:x', 'RECURRENCE-ID:20270104T150000Z', ...TIMES),
      event('fine', 'SUMMARY:y', ...TIMES),
    ]
    const text = ['BEGIN:VCALENDAR', ...events, 'END:VCALENDAR'].join('\r\n')
    const { wishes, refused } = readIcs(text)
    expect(wishes.map(({ uid }) => uid)).toEqual(['good', 'fine'])
    expect(refused.map(({ index, reason }) => [index, reason])).toEqual([
      [1, 'bad_recurrence'],
      [2, 'no_uid'],
      [3, 'twice'],
      [4, 'no_topic'],
      [5, 'bad_recurrence'],
      [6, 'bad_recurrence'],
    ])
  })

  it('a file that asks for an answer to something else', () => {
    expect(readIcs(file(TIMES, 'REPLY')).refused).toMatchObject([{ reason: 'unsupported_method' }])
  })

  it.each([
    ['no ICS', 'hello', 'not_ics'],
    ['nothing', '', 'not_ics'],
    ['a file cut off', file(TIMES).slice(0, -20), 'not_ics'],
    ['an end of nothing', 'BEGIN:VCALENDAR\r\nEND:VEVENT\r\nEND:VCALENDAR', 'not_ics'],
    ['a file without events', 'BEGIN:VCALENDAR\r\nEND:VCALENDAR', 'no_events'],
    ['a huge file', 'x'.repeat(1024 * 1024 + 1), 'too_large'],
    ['a file with a huge line', file([...TIMES, `DESCRIPTION:${'x'.repeat(65_536)}`]), 'too_large'],
    [
      'a file of very many events',
      `BEGIN:VCALENDAR\r\n${'BEGIN:VEVENT\r\nEND:VEVENT\r\n'.repeat(501)}END:VCALENDAR`,
      'too_many_events',
    ],
  ])('as a whole: %s', (_, text, reason) => {
    try {
      readIcs(text)
      expect.unreachable()
    } catch (error) {
      expect(error).toBeInstanceOf(IcsRefused)
      expect((error as IcsRefused).reason).toBe(reason)
    }
  })
})

it('a file broken anywhere is read, or refused with a reason, and never anything else', () => {
  const recurrence = parseRecurrence(['FREQ=WEEKLY;COUNT=6'], { start: START, timeZone: BOGOTA })
  const whole = Buffer.from(publish(meeting({ recurrence }), meeting({ originalStart: START })))
  const splinters = [
    '\r\n',
    ':',
    ';',
    '=',
    '"',
    ',',
    'BEGIN:VEVENT\r\n',
    'END:VEVENT\r\n',
    '\0',
    '99',
    '-',
    'TZID=',
    '\ufffd',
  ]
  let state = 1
  const below = (most: number) => {
    state = Math.imul(state, 48_271) % 0x7fffffff
    return Math.abs(state) % most
  }
  for (let run = 0; run < 600; run++) {
    const at = below(whole.length)
    const splinter = Buffer.from(splinters[below(splinters.length)] ?? '')
    const broken = Buffer.concat([whole.subarray(0, at), splinter, whole.subarray(at + below(12))])
    try {
      for (const { message } of readIcs(broken).refused) expect(message).not.toBe('')
    } catch (error) {
      expect(error, broken.toString()).toBeInstanceOf(IcsRefused)
    }
  }
})

import { type Clock, repeat } from '../../clock.ts'
import type { Database } from '../../db/connect.ts'
import { type ClaimedMail, claimDueMails, type MailOutcome, purgeMails, settleMail } from '../../db/mails.ts'
import type { Log } from '../../log.ts'
import { MailRefused, type PostOffice } from './post-office.ts'
import { renderMail } from './render.ts'
import { webhookDisabledContent } from './webhook-words.ts'
import { type MailContent, mailContent } from './words.ts'

interface SenderDeps {
  db: Database
  postOffice: PostOffice
  clock: Clock
  log: Log
  /** How often to look; two seconds unless given. */
  lookEveryMs?: number
}

export interface MailSender {
  /** Takes no more and gives what is on its way `graceMs` to end. */
  close(graceMs: number): Promise<void>
}

const AT_ONCE = 10
const LOOK_EVERY_MS = 2000
const LEASE_MS = 180_000
const PURGE_EVERY_MS = 3_600_000
const KEPT_DAYS = 30
const PURGE_AT_ONCE = 5000
const FIRST_RETRY_MS = 15_000
const LONGEST_RETRY_MS = 2 * 3_600_000
const LINK_LOOK_MS = 20_000
const LINK_AWAITED_FOR_MS = 1_800_000

/**
 * Sends mail as it becomes due, until closed. Any number of processes may do so side by side: each mail is leased to one
 * of them. One that dies after sending sends the mail again, with the same Message-ID: at least once, never less.
 */
export function startMailSender(deps: SenderDeps): MailSender {
  const { db, log, lookEveryMs = LOOK_EVERY_MS } = deps
  let purgeAt = 0
  const sending = repeat(
    lookEveryMs,
    async () => {
      const due = await claimDueMails(db, { limit: AT_ONCE, leaseMs: LEASE_MS })
      await Promise.all(due.map(claimed => sendOne(deps, claimed)))
      if (performance.now() >= purgeAt) {
        purgeAt = performance.now() + PURGE_EVERY_MS
        await purgeMails(db, KEPT_DAYS, PURGE_AT_ONCE)
      }
      return due.length < AT_ONCE ? 'pause' : 'at_once'
    },
    error => log.error({ error }, 'mail that is due could not be looked up or noted'),
  )
  return {
    async close(graceMs) {
      await sending.close(graceMs)
      deps.postOffice.close()
      await sending.close()
    },
  }
}

async function sendOne({ db, postOffice, clock, log }: SenderDeps, claimed: ClaimedMail): Promise<void> {
  const { mail } = claimed
  const about = { mailId: mail.id, kind: mail.kind, meeting: mail.meetingId, attempt: mail.attempts }
  let outcome: MailOutcome
  if (isUseless(claimed, clock.now())) outcome = { kind: 'dropped' }
  else if (linkIsOnItsWay(claimed, clock.now()))
    outcome = { kind: 'again', inMs: LINK_LOOK_MS, error: 'waits for the copy in Drive' }
  else
    try {
      const content = contentOf(claimed)
      await postOffice.send({ id: mail.id, to: mail.recipient, ...renderMail(content, mail.language) })
      outcome = { kind: 'sent' }
    } catch (error) {
      if (!(error instanceof MailRefused)) throw error
      log.warn({ ...about, error: error.message, final: error.final }, 'mail was not taken')
      outcome = error.final
        ? { kind: 'failed', error: error.message }
        : { kind: 'again', inMs: retryDelayMs(mail.attempts), error: error.message }
    }
  await settleMail(db, mail, outcome)
  if (outcome.kind === 'sent') log.info(about, 'mail sent')
}

function contentOf({ mail, meeting, recording }: ClaimedMail): MailContent {
  if (mail.kind === 'webhook.disabled') return webhookDisabledContent(mail.language, mail.facts)
  if (!meeting) throw new Error(`the mail ${mail.id} is about a meeting, and has none`)
  return mailContent(mail.kind, mail.language, matterOf({ mail, meeting, recording }))
}

/** 15 s, doubled each time, at most two hours. */
function retryDelayMs(attempts: number): number {
  return Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(20, attempts - 1))
}

// Nobody wants to be reminded of a meeting that was cancelled, moved or is over, or be told of what was erased.
function isUseless({ mail, meeting }: ClaimedMail, now: number): boolean {
  if ((meeting && meeting.erasedAt !== null) || (mail.uselessAt !== null && mail.uselessAt.getTime() <= now))
    return true
  if (mail.kind !== 'meeting.alarm' || !meeting) return false
  return (
    meeting.status === 'cancelled' ||
    meeting.status === 'ended' ||
    mail.facts.startsAt !== meeting.startsAt.toISOString()
  )
}

// The link is what people want of this mail; where Drive does not take the file the mail goes without one.
function linkIsOnItsWay({ mail, recording }: ClaimedMail, now: number): boolean {
  const waitsMs = now - mail.createdAt.getTime()
  return (
    mail.kind === 'recording.available' &&
    recording?.driveStatus === 'pending' &&
    waitsMs < LINK_AWAITED_FOR_MS
  )
}

function matterOf({ mail, meeting, recording }: ClaimedMail & { meeting: object }) {
  const { thresholdPercent } = mail.facts
  return {
    topic: meeting.topic,
    startsAt: meeting.startsAt,
    endsAt: meeting.endsAt,
    timeZone: meeting.timeZone,
    joinUrl: meeting.joinUrl,
    externalId: meeting.externalId,
    meetingId: meeting.id,
    ending: recording?.ending ?? null,
    durationMs: recording?.durationMs ?? null,
    coveragePercent: recording?.coverage?.percent ?? null,
    thresholdPercent: typeof thresholdPercent === 'number' ? thresholdPercent : null,
    driveLink: recording?.driveLink ?? null,
    partial: recording?.status === 'partial',
  }
}

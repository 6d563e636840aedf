import { userInfo } from 'node:os'
import type { Config } from '../config.ts'
import type { Meeting } from '../db/recordings.ts'
import { splitShellWords } from './chromium-args.ts'
import { hardStopAt } from './due.ts'
import type { Visit } from './visit-call.ts'

/** The settings and the meeting's own limits, put together for one visit. */
export function planVisit(
  config: Config,
  meeting: Pick<Meeting, 'joinUrl' | 'startsAt' | 'endsAt' | 'patience'>,
  bot: { email: string | undefined } = config.bot,
): Visit {
  if (!meeting.joinUrl) throw new Error('the meeting has no link to join')
  const limits = { ...config.patience, ...meeting.patience }
  const { guest, name, language } = config.bot
  return {
    url: meeting.joinUrl,
    as: guest ? { kind: 'guest', name } : { kind: 'signed_in', email: bot.email ?? null },
    language,
    scheduledStart: meeting.startsAt,
    sawPeopleBefore: false,
    waitingRoomMs: limits.waitingRoomSeconds * 1000,
    ...deadlinesOf(config, meeting),
    leave: {
      nobodyCameMs: limits.nobodyCameSeconds * 1000,
      everyoneLeftMs: limits.everyoneLeftSeconds * 1000,
      onlyBotsMs: limits.onlyBotsSeconds * 1000,
    },
    browser: {
      chromiumPath: config.chromium.path,
      chromiumArgs: splitShellWords(config.chromium.args),
      width: config.recorder.width,
      height: config.recorder.height,
      sandbox: config.chromium.sandbox === 'auto' ? userInfo().uid !== 0 : config.chromium.sandbox === 'on',
      language: language === 'es' ? 'es-419' : 'en-US',
    },
    capture: {
      width: config.recorder.width,
      height: config.recorder.height,
      fps: config.recorder.fps,
      videoBitsPerSecond: config.recorder.videoBitsPerSecond,
      audioBitsPerSecond: 128_000,
      keyFrameSeconds: Math.min(4, config.recorder.segmentSeconds),
    },
    segmentSeconds: config.recorder.segmentSeconds,
  }
}

/** What follows the meeting's end, which may be moved while the bot is in the call. */
export function deadlinesOf(
  config: Config,
  meeting: Pick<Meeting, 'endsAt' | 'patience'>,
): Pick<Visit, 'giveUpAt' | 'hardStopAt'> {
  return { giveUpAt: meeting.endsAt, hardStopAt: new Date(hardStopAt(meeting, config)) }
}

/** Is the meeting to be held in another room than the one where the bot waits? Whoever is in this one is recorded. */
export function isElsewhere(
  { joinUrl }: Pick<Meeting, 'joinUrl'>,
  { url }: Pick<Visit, 'url'>,
  inside: ReadonlySet<string>,
): boolean {
  return joinUrl !== null && joinUrl !== url && inside.size === 0
}

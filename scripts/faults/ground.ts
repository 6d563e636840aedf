import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStage, type Stage } from '../../sandbox/journeys/stage.ts'
import type { StageRecorder } from '../../sandbox/journeys/stage-recorder.ts'
import type { Calls } from '../../sandbox/start.ts'

/** Where rows are played: the whole of Testigo, two recorders on machines of their own, the world around them. */
export interface Ground extends AsyncDisposable {
  stage: Stage
  /** Durations as they are named, instead of the shortest that still prove the point. */
  full: boolean
  /** For files that are downloaded and measured. */
  dir: string
  /** Chooses what the next meeting of that title is like. */
  plan(title: string, calls: Calls): void
  /** The recorder that carries out an attempt. */
  recorderOf(attempt: { recorder: string }): StageRecorder
  /** Everything that a row may have broken is whole again: wires, servers, clocks, recorders. */
  mend(): Promise<void>
}

const PEOPLE = [{ name: 'Ana Torres' }, { name: 'Luis Gómez' }]

/** Names of the two recorders' machines. */
const HOSTS = ['north', 'south'] as const

/**
 * Raises the stage once for many rows.
 * @param onOutput takes what the services print
 */
export async function openGround(options: {
  full: boolean
  onOutput: (text: string) => void
}): Promise<Ground> {
  await using opened = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'testigo-faults-'))
  opened.defer(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }))
  const plans = new Map<string, Calls>()
  const stage = opened.use(
    await openStage({
      calls: title => ({ participants: PEOPLE, ...plans.get(title) }),
      recorders: HOSTS,
      secondBot: true,
      onOutput: options.onOutput,
      env: {
        TESTIGO_RECORDER_SLOTS: '3',
        // Two recorders that count as two machines share the load of one here.
        TESTIGO_ADMISSION: 'slots',
        TESTIGO_NOBODY_CAME_SECONDS: '60',
        TESTIGO_EVERYONE_LEFT_SECONDS: '30',
        TESTIGO_ONLY_BOTS_SECONDS: '30',
        // So that a Google that hangs is given up soon.
        TESTIGO_GOOGLE_TIMEOUT_SECONDS: '8',
        TESTIGO_LOG_LEVEL: 'info',
      },
    }),
  )
  const held = opened.move()
  return {
    stage,
    dir,
    full: options.full,
    plan: (title, calls) => plans.set(title, calls),
    recorderOf({ recorder }) {
      const host = recorder.replace(/:\d+$/, '')
      const found = stage.recorders.find(one => one.name === host)
      if (!found) throw new Error(`no recorder is called ${host}`)
      return found
    },
    async mend() {
      stage.sandbox.google.faults.clear()
      await stage.s3Wire.set('pass')
      await stage.database.start()
      for (const recorder of stage.recorders) {
        await recorder.setClockAhead(0)
        await recorder.start()
      }
    },
    [Symbol.asyncDispose]() {
      // Recorders that are told to stop stay in their calls: nobody may be left in one.
      for (const call of stage.sandbox.meetWeb.meetings) call.end()
      return held.disposeAsync()
    },
  }
}

// Whole recorders die, freeze, are told to stop, or want the same meeting.
import { type OneCall, postCall, recordedCall, until } from '../one-call.ts'
import { type Row, together } from '../row.ts'
import { isRunning, recordingChild, signalAll, signalTree } from '../victims.ts'

const AFTER_RECOVERY_MS = 4_000
const ZOMBIE_LIMIT_MS = 30_000
const DRAIN_LIMIT_MS = 60_000
/** Which of the two machines is the first is chance. */
const ANY = ['recorder_died', 'call_ended_by_host']
const RACING_MEETINGS = 2

const machineLost: Row = {
  name: 'machine-lost',
  fault: 'SIGKILL the recorder with all its processes, its disk removed',
  happens:
    'Its silence is noticed after 10 s; another recorder joins. What was in the bucket is what is left.',
  mostLostSeconds: 10,
  mostRecoverySeconds: 30,
  async run(ground) {
    const one = await recordedCall(ground, 'machine-lost')
    const recorder = ground.recorderOf(await one.living())
    const faultAtMs = Date.now()
    await signalTree(recorder.process.pid, 'SIGKILL')
    await recorder.loseDisk()
    await one.recordsAgain(1)
    await one.goesOn(AFTER_RECOVERY_MS)
    one.end()
    return one.measure({
      faultAtMs,
      interrupts: true,
      attempts: ['recorder_died', 'call_ended_by_host'],
      reasons: ['recorder_died'],
    })
  },
}

const machineRestarted: Row = {
  name: 'machine-restarted',
  fault: 'SIGKILL the recorder with all its processes; it is started again with its disk',
  happens:
    'Another recorder, or the same one again, joins; what had not left the disk is taken up from there.',
  mostLostSeconds: 1,
  mostRecoverySeconds: 30,
  async run(ground) {
    const one = await recordedCall(ground, 'machine-restarted')
    const recorder = ground.recorderOf(await one.living())
    const faultAtMs = Date.now()
    await signalTree(recorder.process.pid, 'SIGKILL')
    await until('the end of the recorder', ZOMBIE_LIMIT_MS, async () => (recorder.runs() ? undefined : true))
    await recorder.start()
    await one.recordsAgain(1)
    await one.goesOn(AFTER_RECOVERY_MS)
    one.end()
    return one.measure({
      faultAtMs,
      interrupts: true,
      attempts: ['recorder_died', 'call_ended_by_host'],
      reasons: ['recorder_died'],
    })
  },
}

const zombie: Row = {
  name: 'zombie',
  fault: 'SIGSTOP the recorder with all its processes for 60 s, then continue it',
  happens:
    'Another recorder takes over; the one that comes back sees that it lost the meeting, stores what it has and leaves.',
  mostLostSeconds: 1,
  mostRecoverySeconds: 30,
  async run(ground) {
    const one = await recordedCall(ground, 'zombie')
    const attempt = await one.living()
    const { pid } = ground.recorderOf(attempt).process
    const child = await recordingChild(attempt.id)
    const faultAtMs = Date.now()
    const stopped = await signalTree(pid, 'SIGSTOP')
    try {
      await one.recordsAgain(1)
      await one.goesOn(Math.max(0, faultAtMs + (ground.full ? 60_000 : 20_000) - Date.now()))
    } finally {
      signalAll(stopped, 'SIGCONT')
    }
    await until('the end of the recording that came back', ZOMBIE_LIMIT_MS, async () =>
      (await isRunning(child)) ? undefined : true,
    )
    await one.goesOn(AFTER_RECOVERY_MS)
    const bots = botsIn(one)
    one.end()
    const seen = await one.measure({
      faultAtMs,
      interrupts: true,
      attempts: ['recorder_died', 'call_ended_by_host'],
      reasons: ['recorder_died'],
    })
    if (bots !== 1) seen.why.push(`${bots} bots were in the call in the end`)
    return seen
  },
}

const drained: Row = {
  name: 'sigterm',
  fault: 'SIGTERM to the recorder during a call',
  happens:
    'It takes no new meetings and calls another recorder; when that one records, it leaves. Nothing is cut.',
  mostLostSeconds: 1,
  mostRecoverySeconds: 0,
  async run(ground) {
    const one = await recordedCall(ground, 'sigterm')
    const recorder = ground.recorderOf(await one.living())
    const faultAtMs = Date.now()
    const [end] = await Promise.all([recorder.drain(DRAIN_LIMIT_MS), one.recordsAgain(1)])
    const bots = botsIn(one)
    await one.goesOn(AFTER_RECOVERY_MS)
    one.end()
    const seen = await one.measure({
      faultAtMs,
      interrupts: false,
      attempts: ['handed_over', 'call_ended_by_host'],
    })
    if (bots !== 1) seen.why.push(`${bots} bots were in the call after the handover`)
    if (!end.includes('exit code 0')) seen.why.push(end)
    return seen
  },
}

const race: Row = {
  name: 'two-recorders-race',
  alone: true,
  fault: `Two recorders race for one job (${RACING_MEETINGS} meetings at once)`,
  happens: 'The attempt is opened under a lock on the recording: one recorder gets it, and one bot joins.',
  mostLostSeconds: 1,
  mostRecoverySeconds: 0,
  async run(ground) {
    const calls = await Promise.all(
      Array.from({ length: RACING_MEETINGS }, (_, index) => postCall(ground, `race ${index + 1}`)),
    )
    await Promise.all(calls.map(one => one.recordsAgain(0)))
    const faultAtMs = Date.now()
    await calls[0]?.goesOn(AFTER_RECOVERY_MS)
    return together(
      await Promise.all(
        calls.map(async one => {
          one.end()
          const seen = await one.measure({ faultAtMs, interrupts: false, attempts: ['call_ended_by_host'] })
          const joined = one.call.events.filter(event => event.type === 'joined').length
          if (joined !== 1) seen.why.push(`bots joined ${joined} times`)
          return seen
        }),
      ),
    )
  },
}

const redundant: Row = {
  name: 'redundancy-one-killed',
  alone: true,
  fault: 'redundancy 2, and one of the two machines dies',
  happens:
    'The other one records on, and the file takes its picture from there. The lost machine, started anew, brings its bot back.',
  mostLostSeconds: 1,
  mostRecoverySeconds: 0,
  async run(ground) {
    const one = await postCall(ground, 'redundancy-one-killed', { redundancy: 2 })
    await until('two bots in the call', 60_000, async () => (botsIn(one) === 2 ? true : undefined))
    await one.recordsAgain(1)
    await one.goesOn(6_000)
    const [first] = await one.attempts()
    if (!first) throw new Error('no attempt was made')
    const recorder = ground.recorderOf(first)
    const faultAtMs = Date.now()
    await signalTree(recorder.process.pid, 'SIGKILL')
    await recorder.loseDisk()
    await recorder.start()
    await one.recordsAgain(2)
    await one.goesOn(AFTER_RECOVERY_MS)
    one.end()
    return one.measure({
      faultAtMs,
      interrupts: false,
      attempts: [ANY, ANY, 'call_ended_by_host'],
    })
  },
}

const botsIn = (one: OneCall) => one.call.inCall.filter(name => name.startsWith('Testigo')).length

export const recorderRows: Row[] = [machineLost, machineRestarted, zombie, drained, race, redundant]

import { randomUUID } from 'node:crypto'
import { GoogleError } from '../errors.ts'
import { type Answer, type Call, type Handlers, textParameter } from '../world.ts'
import {
  createSpace,
  defaultConfig,
  defaultRestrictions,
  type SpaceConfig,
  type StoredSpace,
} from './space.ts'

const createdScope = 'https://www.googleapis.com/auth/meetings.space.created'
const settingsScope = 'https://www.googleapis.com/auth/meetings.space.settings'
const codePattern = /^spaces\/[a-z]{3}-?[a-z]{4}-?[a-z]{3}$/i

/** The methods of Meet v2 on spaces and members (google-apis.md §2.2 to §2.4). */
export const spaceHandlers: Handlers = {
  'meet.spaces.create': createSpaceCall,
  'meet.spaces.get': getSpace,
  'meet.spaces.patch': patchSpace,
  'meet.spaces.endActiveConference': endConference,
  'meet.spaces.members.create': createMember,
  'meet.spaces.members.list': listMembers,
  'meet.spaces.members.get': getMember,
  'meet.spaces.members.delete': deleteMember,
}

function createSpaceCall(call: Call): Answer {
  if (call.caller.isServiceAccount) throw denied('The caller does not have permission')
  const config = call.body.config as Partial<SpaceConfig> | undefined
  checkArtifacts(call, config)
  const space = createSpace(call.world, call.caller.email, 'api')
  if (config) space.config = merged(space.config, config)
  return { json: view(call, space) }
}

function getSpace(call: Call): Answer {
  return { json: view(call, spaceOf(call, 'name', 'codeToo')) }
}

function patchSpace(call: Call): Answer {
  const space = ownedSpace(call, 'name')
  const config = (call.body.config ?? {}) as Partial<SpaceConfig>
  const mask = (textParameter(call, 'updateMask') ?? '').split(',').filter(Boolean)
  if (mask.includes('*')) {
    checkArtifacts(call, config)
    space.config = merged(defaultConfig(), config)
  } else {
    const wanted = mask.length === 0 ? config : masked(config, mask)
    checkArtifacts(call, wanted)
    space.config = merged(space.config, wanted)
  }
  // Restrictions are in force only with moderation on and are reset with it.
  if (space.config.moderation === 'OFF') space.config.moderationRestrictions = defaultRestrictions()
  return { json: view(call, space) }
}

function endConference(call: Call): Answer {
  const space = ownedSpace(call, 'name')
  const running = call.world.state.conferences.find(
    conference => conference.space === space.name && conference.endTime === undefined,
  )
  if (!running) throw new GoogleError(400, 'There is no active conference for the given space.')
  running.endTime = new Date(call.world.nowMs()).toISOString()
  call.world.onMeetEvent({
    kind: 'conference.v2.ended',
    space: space.name,
    resource: ['conferenceRecord', running.name],
  })
  return { json: {} }
}

function createMember(call: Call): Answer {
  const space = memberSpace(call)
  const { email, role } = call.body as { email?: string; role?: 'COHOST' }
  if (!email) throw new GoogleError(400, 'Member email is required.')
  const member = {
    name: `${space.name}/members/${randomUUID()}`,
    email,
    role: role ?? 'ROLE_UNSPECIFIED',
  } as const
  space.members.push(member)
  return { json: member }
}

function listMembers(call: Call): Answer {
  return { json: { members: memberSpace(call).members } }
}

function getMember(call: Call): Answer {
  const name = textParameter(call, 'name')
  const member = memberSpace(call).members.find(one => one.name === name)
  if (!member) throw new GoogleError(404, 'Requested entity was not found.')
  return { json: member }
}

function deleteMember(call: Call): Answer {
  const space = memberSpace(call)
  const at = space.members.findIndex(one => one.name === textParameter(call, 'name'))
  if (at < 0) throw new GoogleError(404, 'Requested entity was not found.')
  space.members.splice(at, 1)
  return { json: {} }
}

/** A code is an alias for reading only (§2.3, trap A): everything else answers 403 as if rights were missing. */
function spaceOf(call: Call, parameter: string, names: 'canonicalOnly' | 'codeToo'): StoredSpace {
  const name = (textParameter(call, parameter) ?? '').split('/').slice(0, 2).join('/')
  const { spaces } = call.world.state
  const byCode = () => {
    const code = name.slice('spaces/'.length).replaceAll('-', '').toLowerCase()
    return [...spaces.values()].find(space => space.meetingCode.replaceAll('-', '') === code)
  }
  const space = spaces.get(name) ?? (names === 'codeToo' && codePattern.test(name) ? byCode() : undefined)
  const onlyOwn =
    !call.caller.scopes.has(settingsScope) && ![...call.caller.scopes].some(s => s.endsWith('.readonly'))
  if (!space || (onlyOwn && space.madeBy !== 'api'))
    throw denied('Permission denied on resource Space (or it might not exist)')
  return space
}

function ownedSpace(call: Call, parameter: string): StoredSpace {
  const space = spaceOf(call, parameter, 'canonicalOnly')
  if (space.owner !== call.caller.email)
    throw denied('Permission denied on resource Space (or it might not exist)')
  return space
}

/** Members exist only on spaces that the calling app made (§2.3, trap B). */
function memberSpace(call: Call): StoredSpace {
  const parameter = call.parameters.parent === undefined ? 'name' : 'parent'
  const space = call.world.state.spaces.get(
    (textParameter(call, parameter) ?? '').split('/').slice(0, 2).join('/'),
  )
  if (space?.madeBy !== 'api' || space.owner !== call.caller.email)
    throw denied('Permission denied on resource Member')
  return space
}

function view(call: Call, space: StoredSpace): object {
  const { name, meetingCode, meetingUri } = space
  const own = space.owner === call.caller.email
  const active = call.world.state.conferences.find(
    conference => conference.space === name && conference.endTime === undefined,
  )
  const seesActive = own || active?.participants.some(person => person.email === call.caller.email)
  return {
    name,
    meetingUri,
    meetingCode,
    ...(own && { config: space.config }),
    ...(active && seesActive && { activeConference: { conferenceRecord: active.name } }),
  }
}

/** Automatic artifacts need the settings scope, and an edition that records (§2.2). */
function checkArtifacts(call: Call, config: Partial<SpaceConfig> | undefined): void {
  if (!config?.artifactConfig) return
  if (!call.caller.scopes.has(settingsScope))
    throw denied(
      `Setting artifact configuration requires the scope ${settingsScope}; ${createdScope} is not enough.`,
    )
  const wanted = config.artifactConfig.recordingConfig?.autoRecordingGeneration
  if (wanted === 'ON' && call.world.faults.take(['autoRecordingRefused'], 'meet', 'meet.spaces.patch'))
    throw denied('The user is not eligible to enable auto recording.')
}

/** The part of `config` that an update mask names; a named field that was not sent goes back to its default. */
function masked(config: Partial<SpaceConfig>, mask: string[]): Partial<SpaceConfig> {
  const result: Record<string, unknown> = {}
  for (const path of mask) {
    const steps = path
      .split('.')
      .map(step => step.replaceAll(/_(\w)/g, (_all, letter: string) => letter.toUpperCase()))
    if (steps[0] !== 'config' || lookUp({ config: defaultConfig() }, steps) === undefined)
      throw new GoogleError(400, `Invalid field mask: ${path} cannot be updated.`)
    const value = lookUp({ config }, steps) ?? lookUp({ config: defaultConfig() }, steps)
    if (steps.length === 1) Object.assign(result, defaultConfig(), config)
    else place(result, steps.slice(1), value)
  }
  return result as Partial<SpaceConfig>
}

function lookUp(value: unknown, steps: string[]): unknown {
  return steps.reduce<unknown>((at, step) => (at as Record<string, unknown> | undefined)?.[step], value)
}

function place(target: Record<string, unknown>, steps: string[], value: unknown): void {
  const [step = '', ...rest] = steps
  if (rest.length === 0) target[step] = value
  else {
    target[step] ??= {}
    place(target[step] as Record<string, unknown>, rest, value)
  }
}

function merged(base: SpaceConfig, change: Partial<SpaceConfig>): SpaceConfig {
  const result = structuredClone(base) as unknown as Record<string, unknown>
  for (const [key, value] of Object.entries(change)) {
    if (value === null || value === undefined) continue
    result[key] =
      typeof value === 'object'
        ? merged((result[key] ?? {}) as SpaceConfig, value as Partial<SpaceConfig>)
        : value
  }
  return result as unknown as SpaceConfig
}

function denied(message: string): GoogleError {
  return new GoogleError(403, message)
}

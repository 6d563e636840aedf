import { meet, type meet_v2 } from 'googleapis/build/src/apis/meet/index.js'
import type { Log } from '../log.ts'
import type { Call, CallGoogle } from './call.ts'
import { GoogleFault } from './fault.ts'

type AccessType = 'OPEN' | 'TRUSTED' | 'RESTRICTED'

export interface SpaceWish {
  /** `abc-mnop-xyz` */
  meetingCode: string
  /** The Workspace user who owns the space: only the owner may change it. */
  organizer: string
  accessType: AccessType
  /** Ask for Google's own recording as a second source. */
  autoRecording: boolean
}

interface ConfiguredSpace {
  /** Canonical name `spaces/…`, the one to keep: a code can be given to another space. Null when Meet refused to say. */
  spaceName: string | null
  /** Who joins without knocking now, as far as Meet tells. */
  accessType: AccessType | 'unknown'
  autoRecording: 'on' | 'refused' | 'not_asked'
  /** One line for each thing that Meet refused; the meeting takes place all the same. */
  refusals: string[]
}

export interface Spaces {
  /**
   * Sets who joins without knocking and, apart from that, automatic recording.
   * @throws {GoogleFault} only when it may work later; a refusal is noted and never thrown
   */
  configureSpace(wish: SpaceWish, signal?: AbortSignal): Promise<ConfiguredSpace>
  /**
   * Canonical name of the space with this code, as a user who may join it; null when Meet does not tell them.
   * @throws {GoogleFault} only when it may work later
   */
  findSpace(as: string, meetingCode: string, signal?: AbortSignal): Promise<string | null>
}

// Covers spaces made by Calendar, and needs no review by Google (google-apis.md §2.1).
const SCOPES = ['https://www.googleapis.com/auth/meetings.space.settings']
const READ_SCOPES = ['https://www.googleapis.com/auth/meetings.space.readonly']
const AUTO_RECORDING_FIELD = 'config.artifactConfig.recordingConfig.autoRecordingGeneration'

export function createSpaces(deps: { call: CallGoogle; log: Log }): Spaces {
  const { call, log } = deps
  const { spaces } = meet('v2')

  return {
    findSpace: async (as, meetingCode, signal) => {
      const about: Call = { service: 'meet', method: 'spaces.get', subject: as, scopes: READ_SCOPES, signal }
      try {
        const { data } = await call(about, options => spaces.get({ name: `spaces/${meetingCode}` }, options))
        return data.name ?? null
      } catch (error) {
        if (!(error instanceof GoogleFault) || error.retryable) throw error
        log.warn(
          { meetingCode, code: error.code, reason: error.reason },
          'Meet did not tell the name of a space',
        )
        return null
      }
    },

    configureSpace: async ({ meetingCode, organizer, accessType, autoRecording }, signal) => {
      const refusals: string[] = []
      const about = (method: string): Call => ({
        service: 'meet',
        method,
        subject: organizer,
        scopes: SCOPES,
        idempotent: true,
        signal,
      })

      const unlessRefused = async <T>(work: Promise<T>): Promise<T | undefined> => {
        try {
          return await work
        } catch (error) {
          if (!(error instanceof GoogleFault) || error.retryable) throw error
          refusals.push(error.message)
          log.warn(
            { meetingCode, code: error.code, reason: error.reason },
            'Meet refused a setting of the space',
          )
          return undefined
        }
      }

      const patch = async (name: string, updateMask: string, config: meet_v2.Schema$SpaceConfig) =>
        (
          await call(about('spaces.patch'), options =>
            spaces.patch({ name, updateMask, requestBody: { config } }, options),
          )
        ).data.config

      // Only `get` takes a code; a patch by code is refused with a misleading 403 (google-apis.md §2.3).
      const found = await unlessRefused(
        call(about('spaces.get'), options => spaces.get({ name: `spaces/${meetingCode}` }, options)),
      )
      const spaceName = found?.data.name
      if (!found || !spaceName)
        return {
          spaceName: null,
          accessType: 'unknown',
          autoRecording: autoRecording ? 'refused' : 'not_asked',
          refusals,
        }

      const before = found.data.config
      let access = readAccess(before)
      if (access !== accessType) {
        const after = await unlessRefused(patch(spaceName, 'config.accessType', { accessType }))
        if (after) access = readAccess(after)
      }

      if (!autoRecording) return { spaceName, accessType: access, autoRecording: 'not_asked', refusals }
      const wanted = { artifactConfig: { recordingConfig: { autoRecordingGeneration: 'ON' } } }
      const recording = isOn(before)
        ? before
        : await unlessRefused(patch(spaceName, AUTO_RECORDING_FIELD, wanted))
      return { spaceName, accessType: access, autoRecording: isOn(recording) ? 'on' : 'refused', refusals }
    },
  }
}

function readAccess(config: meet_v2.Schema$SpaceConfig | undefined): AccessType | 'unknown' {
  const type = config?.accessType
  return type === 'OPEN' || type === 'TRUSTED' || type === 'RESTRICTED' ? type : 'unknown'
}

function isOn(config: meet_v2.Schema$SpaceConfig | undefined): boolean {
  return config?.artifactConfig?.recordingConfig?.autoRecordingGeneration === 'ON'
}

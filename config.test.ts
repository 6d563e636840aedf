import { expect, test } from 'vitest'
import { describeSettings, readConfig, SettingsRefused } from './config.ts'

function refusal(env: Record<string, string>): readonly string[] {
  try {
    readConfig(env)
  } catch (error) {
    if (error instanceof SettingsRefused) return error.sentences
    throw error
  }
  throw new Error('the settings were taken')
}

test('without any setting the defaults hold', () => {
  const config = readConfig({})
  expect(config.recorder).toMatchObject({ width: 1280, height: 720, fps: 30, segmentSeconds: 4 })
  expect(config.patience).toMatchObject({
    joinLeadSeconds: 60,
    waitingRoomSeconds: 600,
    nobodyCameSeconds: 900,
  })
  expect(config.databaseUrl).toBeUndefined()
})

test('a misspelt setting is refused, with the name that was probably meant', () => {
  expect(refusal({ TESTIGO_RECORDER_SLOT: '2' })).toEqual([
    'TESTIGO_RECORDER_SLOT is not a setting of Testigo; did you mean TESTIGO_RECORDER_SLOTS?',
  ])
})

test('every fault is told at once, each with what to set', () => {
  const sentences = refusal({
    PORT: 'eighty',
    TESTIGO_VIDEO_SIZE: 'large',
    TESTIGO_S3_ENDPOINT: 'ftp://bucket',
  })
  expect(sentences).toHaveLength(3)
  expect(sentences.join('\n')).toContain('must look like 1280x720')
})

test('an empty value counts as not set, as compose files give it', () => {
  expect(readConfig({ TESTIGO_VIDEO_FPS: '', DATABASE_URL: '' }).recorder.fps).toBe(30)
})

test('settings of other programs are none of our business', () => {
  expect(readConfig({ PATH: '/bin', AWS_PROFILE: 'x', NODE_ENV: 'production' }).api.port).toBe(8080)
})

test('every setting says what it is', () => {
  for (const { name, about } of describeSettings()) expect(about.length, name).toBeGreaterThan(9)
})

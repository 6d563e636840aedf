import { resolve } from 'node:path'
import { defineConfig } from 'vitest/config'

const report = process.env.VITEST_REPORT

// What measures real media to the frame: one file after another, with both cores to itself.
const MEDIA = [
  'recorder/capture/tab-capture.test.ts',
  'recorder/capture/segmenter.test.ts',
  'sandbox/test-pattern/loopback-recording.test.ts',
  'sandbox/test-pattern/pattern-page.test.ts',
  'sandbox/journeys/demo.test.ts',
]
// What starts browsers and mostly waits for them: two files at a time.
const BROWSER = [
  'recorder/browser.test.ts',
  'recorder/meet-page/meet-page.test.ts',
  'sandbox/meet-web/**/*.test.ts',
  'sandbox/journeys/!(demo).test.ts',
]
const COMMON = {
  pool: 'forks',
  testTimeout: 60_000,
  hookTimeout: 120_000,
  teardownTimeout: 20_000,
  // For the many processes of ours that tests start: a fifth of the time each takes to load.
  env: { NODE_COMPILE_CACHE: resolve(import.meta.dirname, '.testigo/compiled') },
} as const

export default defineConfig({
  test: {
    reporters: report ? ['default', ['json', { outputFile: report }]] : ['default'],
    projects: [
      {
        test: {
          ...COMMON,
          name: 'light',
          include: ['**/*.test.ts'],
          exclude: ['**/node_modules/**', '.testigo/**', ...BROWSER, ...MEDIA],
          isolate: false,
          maxWorkers: 3,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...COMMON,
          name: 'browser',
          include: BROWSER,
          maxWorkers: 2,
          maxConcurrency: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...COMMON,
          name: 'media',
          include: MEDIA,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})

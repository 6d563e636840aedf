import { defineConfig } from 'vitest/config'

const report = process.env.VITEST_REPORT

// What starts a browser or encodes for seconds: one file after another, with both cores to itself.
const HEAVY = [
  'recorder/browser.test.ts',
  'recorder/capture/**/*.test.ts',
  'recorder/meet-page/meet-page.test.ts',
  'sandbox/meet-web/**/*.test.ts',
  'sandbox/test-pattern/**/*.test.ts',
  'sandbox/journeys/**/*.test.ts',
]
const COMMON = { pool: 'forks', testTimeout: 20_000, hookTimeout: 60_000, teardownTimeout: 20_000 } as const

export default defineConfig({
  test: {
    reporters: report ? ['default', ['json', { outputFile: report }]] : ['default'],
    projects: [
      {
        test: {
          ...COMMON,
          name: 'light',
          include: ['**/*.test.ts'],
          exclude: ['**/node_modules/**', '.testigo/**', ...HEAVY],
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...COMMON,
          name: 'heavy',
          include: HEAVY,
          fileParallelism: false,
          maxConcurrency: 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})

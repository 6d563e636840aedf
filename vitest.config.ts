import { defineConfig } from 'vitest/config'

const report = process.env.VITEST_REPORT

// Files run one after another: a browser, ffmpeg and WebRTC need both cores to themselves.
export default defineConfig({
  test: {
    include: ['**/*.test.ts'],
    exclude: ['node_modules/**', '.testigo/**'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
    reporters: report ? ['default', ['json', { outputFile: report }]] : ['default'],
  },
})

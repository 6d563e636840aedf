import { expect, test } from 'vitest'
import { systemClock } from '../clock.ts'
import { expectedCores, mayBegin, watchLoad } from './admission.ts'

const limits = { slots: 8, coresOfOne: 0.85, bytesOfOne: 900e6 }
const idle = { cores: 4, busyCores: 0.1, freeBytes: 8e9 }
const settled = { ageMs: 600_000 }
const young = { ageMs: 3_000 }

test('a machine without a recording takes one, however busy it looks', () => {
  expect(mayBegin({ cores: 1, busyCores: 1, freeBytes: 1e8 }, [], limits)).toEqual({ ok: true })
})

test('slots are the outer limit', () => {
  expect(mayBegin(idle, [young], { ...limits, slots: 1 })).toMatchObject({ ok: false })
})

test('those that have just begun are reckoned with what they will take, though nothing is measured yet', () => {
  expect(mayBegin(idle, [young, young], limits).ok).toBe(true)
  expect(mayBegin(idle, [young, young, young, young], limits)).toEqual({
    ok: false,
    because: 'one more would need 4.3 of 4 cores',
  })
})

test('what runs is judged by the measured load', () => {
  const running = [settled, settled, settled]
  expect(mayBegin({ ...idle, busyCores: 2.1 }, running, limits).ok).toBe(true)
  expect(mayBegin({ ...idle, busyCores: 3.2 }, running, limits).ok).toBe(false)
})

test('without memory for a browser nothing more begins', () => {
  expect(mayBegin({ ...idle, freeBytes: 5e8 }, [settled], limits)).toMatchObject({
    ok: false,
    because: 'only 500 MB of memory are free',
  })
})

test('a smaller picture takes less', () => {
  const hd = expectedCores({ width: 1280, height: 720, fps: 30 })
  expect(hd).toBeCloseTo(0.85)
  expect(expectedCores({ width: 640, height: 360, fps: 15 })).toBeLessThan(0.5 * hd)
})

test('the load of this machine is measured', async () => {
  const stop = new AbortController()
  const load = watchLoad(systemClock, stop.signal)
  const deadline = Date.now() + 15_000
  while (load.now().busyCores === null && Date.now() < deadline) await systemClock.sleep(100)
  const { cores, busyCores, freeBytes } = load.now()
  stop.abort()
  await load.over
  expect(busyCores).toBeGreaterThan(0)
  expect(busyCores).toBeLessThanOrEqual(cores * 2)
  expect(freeBytes).toBeGreaterThan(1e7)
})

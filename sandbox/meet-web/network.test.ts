import { afterAll, beforeAll, expect, test } from 'vitest'
import { endHeading, openWorld, type TestWorld, videosPlay, visit, visitCall } from './test-visitor.ts'

let world: TestWorld

beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world[Symbol.asyncDispose]())

const noticed = () => document.querySelector('[role=alert]')?.textContent?.includes('Trying to reconnect')

test('a page whose network is cut says so, and is back in its place by itself when the network is', async () => {
  await using visited = await visitCall(world, { participants: ['Ana'] })
  const { page, meeting } = visited
  await videosPlay(page, 1)
  meeting.cutNetwork()
  await page.waitForFunction(noticed, { timeout: 5_000 })
  expect(meeting.inCall).toEqual(['Ana', 'Testigo bot'])
  meeting.restoreNetwork()
  await meeting.waitFor('resumed', 10_000)
  await page.waitForFunction(() => document.querySelector('[role=alert]') === null, { timeout: 10_000 })
  await videosPlay(page, 1)
  expect(meeting.events.filter(({ type }) => type === 'joined')).toHaveLength(1)
})

test('a seat that nobody heard of for long is gone, and its page comes back on another one', async () => {
  await using visited = await visitCall(world, { participants: ['Ana'], cutOffSeatMs: 300 })
  const { page, meeting } = visited
  meeting.cutNetwork(800)
  expect(await meeting.waitFor('left', 5_000)).toMatchObject({ how: 'connection-lost' })
  const from = meeting.events.length
  await meeting.waitFor('joined', 10_000, from)
  await videosPlay(page, 1)
  expect(meeting.inCall).toEqual(['Ana', 'Testigo bot'])
})

test('a page that cannot come back gives up', async () => {
  await using visited = await visitCall(world, { participants: [], reconnectGiveUpMs: 500 })
  visited.meeting.cutNetwork()
  expect(await endHeading(visited.page)).toBe('Connection lost')
  expect(await visited.page.$('[data-is-connection-lost=true]')).not.toBeNull()
})

test('a page that comes back after its end is told which end it was', async () => {
  await using visited = await visitCall(world, { participants: [] })
  visited.meeting.cutNetwork()
  visited.meeting.remove()
  visited.meeting.restoreNetwork()
  expect(await endHeading(visited.page)).toBe('You’ve been removed from the meeting')
})

test('while the network is cut no page of Meet loads and no account is known', async () => {
  await using visited = await visit(world, { participants: [] })
  const { page, meeting } = visited
  await world.web.cutNetwork()
  await expect(page.goto(meeting.url)).rejects.toThrow('ERR_CONNECTION_REFUSED')
  await expect(page.goto('https://accounts.google.com/ListAccounts')).rejects.toThrow(
    'ERR_CONNECTION_REFUSED',
  )
  await world.web.restoreNetwork()
  await page.goto(meeting.url)
  await page.waitForSelector('c-wiz', { timeout: 5_000 })
})

test('the network of one meeting is cut without touching another', async () => {
  await using cut = await visit(world, { participants: [] })
  await using other = await visit(world, { participants: [] })
  cut.meeting.cutNetwork()
  await expect(cut.page.goto(cut.meeting.url)).rejects.toThrow('ERR_EMPTY_RESPONSE')
  await other.page.reload()
  await other.page.waitForSelector('c-wiz', { timeout: 5_000 })
})

test('another process cuts and restores the network', async () => {
  await using visited = await visitCall(world, { participants: [] })
  const post = (path: string, body = {}) =>
    fetch(`${world.web.controlUrl}/_sandbox/${path}`, { method: 'POST', body: JSON.stringify(body) })
  const { meeting } = visited
  expect((await post(`meetings/${meeting.code}/cut-network`, { durationMs: 200 })).status).toBe(200)
  expect(await meeting.waitFor('network-cut', 1_000)).toMatchObject({ forMs: 200 })
  await meeting.waitFor('resumed', 10_000)
  expect((await post('network/cut')).status).toBe(200)
  expect((await post('network/restore')).status).toBe(200)
  await meeting.waitFor(event => event.type === 'resumed', 10_000, meeting.events.length)
})

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { launch } from 'puppeteer-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { findChromium, rootFlags } from './chromium.ts'
import { clickText, endHeading, openWorld, type TestWorld, type VisitOptions, visit } from './test-visitor.ts'

let world: TestWorld
const bot = { email: 'testigo@clinica.example', name: 'Testigo' }

beforeAll(async () => {
  world = await openWorld()
})

afterAll(() => world[Symbol.asyncDispose]())

test('an invited account joins at once under its own name; one that is not invited knocks', async () => {
  const settings: VisitOptions = { access: 'trusted', invited: ['Testigo@Clinica.example'], participants: [] }
  await using invited = await visit(world, { ...settings, account: bot })
  const { page, meeting } = invited
  expect(await page.$('input[jsname=YPqjbf]')).toBeNull()
  expect(await page.$('[aria-label="Google Account: Testigo (testigo@clinica.example)"]')).not.toBeNull()
  expect(await page.$eval('body', body => body.textContent)).toContain('testigo@clinica.example')
  expect(await page.$('[data-is-anonymous=false]')).not.toBeNull()
  await clickText(page, 'Join now')
  expect(await meeting.waitFor('joined', 5_000)).toMatchObject({ name: 'Testigo' })
  const other = { email: 'otra@clinica.example', name: 'Otra' }
  await using uninvited = await visit(world, { of: meeting, account: other })
  expect(await uninvited.page.$eval('[jsname=Qx7uuf]', one => one.textContent)).toBe('Ask to join')
})

test('the same account a second time is offered "Switch here", which ends the first seat', async () => {
  await using first = await visit(world, { account: bot, participants: ['Ana'] })
  await clickText(first.page, 'Join now')
  await first.meeting.waitFor('joined', 5_000)
  await using second = await visit(world, { of: first.meeting, account: bot })
  await clickText(second.page, 'Switch here')
  expect(await first.meeting.waitFor('left', 5_000)).toMatchObject({ how: 'switched' })
  expect(await endHeading(first.page)).toBe('You switched to another device')
  expect(first.meeting.inCall).toEqual(['Ana', 'Testigo'])
})

test('"Join here too" leaves the first seat where it is', async () => {
  await using first = await visit(world, { account: bot, participants: ['Ana'] })
  await clickText(first.page, 'Join now')
  await first.meeting.waitFor('joined', 5_000)
  await using second = await visit(world, { of: first.meeting, account: bot })
  await clickText(second.page, 'Join here too')
  await expect.poll(() => first.meeting.inCall, { timeout: 5_000 }).toEqual(['Ana', 'Testigo', 'Testigo'])
  expect(await first.page.$('h1[jsname=r4nke]')).toBeNull()
})

test('ListAccounts answers as Chromium expects, also for an expired session', async () => {
  await using visited = await visit(world, { account: bot, participants: [] })
  const { page } = visited
  await page.goto('https://accounts.google.com/')
  const list = () =>
    page.evaluate(async () => {
      const answer = await fetch('/ListAccounts?gpsia=1&source=ChromiumBrowser&json=standard', {
        method: 'POST',
      })
      return (await answer.json()) as [string, unknown[][]]
    })
  const [kind, [row]] = await list()
  expect(kind).toBe('gaia.l.a.r')
  expect([row?.[2], row?.[3], row?.[9]]).toEqual([bot.name, bot.email, 1])
  expect(row?.[10]).toMatch(/^\d+$/)
  world.web.accounts.expire(bot.email)
  expect((await list())[1][0]?.[9]).toBe(0)
  await page.goto(visited.meeting.url)
  await page.waitForSelector('input[jsname=YPqjbf]', { timeout: 5_000 })
  await page.goto('https://accounts.google.com/_sandbox/sign-out')
  await page.goto('https://accounts.google.com/ServiceLogin')
  expect((await list())[1]).toEqual([])
})

test('a person signs in by the form, and the profile stays signed in after the browser was closed', async () => {
  const userDataDir = await mkdtemp(join(tmpdir(), 'meet-web-profile-'))
  const open = () =>
    launch({
      executablePath: findChromium(),
      headless: true,
      userDataDir,
      args: [...rootFlags, ...world.web.chromiumArgs],
    })
  try {
    const before = await open()
    const form = await before.newPage()
    await form.goto('https://accounts.google.com/ServiceLogin?continue=https://accounts.google.com/')
    await form.type('input[name=email]', 'ana@clinica.example')
    await form.type('input[name=name]', 'Ana')
    await Promise.all([form.waitForNavigation(), form.click('form button')])
    expect(await form.$eval('h1', one => one.textContent)).toBe('Welcome, Ana')
    await before.close()
    const after = await open()
    const page = await after.newPage()
    await page.goto('https://accounts.google.com/')
    expect(await page.$eval('h1', one => one.textContent)).toBe('Welcome, Ana')
    await after.close()
  } finally {
    await rm(userDataDir, { recursive: true, force: true })
  }
})

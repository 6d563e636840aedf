import type { Page } from 'puppeteer-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  clickJoin,
  clickText,
  endHeading,
  openWorld,
  type TestWorld,
  visit,
  visitCall,
} from './test-visitor.ts'

let world: TestWorld

beforeAll(async () => {
  world = await openWorld()
})

afterAll(() => world[Symbol.asyncDispose]())

const count = async (page: Page, selector: string) => (await page.$$(selector)).length
const textOf = (page: Page, selector: string) => page.$eval(selector, one => one.textContent?.trim() ?? '')
const labelOf = (page: Page, selector: string) => page.$eval(selector, one => one.getAttribute('aria-label'))

test('the call holds every trap of the captures', async () => {
  await using visited = await visitCall(world)
  const { page } = visited
  await page.waitForSelector('span[data-avatar-count]')
  const hiddenTexts = await page.evaluate(() => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    const found: string[] = []
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
      if (!node.parentElement?.checkVisibility()) found.push(node.textContent?.trim() ?? '')
    }
    return found
  })
  for (const text of [
    'Call will end soon',
    'Hand raises',
    'Meeting timer',
    'Others might still see your full video.',
  ]) {
    expect(hiddenTexts).toContain(text)
  }
  expect(hiddenTexts.filter(text => text.startsWith('Developing an extension'))).toHaveLength(2)
  expect(await page.$eval('[jsname=OfoTlf]', one => one.checkVisibility())).toBe(false)
  expect(await textOf(page, 'main .hidden-hint')).toContain('Raising your hand')
  expect(await count(page, '[data-tile-media-id]')).toBe(4)
  expect(await count(page, '[data-tile-media-id] i.google-material-icons.notranslate')).toBe(5)
  expect(await count(page, '[data-panel-container-id].qdulke')).toBe(3)
  expect(await count(page, '[role=list], [role=listitem], [role=toolbar]')).toBe(0)
  expect(await count(page, '[data-panel-id="10"] [jsname=z0F4cd]')).toBe(1)
  expect(await count(page, 'body > audio')).toBe(3)
  expect(await count(page, '[data-in-call=true]')).toBe(1)
})

test('tiles, bar and chips have the attributes of the captures', async () => {
  await using visited = await visitCall(world, {
    participants: [{ name: 'Ana' }, { name: 'Luis', cameraOff: true, muted: true }],
  })
  const { page } = visited
  await page.waitForSelector('span[data-avatar-count="3"]')
  const ids = await page.$$eval('[data-tile-media-id]', tiles =>
    tiles.map(tile =>
      ['data-participant-id', 'data-requested-participant-id', 'data-tile-media-id'].map(name =>
        tile.getAttribute(name),
      ),
    ),
  )
  for (const three of ids) {
    expect(new Set(three).size).toBe(1)
    expect(three[0]).toMatch(/^spaces\/\w+\/devices\/\d+$/)
  }
  const own = '[data-tile-media-id]:has(i[data-shape]) button[jsname=nsKqzb]'
  expect(await count(page, own)).toBe(1)
  expect(
    await page.$$eval(
      '[data-tile-media-id]',
      tiles => tiles.at(-1)?.querySelector('[jsname=nsKqzb]') !== null,
    ),
  ).toBe(true)
  expect(await count(page, 'main .FTMc0c')).toBe(2)
  expect(await count(page, '[jsname=QgSmzd]')).toBe(6)
  const bar = 'div[role=region][jsname=vNB5le][aria-label="Call controls"]'
  for (const jsname of ['hw0c9', 'psRWwc', 'hNGZQc', 'G0pghc', 'RrG0hf', 'FpSaz', 'NakZHc', 'CQylAd']) {
    expect(
      await count(page, `${bar} button[role=button][jsname=${jsname}] i.google-symbols.notranslate`),
    ).toBeGreaterThan(0)
    expect(await count(page, `${bar} button[jsname=${jsname}] + [role=tooltip]`)).toBe(1)
  }
  expect(await textOf(page, 'button[jsname=CQylAd] i')).toBe('call_end')
  expect(await page.$eval('button[jsname=hw0c9]', one => one.getAttribute('data-is-muted'))).toBe('true')
  const chips = await page.$$eval('[jsname=ocqpFe][aria-labelledby]', all =>
    all.map(one => [
      one.tagName,
      one.getAttribute('aria-label'),
      document.getElementById(one.getAttribute('aria-labelledby') ?? '')?.textContent,
    ]),
  )
  expect(chips).toEqual([
    ['DIV', null, 'External participants joined'],
    ['DIV', null, 'People'],
  ])
})

test.each([
  ['aug-2026', 0, '[data-priority="1150"]'],
  ['apr-2026', 1, '.lefKC'],
] as const)('layout %s has title and clock in its own place', async (layout, titleHolders, place) => {
  await using visited = await visitCall(world, { layout, title: 'Junta semanal', participants: [] })
  const { page } = visited
  expect(await count(page, '[data-meeting-title]')).toBe(titleHolders)
  expect(await textOf(page, `${place} [jsname=NeC6gb]`)).toBe('Junta semanal')
  expect(await count(page, '[data-should-confirm-hangup=false]')).toBe(layout === 'aug-2026' ? 1 : 0)
})

test('panels open and close; people are listed only while theirs is open', async () => {
  await using visited = await visitCall(world, { participants: ['Ana'] })
  const { page, meeting } = visited
  const chip = await page.waitForSelector('[jsname=ocqpFe][aria-labelledby=ppl-nav9Xe]')
  await chip?.click()
  const names = () =>
    page.$$eval('[role=list] [role=listitem]', rows => rows.map(row => row.getAttribute('aria-label')))
  expect(await names()).toEqual(['Ana', 'Testigo bot'])
  meeting.join('Luis')
  await page.waitForSelector('[role=listitem][aria-label=Luis]', { timeout: 5_000 })
  meeting.chat('Ana', 'hola')
  await page.waitForSelector('button[aria-label="Chat with everyone - New message"]', { timeout: 5_000 })
  await page.click('button[data-panel-id="2"]')
  expect(await names()).toEqual([])
  expect(await count(page, '[data-message-id^="spaces/"]')).toBe(2)
  await page.type('textarea[aria-label="Send a message"]', 'buenos días')
  await page.click('button[jsname=SoqoBf]')
  expect(await meeting.waitFor('chat-sent', 5_000)).toMatchObject({ text: 'buenos días' })
})

test('captions come on with their label flipped and show turns', async () => {
  await using visited = await visitCall(world, { participants: ['Ana'] })
  const { page, meeting } = visited
  expect(await count(page, '[aria-label=Captions]')).toBe(0)
  await page.click('[jsname=RrG0hf]')
  expect(await labelOf(page, '[jsname=RrG0hf]')).toBe('Turn off captions')
  meeting.caption('Ana', 'buenos días')
  meeting.caption('Ana', 'a todos')
  await page.waitForFunction(
    () => document.querySelector('[jsname=dsyhDe] .nMcdL .ygicle')?.textContent === 'buenos días a todos',
    { timeout: 5_000 },
  )
})

test('the page speaks the language of hl, and a Spanish account cannot be talked out of its own', async () => {
  await using english = await visit(world, { query: '?hl=en' })
  expect(await english.page.evaluate(() => document.documentElement.lang)).toBe('en')
  await using spain = await visit(world, { query: '?hl=es', access: 'trusted', permissionModal: true })
  expect(await textOf(spain.page, '[jsname=Qx7uuf] [jsname=V67aGc]')).toBe('Pedir unirte')
  expect(await labelOf(spain.page, 'input[jsname=YPqjbf]')).toBe('Tu nombre')
  await clickText(spain.page, 'Continuar sin micrófono ni cámara')
  await using colombia = await visit(world, {
    scenario: 'spanish',
    query: '?hl=en',
    admitAfterMs: null,
    participants: [],
  })
  const { page, meeting } = colombia
  expect(await page.evaluate(() => document.documentElement.lang)).toBe('es-419')
  await clickJoin(page)
  await meeting.waitFor('knock', 5_000)
  await page.waitForSelector('button[jsname=CQylAd]')
  expect(await textOf(page, 'main')).toContain(
    'Espera a que un organizador de la reunión te permita participar',
  )
  meeting.admit()
  await page.waitForSelector('nav button[aria-label="Chatear con todos"]', { timeout: 5_000 })
  expect(await labelOf(page, 'button[jsname=CQylAd]')).toBe('Salir de la llamada')
  meeting.end()
  expect(await endHeading(page)).toBe('La llamada ha terminado')
})

test('where the words changed, no known text and no known jsname is left on the green room', async () => {
  await using visited = await visit(world, { scenario: 'words-changed' })
  const { page } = visited
  const text = await page.$eval('body', body => body.textContent)
  expect(text).toContain('Step inside')
  for (const known of ['Join now', 'Ask to join', 'Your name', 'Sign in', 'What’s your name?']) {
    expect(text).not.toContain(known)
  }
  expect(await count(page, '[jsname=Qx7uuf], [jsname=YPqjbf], [jsname=hw0c9], [jsname=r4nke]')).toBe(0)
})

test('a host is asked how to leave and may end the call for everybody', async () => {
  await using visited = await visit(world, { hostSeat: true, participants: ['Ana'] })
  const { page, meeting } = visited
  await page.type('input', 'Organizadora')
  await page.click('[jsname=z0F4cd] button')
  await meeting.waitFor('joined', 5_000)
  await (await page.waitForSelector('button[jsname=CQylAd]'))?.click()
  expect(await count(page, '[data-mdc-dialog-action=Pd96ce]')).toBe(1)
  await clickText(page, 'End the call for everyone')
  await meeting.waitFor('ended', 5_000)
})

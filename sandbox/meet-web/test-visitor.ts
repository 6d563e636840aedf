import { type Browser, type BrowserContext, launch, type Page } from 'puppeteer-core'
import { findChromium, rootFlags } from './chromium.ts'
import type { CreateMeeting } from './create-meeting.ts'
import type { Meeting } from './meeting.ts'
import { type MeetWeb, startMeetWeb } from './server.ts'

/** A sandbox and a browser such as a bot has, for tests. */
export type TestWorld = AsyncDisposable & { web: MeetWeb; browser: Browser }

export async function openWorld(): Promise<TestWorld> {
  const web = await startMeetWeb()
  const browser = await launch({
    executablePath: findChromium(),
    headless: true,
    pipe: true,
    defaultViewport: { width: 1280, height: 720 },
    args: [...rootFlags, ...web.chromiumArgs, '--autoplay-policy=no-user-gesture-required', '--mute-audio'],
  })
  return {
    web,
    browser,
    async [Symbol.asyncDispose]() {
      await browser.close()
      await web.stop()
    },
  }
}

export type Visit = AsyncDisposable & { meeting: Meeting; page: Page; context: BrowserContext }

export type VisitOptions = CreateMeeting & {
  query?: string
  account?: { email: string; name: string }
  /** Runs in the page before its own scripts. */
  beforeLoad?: () => void
  /** Visits this meeting instead of making one. */
  of?: Meeting
}

/** Opens a meeting in a browser context of its own and waits until it shows something. */
export async function visit({ web, browser }: TestWorld, options: VisitOptions = {}): Promise<Visit> {
  const { query = '?hl=en', account, beforeLoad, of, ...wanted } = options
  const meeting = of ?? web.createMeeting({ renderDelayMs: 50, chipsDelayMs: 50, ...wanted })
  const context = await browser.createBrowserContext()
  const page = await context.newPage()
  if (account) await page.goto(`https://accounts.google.com/_sandbox/sign-in?${new URLSearchParams(account)}`)
  if (beforeLoad) await page.evaluateOnNewDocument(beforeLoad)
  await page.goto(meeting.url + query)
  if (page.url().startsWith('https://meet.google.com/')) await page.waitForSelector('c-wiz')
  return { meeting, page, context, [Symbol.asyncDispose]: () => context.close() }
}

/** Types a name where one is asked for and clicks the join control. */
export async function clickJoin(page: Page, name = 'Testigo bot'): Promise<void> {
  const field = await page.$('input[jsname=YPqjbf]')
  await field?.type(name)
  const join =
    '[jsname=Qx7uuf] button:enabled, button[jsname=Qx7uuf]:enabled, .green-room [role=button][aria-disabled=false]'
  const control = await page.waitForSelector(join, { visible: true, timeout: 5_000 })
  await control?.click()
}

/** Opens a meeting and is in its call. */
export async function visitCall(world: TestWorld, options: VisitOptions = {}): Promise<Visit> {
  const visited = await visit(world, options)
  await clickJoin(visited.page)
  await visited.meeting.waitFor(event => event.type === 'screen-shown' && event.screen === 'call', 5_000)
  return visited
}

/** Clicks the visible button of that text. */
export async function clickText(page: Page, text: string): Promise<void> {
  const button = await page.waitForSelector(
    `xpath/.//button[.//span[text()="${text}"] or text()="${text}"]`,
    {
      visible: true,
      timeout: 5_000,
    },
  )
  await button?.click()
}

/** Waits until that many videos have played for a moment. */
export async function videosPlay(page: Page, count: number): Promise<void> {
  await page.waitForFunction(
    wanted => {
      const videos = [...document.querySelectorAll<HTMLVideoElement>('main video')]
      return (
        videos.length === wanted && videos.every(video => video.currentTime > 0.3 && video.videoWidth > 0)
      )
    },
    { timeout: 15_000 },
    count,
  )
}

export async function endHeading(page: Page): Promise<string> {
  const heading = await page.waitForSelector('h1[jsname=r4nke]', { timeout: 10_000 })
  return (await heading?.evaluate(element => element.textContent)) ?? ''
}

// Chromium for one meeting: stock flags, one tab for the meeting, the capture extension's page, and no orphans.
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import puppeteer, { type Browser, type LaunchOptions, type Page } from 'puppeteer-core'
import { getExtensionPage, launch as launchWithExtension, wss as openedAtImport } from 'puppeteer-stream'
import { within } from '../clock.ts'
import { explainLaunchFailure } from './browser-start-failure.ts'
import { mergeListSwitches } from './chromium-args.ts'
import { CHROMIUM_FOLDER } from './clear-work.ts'
import { listProcessGroup, listProcessTree, type ProcessStat, stillRunning } from './process-tree.ts'

// puppeteer-stream opens a WebSocket server on every interface, without a token, as soon as it is imported
// (dependencies.md §1.1, quirk 5). Our capture has its own, so this one goes before anything else happens.
const strayServer = await openedAtImport
if (strayServer !== undefined) await new Promise<void>(resolve => strayServer.close(() => resolve()))

export { BrowserDidNotStart } from './browser-start-failure.ts'

const LAUNCH_TIMEOUT_MS = 30_000
const POLITE_CLOSE_MS = 5_000
const KILL_WAIT_MS = 5_000
const EXTENSION_DIR = join(dirname(fileURLToPath(import.meta.resolve('puppeteer-stream'))), '..', 'extension')

export interface BrowserSettings {
  chromiumPath: string
  /** Extra switches, already split into words (`splitShellWords`). */
  chromiumArgs: readonly string[]
  /** A profile to use and keep. Without it a temporary one is made and removed. */
  profileDir?: string
  /** Size of the page in CSS pixels; also the size of what is captured. */
  width: number
  height: number
  /** Default true. A window on an X display is only for signing in by hand and for comparison. */
  headless?: boolean
  /** Chromium's own sandbox. Off only where the container forbids user namespaces or we run as root. */
  sandbox: boolean
  /** The language of Chromium and of `Accept-Language`, such as `en-US`. */
  language: string
}

/** Why the browser is gone. `stopped` is ours; the other two came upon us. */
export interface BrowserClosed {
  reason: 'stopped' | 'exited' | 'killed'
  detail: string
}

export interface RecorderBrowser extends AsyncDisposable {
  browser: Browser
  /** The meeting's tab. */
  page: Page
  /** The page of the extension that may capture tabs. */
  extensionPage: Page
  /** The meeting's tab as the extension names it; it stays the same over navigations. */
  tabId: number
  pid: number
  /** Settles once, when Chromium has ended for whatever reason. Never rejects. */
  closed: Promise<BrowserClosed>
  /** What Chromium said about the last tab that crashed, such as `killed (code 9)`; undefined while none did. */
  lastCrash(): string | undefined
  /**
   * Ends the whole process tree and removes its temporary files. May be called twice. `politely` (default): Chromium is
   * asked first, 5 s long; else it is killed.
   */
  stop(options?: { politely: boolean }): Promise<void>
}

/** Our switches for these settings, repeated list switches put together (a pure value). */
export function chromiumSwitches(settings: BrowserSettings): string[] {
  return mergeListSwitches([
    // Meet's sound must come without a click; a trusted click is not always there (DESIGN.md §2, row 2).
    '--autoplay-policy=no-user-gesture-required',
    `--lang=${settings.language}`,
    `--accept-lang=${settings.language}`,
    '--no-default-browser-check',
    '--disable-component-update',
    '--disable-domain-reliability',
    '--disable-session-crashed-bubble',
    '--hide-crash-restore-bubble',
    ...(settings.sandbox ? [] : ['--no-sandbox']),
    ...settings.chromiumArgs,
  ])
}

/** Starts Chromium with the capture extension and one blank tab of exactly `width`×`height`. Throws `BrowserDidNotStart`. */
export async function launchBrowser(settings: BrowserSettings): Promise<RecorderBrowser> {
  // A Chromium that is killed leaves its own temporary files too, so all of it lies in one folder.
  const folder = await mkdtemp(join(tmpdir(), CHROMIUM_FOLDER))
  const temporaryFiles = join(folder, 'tmp')
  await mkdir(temporaryFiles)
  const userDataDir = settings.profileDir ?? join(folder, 'profile')
  // Chromium may still be letting go of its files for a moment after it ended.
  const removeFolder = () => rm(folder, { recursive: true, force: true, maxRetries: 10 })
  let browser: Browser | undefined
  try {
    browser = await startChromium(settings, { userDataDir, temporaryFiles })
    return await openRecorderBrowser(browser, removeFolder)
  } catch (error) {
    if (browser !== undefined) await endProcessTree(browser)
    await removeFolder()
    throw await explainLaunchFailure(error, settings)
  }
}

async function startChromium(
  settings: BrowserSettings,
  { userDataDir, temporaryFiles }: { userDataDir: string; temporaryFiles: string },
): Promise<Browser> {
  const { width, height } = settings
  let extensionTab: Promise<unknown> = Promise.resolve()
  const launcher = {
    // puppeteer-stream neither waits for the extension's installation nor for its page (dependencies.md §1.1,
    // quirk 3), so both are waited for here; a page that did not open would else be an unhandled rejection.
    launch: async (options: LaunchOptions) => {
      const browser = await puppeteer.launch({ ...options, enableExtensions: true })
      outliveItsPipes(browser)
      try {
        await browser.installExtension(EXTENSION_DIR)
      } catch (error) {
        await endProcessTree(browser)
        throw error
      }
      const newPage = browser.newPage.bind(browser)
      browser.newPage = async () => {
        browser.newPage = newPage
        const page = await newPage()
        const goto = page.goto.bind(page)
        page.goto = (...request) => {
          page.goto = goto
          const opened = goto(...request)
          extensionTab = opened
          // Told below, where it is awaited.
          opened.catch(() => undefined)
          return opened
        }
        return page
      }
      return browser
    },
  }
  const browser = await launchWithExtension(launcher, {
    executablePath: settings.chromiumPath,
    // The type says boolean, the code wants the string: `true` would open a window (dependencies.md §1.1, quirk 1).
    headless: (settings.headless === false ? false : 'new') as boolean,
    args: chromiumSwitches(settings),
    defaultViewport: { width, height, deviceScaleFactor: 1 },
    userDataDir,
    timeout: LAUNCH_TIMEOUT_MS,
    startDelay: 1,
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
    env: { ...process.env, TMPDIR: temporaryFiles, LANGUAGE: settings.language },
  })
  try {
    await extensionTab
    return browser
  } catch (error) {
    await endProcessTree(browser)
    throw error
  }
}

/**
 * A Chromium that is killed with commands unread resets its pipes, and puppeteer listens to them no more by then: an
 * error nobody listens to would end this process. How Chromium ended is told by `closed`.
 */
function outliveItsPipes(browser: Browser): void {
  for (const stream of browser.process()?.stdio ?? []) stream?.on('error', () => undefined)
}

async function openRecorderBrowser(
  browser: Browser,
  removeFolder: () => Promise<void>,
): Promise<RecorderBrowser> {
  const child = browser.process()
  const pid = child?.pid
  if (child === null || pid === undefined) throw new Error('Chromium runs without a process of ours')

  let stopping: Promise<void> | undefined
  const closed = new Promise<BrowserClosed>(resolve => {
    const settle = (code: number | null, signal: NodeJS.Signals | null) => {
      const detail = signal === null ? `exit code ${code}` : `signal ${signal}`
      resolve({ reason: stopping ? 'stopped' : signal === null ? 'exited' : 'killed', detail })
    }
    if (child.exitCode !== null || child.signalCode !== null) settle(child.exitCode, child.signalCode)
    child.once('exit', settle)
  })

  const extensionPage = await getExtensionPage(browser)
  const { page, tabId } = await findMeetingTab(browser, extensionPage)
  await page.bringToFront()
  const lastCrash = await watchCrashes(browser)
  const stop = ({ politely } = { politely: true }) => {
    stopping ??= endProcessTree(browser, politely).then(removeFolder)
    return stopping
  }
  return {
    browser,
    page,
    extensionPage,
    tabId,
    pid,
    closed,
    lastCrash,
    stop,
    [Symbol.asyncDispose]: () => stop(),
  }
}

/** Chromium tells why a tab crashed (killed, out of memory) only here; the page's own event just says that it did. */
async function watchCrashes(browser: Browser): Promise<() => string | undefined> {
  let last: string | undefined
  const session = await browser.target().createCDPSession()
  session.on('Target.targetCrashed', ({ status, errorCode }) => {
    last = `${status} (code ${errorCode})`
  })
  await session.send('Target.setDiscoverTargets', { discover: true })
  return () => last
}

/** The one tab that is not the extension's. A kept profile may bring back tabs of its last visit: those are closed. */
async function findMeetingTab(browser: Browser, extensionPage: Page): Promise<{ page: Page; tabId: number }> {
  const others = (await browser.pages()).filter(page => page !== extensionPage)
  const page = others[0] ?? (await browser.newPage())
  for (const leftOver of others.slice(1)) await leftOver.close()
  const tabIds = await extensionPage.evaluate(async () => {
    const tabs = (globalThis as unknown as { chrome: { tabs: TabsApi } }).chrome.tabs
    const own = await tabs.getCurrent()
    return (await tabs.query({})).map(tab => tab.id).filter(id => id !== own?.id)
  })
  if (tabIds.length !== 1 || tabIds[0] === undefined) {
    throw new Error(`expected one tab for the meeting, Chromium shows ${tabIds.length}`)
  }
  return { page, tabId: tabIds[0] }
}

interface TabsApi {
  getCurrent(): Promise<{ id: number } | undefined>
  query(filter: object): Promise<{ id: number }[]>
}

/** Asks Chromium to close, if wanted, then kills whatever of its tree is left. */
async function endProcessTree(browser: Browser, politely = true): Promise<void> {
  const child = browser.process()
  const pid = child?.pid
  if (child === null || pid === undefined) return
  // Of a Chromium that was killed the children are left, in the group that puppeteer gave it.
  const tree = [...(await listProcessTree(pid)), ...(await listProcessGroup(pid))]
  const exited = new Promise<void>(resolve => {
    if (child.exitCode !== null || child.signalCode !== null) resolve()
    child.once('exit', () => resolve())
  })
  if (politely && browser.connected) {
    // Closing can hang with a hung tab and fails when Chromium dies meanwhile; the kill below settles both.
    const closing = puppeteerClose(browser).catch(() => undefined)
    await within(POLITE_CLOSE_MS, Promise.all([closing, exited]))
  }
  const deadlineMs = Date.now() + KILL_WAIT_MS
  let left = await stillRunning(tree)
  while (left.length > 0) {
    for (const process of left) kill(process)
    if (Date.now() > deadlineMs) {
      throw new Error(
        `Chromium does not end: processes ${left.map(process => process.pid).join(', ')} are left`,
      )
    }
    await new Promise(resolve => setTimeout(resolve, 20))
    left = await stillRunning(tree)
  }
  await browser.disconnect()
}

/** Puppeteer's own close: puppeteer-stream replaces it by one that first talks to every tab and can hang. */
function puppeteerClose(browser: Browser): Promise<void> {
  const prototype = Object.getPrototypeOf(browser) as Browser
  return prototype.close.call(browser)
}

function kill(victim: ProcessStat): void {
  try {
    process.kill(victim.pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

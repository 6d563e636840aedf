// A person signs the bot's account in once, in a window; the profile is kept for the recorders.
import { mkdir } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { systemClock } from '../clock.ts'
import { readConfig, SettingsRefused } from '../config.ts'
import { createLog, type Log } from '../log.ts'
import { BrowserDidNotStart, launchBrowser, type RecorderBrowser } from '../recorder/browser.ts'
import { isSameAccount, readAccounts } from '../recorder/meet-page/signed-in.ts'
import { planVisit } from '../recorder/plan-visit.ts'
import { botOfLane } from '../recorder/record-meeting.ts'

const SIGN_IN = 'https://accounts.google.com/ServiceLogin?continue=https://meet.google.com/'
const PATIENCE_MS = 15 * 60_000
const LOOK_MS = 2000

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { profile: { type: 'string' }, check: { type: 'boolean', default: false } },
  })
  const config = readConfig(process.env)
  const profileDir = values.profile ?? botOfLane(config, 0).profileDir
  await mkdir(profileDir, { recursive: true })
  const now = new Date(systemClock.now())
  const { browser: settings } = planVisit(config, {
    joinUrl: 'https://meet.google.com/',
    startsAt: now,
    endsAt: now,
    patience: {},
  })
  await using browser = await launchBrowser({ ...settings, profileDir, headless: values.check })
  const log = createLog(config.logLevel, { process: 'sign-in-bot' })
  if (!values.check) {
    await browser.page.goto(SIGN_IN, { timeout: 60_000 })
    process.stdout.write(
      `Sign ${config.bot.email ?? 'the bot account'} in, in the window that opened. It closes by itself.\n`,
    )
  }
  const until = systemClock.now() + (values.check ? 0 : PATIENCE_MS)
  for (;;) {
    const account = await whoIsSignedIn(browser, log)
    if (account && (!config.bot.email || isSameAccount(account, config.bot.email))) {
      process.stdout.write(`Signed in as ${account}. The profile is in ${profileDir}\n`)
      return
    }
    if (account)
      process.stdout.write(
        `Signed in as ${account}, but TESTIGO_BOT_EMAIL is ${config.bot.email}: sign that account in.\n`,
      )
    if (systemClock.now() >= until) throw new Error(`Nobody is signed in in ${profileDir}`)
    await Promise.race([
      systemClock.sleep(LOOK_MS),
      browser.closed.then(() =>
        Promise.reject(new Error('The window was closed before anybody was signed in')),
      ),
    ])
  }
}

// In a tab of its own: the person's own tab must stay where it is.
async function whoIsSignedIn(browser: RecorderBrowser, log: Log): Promise<string | undefined> {
  const page = await browser.browser.newPage()
  try {
    const signedIn = await readAccounts(page, log)
    return signedIn.kind === 'accounts' ? signedIn.accounts[0]?.email : undefined
  } finally {
    await page.close()
  }
}

try {
  await main()
} catch (error) {
  const known = error instanceof SettingsRefused || error instanceof BrowserDidNotStart
  process.stderr.write(`${known ? error.message : (error as Error).message}\n`)
  process.exitCode = 1
}

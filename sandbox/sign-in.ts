import { mkdir } from 'node:fs/promises'
import puppeteer from 'puppeteer-core'
import { findChromium, rootFlags } from './meet-web/chromium.ts'

/** Signs an account of the sandbox's Google in and leaves the session in a browser profile, as a person would. */
export async function signInProfile(options: {
  profileDir: string
  email: string
  name: string
  chromiumArgs: string[]
  chromiumPath?: string
}): Promise<void> {
  await mkdir(options.profileDir, { recursive: true })
  const browser = await puppeteer.launch({
    executablePath: findChromium(options.chromiumPath),
    userDataDir: options.profileDir,
    args: [
      ...options.chromiumArgs,
      ...rootFlags,
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
    timeout: 60_000,
  })
  try {
    const page = await browser.newPage()
    const query = new URLSearchParams({ email: options.email, name: options.name })
    const answer = await page.goto(`https://accounts.google.com/_sandbox/sign-in?${query}`, {
      timeout: 30_000,
    })
    if (!answer?.ok())
      throw new Error(`the sandbox did not sign ${options.email} in: HTTP ${answer?.status()}`)
  } finally {
    await browser.close()
  }
}

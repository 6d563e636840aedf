import { type BrowserSettings, launchBrowser, type RecorderBrowser } from './browser.ts'
import { splitShellWords } from './chromium-args.ts'

/** A browser as tests want it. Chromium's own sandbox is off: tests also run as root and in plain containers. */
export function launchTestBrowser(settings: Partial<BrowserSettings> = {}): Promise<RecorderBrowser> {
  return launchBrowser({
    chromiumPath: process.env.CHROMIUM_PATH || '/usr/bin/chromium',
    chromiumArgs: splitShellWords(process.env.CHROMIUM_ARGS ?? ''),
    width: 1280,
    height: 720,
    sandbox: false,
    language: 'en-US',
    ...settings,
  })
}

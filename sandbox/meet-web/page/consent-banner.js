// The banner that says the call is recorded. Meet puts out whoever hides it (meet-web-facts.md §7).
import { tell } from './connection.js'
import { h, icon } from './elements.js'
import { state, t } from './page-state.js'

const checkEveryMs = 1_000
const texts = { recording: 'recordingTitle', transcription: 'transcriptionTitle', gemini: 'geminiTitle' }

/** Shows it once the notice of that kind was accepted, and watches that it stays visible. */
export function showConsentBanner(kind) {
  if (texts[kind] === undefined || document.querySelector('.consent-banner') !== null) return
  const banner = h('div', { role: 'status', class: 'consent-banner' }, icon('screen_record'), t(texts[kind]))
  document.querySelector('[data-priority="1150"]').append(banner)
  const watch = setInterval(() => {
    if (state.screen !== 'call') clearInterval(watch)
    else if (!isVisible(banner)) {
      clearInterval(watch)
      tell({ type: 'leave', button: 'banner-hidden' })
    }
  }, checkEveryMs)
}

function isVisible(banner) {
  const { width, height } = banner.getBoundingClientRect()
  const shown = banner.checkVisibility({ opacityProperty: true, visibilityProperty: true })
  return banner.isConnected && shown && width > 10 && height > 10
}

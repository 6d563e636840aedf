// Which dialog gets which button, with a budget: a press that does not help is not repeated for ever.
import type { Log } from '../../log.ts'
import { DIALOGS, type DialogPattern, type DialogPlace, HINT_BUTTONS, LEFT_ALONE } from './dialog-words.ts'
import { hasAnyPhrase, isAnyPhrase } from './match-text.ts'
import type { MeetPage } from './meet-page.ts'
import type { ButtonSeen, DialogSeen, Snapshot } from './snapshot.ts'
import { JOIN_TEXTS } from './words.ts'

const MOST_TRIES = 3

export interface DialogFinding {
  /** The pattern's name, `agree` or `hint` for unknown windows of a known make, `unknown` for the rest. */
  pattern: string
  text: string
  /** What to press; null when the dialog has no button that we may press. */
  button: ButtonSeen | null
}

/**
 * The dialogs of a snapshot that want an answer, topmost last in the page first answered. Never Escape, never "Close" on a
 * notice of recording: that puts the bot out of the call (meet-web-facts.md §7).
 */
export function findDialogs(snapshot: Snapshot, place: DialogPlace): DialogFinding[] {
  return snapshot.dialogs
    .map((dialog, index) =>
      findAnswer(
        dialog,
        snapshot.buttons.filter(button => button.dialog === index),
        place,
      ),
    )
    .filter(finding => finding !== null)
    .reverse()
}

function findAnswer(dialog: DialogSeen, buttons: ButtonSeen[], place: DialogPlace): DialogFinding | null {
  const says = `${dialog.label} ${dialog.text}`
  const text = dialog.text || dialog.label
  if (hasAnyPhrase(says, LEFT_ALONE)) return null
  const pattern = DIALOGS.find(known => known.places.includes(place) && hasAnyPhrase(says, known.says))
  if (pattern) return { pattern: pattern.name, text, button: findButton(buttons, pattern.press) }
  if (!dialog.modal) return null
  // Notices of a kind not known yet have Meet's shape: the one action that agrees reads "Join now".
  const agree = buttons.find(button => button.dialogAction === 'ok' && isAnyPhrase(button.text, JOIN_NOW))
  if (agree) return { pattern: 'agree', text, button: agree }
  const hint = buttons.find(button => isAnyPhrase(button.text, HINT_BUTTONS))
  if (hint) return { pattern: 'hint', text, button: hint }
  return { pattern: 'unknown', text, button: null }
}

const JOIN_NOW = JOIN_TEXTS.filter(({ kind }) => kind === 'now').flatMap(({ texts }) => texts)

function findButton(buttons: ButtonSeen[], press: DialogPattern['press']): ButtonSeen | null {
  const byAction = buttons.find(button => press.actions?.includes(button.dialogAction))
  if (byAction) return byAction
  for (const text of press.texts) {
    const byText = buttons.find(
      button => isAnyPhrase(button.text, [text]) || isAnyPhrase(button.label, [text]),
    )
    if (byText) return byText
  }
  return buttons.find(button => press.jsnames?.includes(button.jsname)) ?? null
}

export interface DialogAnswers {
  /**
   * Presses at most one dialog's button. Resolves to what was found first, or null without a dialog.
   * A dialog that is gone in a later snapshot gets its whole budget back.
   */
  answer(snapshot: Snapshot, place: DialogPlace): Promise<DialogFinding | null>
}

/** @param onUnanswered told once per dialog for which there is no button or whose button did not help in 3 tries */
export function createDialogAnswers(
  page: Pick<MeetPage, 'press'>,
  log: Log,
  onUnanswered: (finding: DialogFinding) => Promise<void> = async () => {},
): DialogAnswers {
  const tries = new Map<string, number>()

  return {
    async answer(snapshot, place) {
      const findings = findDialogs(snapshot, place)
      const open = new Set(findings.map(keyOf))
      for (const key of tries.keys()) if (!open.has(key)) tries.delete(key)
      for (const finding of findings) {
        const key = keyOf(finding)
        const tried = tries.get(key) ?? 0
        if (tried > MOST_TRIES) continue
        tries.set(key, tried + 1)
        if (finding.button === null || tried === MOST_TRIES) {
          tries.set(key, MOST_TRIES + 1)
          log.warn({ dialog: finding.pattern, text: finding.text.slice(0, 300) }, 'a dialog stays unanswered')
          await onUnanswered(finding)
          continue
        }
        const pressed = await page.press(finding.button)
        log.info(
          { dialog: finding.pattern, button: finding.button.text, pressed, try: tried + 1 },
          'answering a dialog',
        )
        return finding
      }
      return findings[0] ?? null
    },
  }
}

const keyOf = (finding: DialogFinding) =>
  finding.pattern === 'unknown' ? `unknown ${finding.text.slice(0, 80)}` : finding.pattern

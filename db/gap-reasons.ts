import { ENDINGS } from './endings.ts'
import type { Gap } from './schema.ts'

/** Why a stretch of time can be missing without an attempt having ended before it. */
const GAP_REASONS = {
  segment_lost: {
    en: 'This piece was recorded, but it is missing or damaged.',
    es: 'Este fragmento se grabó, pero falta o está dañado.',
  },
  not_yet_recording: {
    en: 'People were in the call before the recording began.',
    es: 'Había personas en la llamada antes de que comenzara la grabación.',
  },
  ended_too_early: {
    en: 'People were in the call after the recording ended.',
    es: 'Había personas en la llamada después de que terminara la grabación.',
  },
} as const satisfies Record<Exclude<Gap['reason'], keyof typeof ENDINGS>, { en: string; es: string }>

export const GAP_REASON_WORDS = Object.keys(GAP_REASONS) as (keyof typeof GAP_REASONS)[]

/** A sentence about the reason of a gap, in English and Spanish. */
export function gapSentence(reason: Gap['reason']): { en: string; es: string } {
  const { en, es } =
    reason in GAP_REASONS
      ? GAP_REASONS[reason as keyof typeof GAP_REASONS]
      : ENDINGS[reason as keyof typeof ENDINGS]
  return { en, es }
}

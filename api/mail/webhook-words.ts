import { z } from 'zod'
import type { Language, MailContent } from './words.ts'

/** What is written into the mail when a webhook is disabled. */
const factsSchema = z.object({
  webhookId: z.uuid(),
  /** Of its address, which may hold a secret as a whole. */
  origin: z.string(),
  reason: z.enum(['failing', 'gone']),
})

/** What the mail about a webhook that was disabled says. */
export function webhookDisabledContent(language: Language, written: Record<string, unknown>): MailContent {
  const { webhookId, origin, reason } = factsSchema.parse(written)
  if (language === 'es')
    return {
      subject: `Webhook desactivado: ${origin}`,
      lead: 'Un webhook de su organización fue desactivado: ya no recibe avisos.',
      facts: [
        ['Dirección', origin],
        ['Identificador', webhookId],
        [
          'Motivo',
          reason === 'gone'
            ? 'Respondió 410: no quiere recibir más.'
            : 'Ningún envío tuvo éxito durante al menos un día.',
        ],
      ],
      advice:
        'Corrija el receptor y actívelo de nuevo con PATCH {"status": "enabled"}. Lo que ocurra entretanto no se le guarda.',
    }
  return {
    subject: `Webhook disabled: ${origin}`,
    lead: "One of your organisation's webhooks was disabled: it is told nothing any more.",
    facts: [
      ['Address', origin],
      ['Identifier', webhookId],
      [
        'Reason',
        reason === 'gone'
          ? 'It answered 410: it wants no more.'
          : 'No post to it has succeeded for a day or longer.',
      ],
    ],
    advice:
      'Mend the receiver and enable it again with PATCH {"status": "enabled"}. What happens meanwhile is not kept for it.',
  }
}

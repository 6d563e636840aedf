import { createTransport } from 'nodemailer'
import type { RenderedMail } from './render.ts'

/** Hands mail to a mail server. */
export interface PostOffice {
  /** @throws {MailRefused} */
  send(mail: RenderedMail & { id: string; to: string }): Promise<void>
  close(): void
}

/** The mail server did not take a mail. */
export class MailRefused extends Error {
  readonly code = 'mail_refused'
  /** The same mail would be refused again: there is no such address. */
  readonly final: boolean

  constructor(message: string, final: boolean, options?: ErrorOptions) {
    super(message, options)
    this.name = 'MailRefused'
    this.final = final
  }
}

const LIMITS = {
  connectionTimeout: 15_000,
  greetingTimeout: 15_000,
  socketTimeout: 60_000,
  dnsTimeout: 10_000,
}
const CONNECTIONS = 3

/**
 * Opens the way to the mail server. Nothing is asked before the first mail.
 * @param settings.smtpUrl `smtp://user:password@host:587` (STARTTLS where the server has it) or `smtps://…:465`
 */
export function openPostOffice(settings: { smtpUrl: string; from: string }): PostOffice {
  const { protocol, hostname, port, username, password, searchParams } = new URL(settings.smtpUrl)
  const secure = protocol === 'smtps:'
  const transport = createTransport({
    pool: true,
    maxConnections: CONNECTIONS,
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? (secure ? 465 : 587) : Number(port),
    secure,
    requireTLS: searchParams.get('tls') === 'required',
    ...(username !== '' && {
      auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) },
    }),
    disableFileAccess: true,
    disableUrlAccess: true,
    ...LIMITS,
  })
  const domain = /@([^>\s]+)>?\s*$/.exec(settings.from)?.[1] ?? 'testigo.invalid'
  return {
    async send({ id, to, subject, text, html }) {
      try {
        await transport.sendMail({
          from: settings.from,
          // As a structure: an address can then not be read as two.
          to: { name: '', address: to },
          subject,
          text,
          html,
          // The same for every attempt, so that a mail sent twice is known to be one.
          messageId: `<${id}@${domain}>`,
          headers: { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All' },
        })
      } catch (error) {
        throw refusal(error)
      }
    },
    close: () => transport.close(),
  }
}

interface SmtpFailure extends Error {
  code?: string
  responseCode?: number
  command?: string
}

// A wrong password answers with 535, which is nothing that is wrong with the mail; a 5xx to RCPT TO or to the mail is.
function refusal(error: unknown): MailRefused {
  const { code, responseCode, command, message } = error as SmtpFailure
  const ofThisMail = command === 'RCPT TO' || command === 'DATA'
  const final = ofThisMail && responseCode !== undefined && responseCode >= 500 && responseCode < 600
  const said = responseCode === undefined ? (code ?? message) : `${code ?? 'refused'} ${responseCode}`
  return new MailRefused(`The mail server did not take it: ${said}`, final, { cause: error })
}

import type { Language, MailContent } from './words.ts'

export interface RenderedMail {
  subject: string
  text: string
  html: string
}

const FOOTERS: Record<Language, string> = {
  es: 'Mensaje automático de Testigo. Un administrador de su organización decide quién lo recibe.',
  en: 'Sent by Testigo by itself. An administrator of your organisation decides who gets it.',
}

/** The mail as text and as HTML, in which nothing of its content can become markup. */
export function renderMail(content: MailContent, language: Language): RenderedMail {
  const { lead, facts, link, advice } = content
  const footer = FOOTERS[language]
  const text = [
    lead,
    facts.map(([name, value]) => `${name}: ${oneLine(value)}`).join('\n'),
    ...(link ? [`${link.label}:\n${link.url}`] : []),
    ...(advice ? [advice] : []),
    `-- \n${footer}`,
  ].join('\n\n')
  const rows = facts.map(
    ([name, value]) =>
      `<tr><th align="left" valign="top" style="padding:2px 16px 2px 0">${escaped(name)}</th><td>${escaped(oneLine(value))}</td></tr>`,
  )
  const html = [
    `<!doctype html><html lang="${language}"><meta charset="utf-8"><body style="font:16px/1.5 sans-serif">`,
    `<p>${escaped(lead)}</p>`,
    `<table>${rows.join('')}</table>`,
    ...(link && isWebLink(link.url)
      ? [`<p><a href="${escaped(link.url)}">${escaped(link.label)}</a></p>`]
      : []),
    ...(advice ? [`<p>${escaped(advice)}</p>`] : []),
    `<p style="color:#666">${escaped(footer)}</p></body></html>`,
  ].join('\n')
  return { subject: oneLine(content.subject), text: `${text}\n`, html }
}

const MARKUP: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, mark => MARKUP[mark] ?? mark)
}

// A topic with a line break in it must not look like another line of the mail, or of its header.
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim()
}

function isWebLink(url: string): boolean {
  return /^https?:\/\//.test(url)
}

import type { Refusal, Version } from './object-versions.ts'

/** One page of the versions of a bucket. */
export function versionsXml(page: (Version & { isLatest: boolean })[], more: boolean): string {
  const last = page.at(-1)
  const rows = page.map(({ key, versionId, isLatest, marker, sizeBytes }) => {
    const facts = `<Key>${toXml(key)}</Key><VersionId>${versionId}</VersionId><IsLatest>${isLatest}</IsLatest>`
    return marker
      ? `<DeleteMarker>${facts}</DeleteMarker>`
      : `<Version>${facts}<Size>${sizeBytes}</Size></Version>`
  })
  const next =
    more && last
      ? `<NextKeyMarker>${toXml(last.key)}</NextKeyMarker><NextVersionIdMarker>${last.versionId}</NextVersionIdMarker>`
      : ''
  return `<ListVersionsResult><IsTruncated>${more}</IsTruncated>${rows.join('')}${next}</ListVersionsResult>`
}

/** A refusal's body. */
export const errorXml = ({ code, message }: Refusal) =>
  `<Error><Code>${code}</Code><Message>${toXml(message)}</Message></Error>`
/** Text as it stands in XML. */
export const toXml = (raw: string) => raw.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')
/** Text of XML as it was meant. */
export const fromXml = (xml: string) => xml.replace(/&lt;/g, '<').replace(/&gt;/g, '>').replace(/&amp;/g, '&')

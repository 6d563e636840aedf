const OURS = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})@testigo$/

/** The UID of a meeting or a series in the files that we write: the same for its whole life. */
export function uidOf(id: string): string {
  return `${id}@testigo`
}

/** The meeting or series that a UID of ours names; undefined for everybody else's. */
export function idOfUid(uid: string): string | undefined {
  return OURS.exec(uid)?.[1]
}

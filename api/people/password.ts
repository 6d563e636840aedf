import { argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

/** Passwords as Argon2id in the PHC string format: `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>`. */

const compute = promisify(argon2)

// What OWASP's cheat sheet on password storage names first for Argon2id.
const COST = { memory: 19_456, passes: 2, parallelism: 1 }
const SALT_BYTES = 16
const HASH_BYTES = 32
const PHC =
  /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/

/** @returns what is stored of a password */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES)
  const hash = await argon2id(password, salt, HASH_BYTES, COST)
  const { memory, passes, parallelism } = COST
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${unpadded(salt)}$${unpadded(hash)}`
}

/** Is it the password? @param stored what {@link hashPassword} gave, also at another cost */
export async function isPassword(password: string, stored: string): Promise<boolean> {
  const [, memory, passes, parallelism, salt = '', hash = ''] = PHC.exec(stored) ?? []
  if (memory === undefined)
    throw new Error('what is stored of a password is not in the PHC format of Argon2id')
  const wanted = Buffer.from(hash, 'base64')
  const cost = { memory: Number(memory), passes: Number(passes), parallelism: Number(parallelism) }
  return timingSafeEqual(await argon2id(password, Buffer.from(salt, 'base64'), wanted.length, cost), wanted)
}

/** Takes as long as {@link isPassword}, where there is no password to compare with. */
export async function pretendToCompare(password: string): Promise<void> {
  await argon2id(password, Buffer.alloc(SALT_BYTES), HASH_BYTES, COST)
}

function argon2id(password: string, nonce: Buffer, tagLength: number, cost: typeof COST): Promise<Buffer> {
  // The same password may come as composed or decomposed letters, by keyboard.
  return compute('argon2id', { message: password.normalize('NFKC'), nonce, tagLength, ...cost })
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}

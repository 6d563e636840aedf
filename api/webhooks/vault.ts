import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto'
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '../../log.ts'

/** Keeps secrets that we must be able to read again: AES-256-GCM, each sealed for one owner. */
export interface Vault {
  /** @param owner what it belongs to; it opens for the same owner only */
  seal(secret: string, owner: string): Promise<string>
  /** @throws {CannotUnseal} */
  unseal(sealed: string, owner: string): Promise<string>
  /**
   * Hexadecimal, the same for the same words: by it nobody without the key finds out what they were, however few there are
   * to guess from.
   */
  fingerprint(words: string): Promise<string>
}

/** A sealed secret cannot be read: the encryption key is another one than it was sealed with, or is gone. */
export class CannotUnseal extends Error {
  readonly code = 'cannot_unseal'
}

const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const FORM = 'v1.'

/**
 * Opens the vault.
 * @param options.key 32 bytes; without it a key lies in `<dataDir>/encryption.key`, made when something is first sealed
 */
export function openVault(options: { key: Buffer | undefined; dataDir: string; log: Log }): Vault {
  const { dataDir, log } = options
  const file = join(dataDir, 'encryption.key')
  let known = options.key

  async function storedKey(): Promise<Buffer | undefined> {
    if (known) return known
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    })
    if (text === undefined) return undefined
    const key = Buffer.from(text.trim(), 'base64')
    if (key.length !== KEY_BYTES) throw new CannotUnseal(`${file} does not hold ${KEY_BYTES} bytes in base64`)
    known = key
    return key
  }

  async function keyToSealWith(): Promise<Buffer> {
    const stored = await storedKey()
    if (stored) return stored
    await mkdir(dataDir, { recursive: true })
    const draft = `${file}.${randomBytes(6).toString('hex')}`
    await writeFile(draft, `${randomBytes(KEY_BYTES).toString('base64')}\n`, { mode: 0o600, flag: 'wx' })
    try {
      // Either this file or that of a process which was faster, never half of one.
      await link(draft, file)
      log.warn(
        { file },
        'an encryption key for webhook secrets was made; keep this file, or set TESTIGO_ENCRYPTION_KEY for several API processes',
      )
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    } finally {
      await rm(draft)
    }
    const key = await storedKey()
    if (!key) throw new Error(`${file} was made and is gone`)
    return key
  }

  return {
    async fingerprint(words) {
      // A key of its own, so that nothing which is sealed could be meant by it.
      const key = createHmac('sha256', await keyToSealWith())
        .update('testigo fingerprint')
        .digest()
      return createHmac('sha256', key).update(words).digest('hex')
    },
    async seal(secret, owner) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', await keyToSealWith(), nonce)
      cipher.setAAD(Buffer.from(owner))
      const box = [nonce, cipher.update(secret, 'utf8'), cipher.final(), cipher.getAuthTag()]
      return FORM + Buffer.concat(box).toString('base64url')
    },
    async unseal(sealed, owner) {
      const key = await storedKey()
      if (!key)
        throw new CannotUnseal(
          `there is no encryption key: TESTIGO_ENCRYPTION_KEY is unset and ${file} is gone`,
        )
      const box = Buffer.from(sealed.slice(FORM.length), 'base64url')
      if (!sealed.startsWith(FORM) || box.length < NONCE_BYTES + TAG_BYTES)
        throw new CannotUnseal('this is not a sealed secret')
      const decipher = createDecipheriv('aes-256-gcm', key, box.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      })
      decipher.setAAD(Buffer.from(owner))
      decipher.setAuthTag(box.subarray(-TAG_BYTES))
      try {
        const text = decipher.update(box.subarray(NONCE_BYTES, -TAG_BYTES))
        return Buffer.concat([text, decipher.final()]).toString('utf8')
      } catch (error) {
        throw new CannotUnseal('the encryption key is not the one this secret was sealed with', {
          cause: error,
        })
      }
    },
  }
}

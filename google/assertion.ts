import { readFile } from 'node:fs/promises'
import type { MethodOptions } from 'googleapis/build/src/apis/calendar/index.js'
import { importPKCS8, SignJWT } from 'jose'
import { z } from 'zod'
import type { Config } from '../config.ts'
import { GoogleFault, type GoogleService } from './fault.ts'

/** Claims of an assertion for the token endpoint; times in seconds since the epoch. */
interface Claims {
  iss: string
  sub: string
  scope: string
  aud: string
  iat: number
  exp: number
}

/** One request for a token or a signature, within the wall clock of the token wanted; answers with the body. */
export type TokenPost = (
  options: MethodOptions,
  about: { service: GoogleService; what: string },
) => Promise<unknown>

/** Signs as the delegated service account. */
export interface Signer {
  serviceAccount: string
  sign(claims: Claims, post: TokenPost): Promise<string>
}

type SignerSettings = Pick<Config['google'], 'keyFile' | 'serviceAccount' | 'iamUrl' | 'metadataUrl'>

/**
 * The signer that the settings name: the key file when there is one, else keyless through signJwt.
 * @throws {GoogleFault} `misconfigured` with a sentence that says what to set
 */
export async function openSigner(settings: SignerSettings): Promise<Signer> {
  if (settings.keyFile !== undefined) return openKeyFile(settings.keyFile)
  if (settings.serviceAccount !== undefined) return keylessSigner(settings.serviceAccount, settings)
  throw misconfigured(
    'no_credentials',
    'There is no Google service account. Set TESTIGO_GOOGLE_KEY_FILE to its key file, or TESTIGO_GOOGLE_SERVICE_ACCOUNT to its address to sign without a key.',
  )
}

const keyFileSchema = z.object({ client_email: z.email(), private_key: z.string().min(1) })

async function openKeyFile(path: string): Promise<Signer> {
  let content: string
  try {
    content = await readFile(path, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown'
    throw misconfigured(
      'key_file_missing',
      `The key file ${path} cannot be read (${code}). Set TESTIGO_GOOGLE_KEY_FILE to the service account's JSON key.`,
    )
  }
  const parsed = keyFileSchema.safeParse(parseJson(content))
  const refuse = (what: string) =>
    misconfigured(
      'key_file_invalid',
      `The key file ${path} ${what}. Set TESTIGO_GOOGLE_KEY_FILE to the JSON key that Google Cloud made for the service account.`,
    )
  if (!parsed.success)
    throw refuse('is not a service account key in JSON (client_email and private_key are needed)')
  const { client_email: serviceAccount, private_key: pem } = parsed.data
  let key: CryptoKey
  try {
    key = await importPKCS8(pem, 'RS256')
  } catch {
    // The cause may quote the key.
    throw refuse('holds a private_key that is no PKCS #8 RSA key')
  }
  return {
    serviceAccount,
    sign: claims => new SignJWT({ ...claims }).setProtectedHeader({ alg: 'RS256' }).sign(key),
  }
}

const machineTokenSchema = z.object({ access_token: z.string().min(1) })
const signedSchema = z.object({ signedJwt: z.string().min(1) })

/**
 * Keyless: the runtime identity's token from the metadata server, then IAM's signJwt on the delegated account
 * (google-apis.md §5.2). The runtime identity needs roles/iam.serviceAccountTokenCreator on that account.
 */
function keylessSigner(serviceAccount: string, settings: SignerSettings): Signer {
  return {
    serviceAccount,
    sign: async (claims, post) => {
      const machine = await post(
        {
          url: `${settings.metadataUrl}/computeMetadata/v1/instance/service-accounts/default/token`,
          method: 'GET',
          headers: { 'metadata-flavor': 'Google' },
        },
        { service: 'iam', what: 'metadata.token' },
      ).catch((error: unknown) => {
        throw explainMachine(error, serviceAccount)
      })
      const signed = await post(
        {
          url: `${settings.iamUrl}/v1/projects/-/serviceAccounts/${encodeURIComponent(serviceAccount)}:signJwt`,
          method: 'POST',
          headers: { authorization: `Bearer ${expectAnswer(machineTokenSchema, machine).access_token}` },
          data: { payload: JSON.stringify(claims) },
        },
        { service: 'iam', what: 'iam.signJwt' },
      ).catch((error: unknown) => {
        throw explainSigning(error, serviceAccount)
      })
      return expectAnswer(signedSchema, signed).signedJwt
    },
  }
}

function explainMachine(error: unknown, serviceAccount: string): unknown {
  if (!(error instanceof GoogleFault) || (error.httpStatus !== undefined && error.httpStatus !== 404))
    return error
  return new GoogleFault(
    { service: 'iam', code: 'unavailable', reason: 'metadata_unreachable', httpStatus: error.httpStatus },
    `The machine's own identity gives no token (${error.reason ?? error.httpStatus}). Signing for ${serviceAccount} without a key needs a machine with an attached service account; elsewhere set TESTIGO_GOOGLE_KEY_FILE.`,
  )
}

function explainSigning(error: unknown, serviceAccount: string): unknown {
  if (!(error instanceof GoogleFault) || (error.code !== 'forbidden' && error.code !== 'not_found'))
    return error
  return misconfigured(
    'sign_jwt_refused',
    `The machine's own identity may not sign for ${serviceAccount}. Check TESTIGO_GOOGLE_SERVICE_ACCOUNT and grant the machine's service account roles/iam.serviceAccountTokenCreator on it.`,
    'iam',
    error.httpStatus,
  )
}

/** Reads an answer of a token service; an unreadable one counts as Google being out of order. */
export function expectAnswer<T>(schema: z.ZodType<T>, data: unknown): T {
  const parsed = schema.safeParse(data)
  if (parsed.success) return parsed.data
  throw new GoogleFault(
    { service: 'token', code: 'unavailable', reason: 'unreadable_answer' },
    'A token service answered with something that is no token.',
  )
}

function misconfigured(
  reason: string,
  message: string,
  service: 'token' | 'iam' = 'token',
  httpStatus?: number,
) {
  return new GoogleFault({ service, code: 'misconfigured', reason, httpStatus }, message)
}

function parseJson(content: string): unknown {
  try {
    return JSON.parse(content)
  } catch {
    // The parser's message quotes the file, and the file is a secret: the schema's refusal says enough.
    return undefined
  }
}
